"""Local times of a zone as instants, with the hours that clock changes repeat or leave out.

Owns: what zoneinfo says about one local time. Times: local times are naive datetimes; instants are
aware, in UTC.
"""

from __future__ import annotations

import datetime as dt
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from scenarios.importers.options import refuse
from vpg.errors import Problem, UsageError

Kind = Literal["plain", "repeated", "missing"]


def read_zone(key: str) -> ZoneInfo:
    """Return the zone ``key``; raises ``UsageError`` (VPG1350 none given, VPG1352 unknown)."""
    if not key.strip():
        raise UsageError(Problem(code="VPG1350", path="--tz"))
    try:
        return ZoneInfo(key)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # OSError: the key names a directory of the zone database, e.g. "America".
        raise refuse("--tz", key, "America/New_York, Asia/Tokyo, UTC, …") from None


class LocalClock:
    """The clock of one zone."""

    def __init__(self, zone: ZoneInfo) -> None:
        """Keep ``zone``."""
        self.zone = zone

    def kind(self, local: dt.datetime) -> Kind:
        """Say whether ``local`` occurs once, twice (clock put back) or never (put forward)."""
        early, late = self._offsets(local)
        if early == late:
            return "plain"
        return "repeated" if early > late else "missing"

    def instant(self, local: dt.datetime, fold: int = 0) -> dt.datetime:
        """Return the instant of ``local``; ``fold`` 1 is the second time it occurs."""
        return local.replace(tzinfo=self.zone, fold=fold).astimezone(dt.UTC)

    def _offsets(self, local: dt.datetime) -> tuple[dt.timedelta, dt.timedelta]:
        zero = dt.timedelta()
        early = local.replace(tzinfo=self.zone, fold=0).utcoffset() or zero
        late = local.replace(tzinfo=self.zone, fold=1).utcoffset() or zero
        return early, late
