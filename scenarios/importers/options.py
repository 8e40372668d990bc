"""What a person chooses for an import, checked before any file is opened.

Owns: the option values of every importer, their defaults and their checks. Does not own: how the
command line spells them (``vpg.cli``). A wrong option is a ``UsageError`` (exit 2); a wrong file is
an ``InputError``.

Every importer's options extend ``ImportOptions``:

* ``name``: of the scenario and of the files written (``name.yaml``); small letters, digits, ``-``
  and ``_``
* ``vpg_type``, ``size``: the one gateway of the scenario; ``auto`` takes the smallest size whose
  line cap holds every line that can attach.
* ``seed``: of the scenario's draws.
* ``start``: first instant, with zone; None takes it from the file's dates. ``days``: simulated
  length.
* ``encoding``: ``auto`` tries UTF-8 (with or without BOM), then cp932.
* ``header``: whether the first row names the columns (A-29); ``auto`` looks at it.
* ``strict``: one bad row refuses the whole file. ``problems_max``: rows of one kind told one by
  one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from vpg.errors import Problem, UsageError

if TYPE_CHECKING:
    import datetime as dt

    from vpg.csvfile import Encoding

Header = Literal["auto", "present", "absent"]

VPG_TYPES = ("C", "D", "E", "F", "F2", "G")
SIZES = ("auto", "small", "medium", "large")
SERVICES = ("beam", "funnel", "funk", "ip")
ENCODINGS = ("auto", "utf-8", "cp932")
HEADERS = ("auto", "present", "absent")
CLOCKS = ("wall", "elapsed")

DAY_S = 86_400
SEED_MAX = 2**63 - 1
DAYS_MAX = 400
LINES_MAX = 1_000_000
BYTES_MAX = 10**9
SCALE_MAX = Decimal(10**6)

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def refuse(option: str, value: object, allowed: str) -> UsageError:
    """Return the error of an ``option`` whose ``value`` is not ``allowed``."""
    values = {"value": value, "allowed": allowed}
    return UsageError(Problem(code="VPG1352", path=option, values=values))


def check_choice(option: str, value: str, allowed: tuple[str, ...]) -> None:
    """Refuse a ``value`` that is not one of ``allowed``."""
    if value not in allowed:
        raise refuse(option, value, ", ".join(allowed))


def check_range(option: str, value: int, low: int, high: int) -> None:
    """Refuse an integer ``value`` outside [``low``, ``high``]."""
    if not low <= value <= high:
        raise refuse(option, value, f"{low} .. {high}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """What every importer is told; see the module."""

    name: str = ""
    """Empty: the importer's own default."""
    vpg_type: str = "C"
    size: str = "auto"
    seed: int = 1
    start: dt.datetime | None = None
    days: int | None = None
    """None: 1 day, or all of a demand curve."""
    encoding: Encoding = "auto"
    header: Header = "auto"
    strict: bool = False
    problems_max: int = 20

    def check(self) -> None:
        """Raise ``UsageError`` for the first option that cannot be meant."""
        if self.name and not _NAME.fullmatch(self.name):
            raise refuse("--name", self.name, "a-z 0-9 - _ (1 .. 64)")
        check_choice("--vpg-type", self.vpg_type, VPG_TYPES)
        check_choice("--size", self.size, SIZES)
        check_choice("--encoding", self.encoding, ENCODINGS)
        check_choice("--header", self.header, HEADERS)
        check_range("--seed", self.seed, 0, SEED_MAX)
        check_range("--problems-max", self.problems_max, 1, 1_000_000)
        if self.days is not None:
            check_range("--days", self.days, 1, DAYS_MAX)
        if self.start is not None and self.start.tzinfo is None:
            raise refuse("--start", self.start.isoformat(), "2026-04-01T00:00:00+09:00")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficOptions(ImportOptions):
    """Options of importers whose file does not say what one message is."""

    service: str = "beam"
    payload_bytes: int = 256
    answer_bytes: int = 64

    def check(self) -> None:
        """Raise ``UsageError`` for the first option that cannot be meant."""
        ImportOptions.check(self)
        check_choice("--service", self.service, SERVICES)
        check_range("--payload-bytes", self.payload_bytes, 0, BYTES_MAX)
        check_range("--answer-bytes", self.answer_bytes, 0, BYTES_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinesOptions(TrafficOptions):
    """Line list: the list has no traffic, so every active line reports each ``every_s`` seconds."""

    every_s: int = 3_600

    def check(self) -> None:
        """Raise ``UsageError`` for the first option that cannot be meant."""
        TrafficOptions.check(self)
        check_range("--every-s", self.every_s, 1, DAY_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageOptions(ImportOptions):
    """Data usage: messages about ``every_s`` apart, ``up_percent`` of their bytes upward."""

    service: str = "ip"
    every_s: int = 3_600
    up_percent: int = 50

    def check(self) -> None:
        """Raise ``UsageError`` for the first option that cannot be meant."""
        ImportOptions.check(self)
        check_choice("--service", self.service, SERVICES)
        check_range("--every-s", self.every_s, 1, DAY_S)
        check_range("--up-percent", self.up_percent, 0, 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class AirOptions(ImportOptions):
    """Air usage: one message per ``packets_per_message`` upward packets."""

    service: str = "ip"
    packets_per_message: int = 10

    def check(self) -> None:
        """Raise ``UsageError`` for the first option that cannot be meant."""
        ImportOptions.check(self)
        check_choice("--service", self.service, SERVICES)
        check_range("--packets-per-message", self.packets_per_message, 1, 1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class BeamOptions(ImportOptions):
    """Beam statistics: counts only, so the bytes of one request are an option."""

    payload_bytes: int = 256
    answer_bytes: int = 64

    def check(self) -> None:
        """Raise ``UsageError`` for the first option that cannot be meant."""
        ImportOptions.check(self)
        check_range("--payload-bytes", self.payload_bytes, 0, BYTES_MAX)
        check_range("--answer-bytes", self.answer_bytes, 0, BYTES_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandOptions(TrafficOptions):
    """Demand curve in the local time of ``tz``.

    ``rebase``: this JST date takes the place of the first local day. ``first`` (``--from``) and
    ``until`` cut local days [first, until). ``scale`` multiplies every value. ``clock``: with
    ``rebase``, ``wall`` keeps the time of day written in the file, ``elapsed`` keeps the real
    distance between instants.
    """

    tz: str = ""
    rebase: dt.date | None = None
    scale: Decimal = Decimal(1)
    first: dt.date | None = None
    until: dt.date | None = None
    lines: int = 1_000
    clock: Literal["wall", "elapsed"] = "wall"

    def check(self) -> None:
        """Raise ``UsageError`` for the first option that cannot be meant."""
        TrafficOptions.check(self)
        check_choice("--clock", self.clock, CLOCKS)
        check_range("--lines", self.lines, 1, LINES_MAX)
        if not self.scale.is_finite() or not 0 < self.scale <= SCALE_MAX:
            raise refuse("--scale", self.scale, f"0 < scale <= {SCALE_MAX}")
        if self.first and self.until and self.first >= self.until:
            raise refuse("--until", self.until.isoformat(), f"> --from {self.first.isoformat()}")
        if self.start is not None:
            raise refuse("--start", self.start.isoformat(), "--rebase YYYY-MM-DD")
