"""Which usage events from outside may be counted: what they name is known and their time fits.

Owns: these checks, and the words for whoever sent an event that fails one. Does not own: the form
of events (``vpg.service.cloudevents``), who may speak for which operator
(``vpg.service.http.auth``) or whether an event was counted before (``vpg.service.store``). Times:
``SimUs``.

An event that was counted once stays right to send again: time bounds are those of the key, so its
answer is the same for as long as its key is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vpg.rating.counting import at_us_of
from vpg.rating.events import CONFIG, contradiction
from vpg.service.keys import OWN_SOURCE
from vpg.service.store.months import oldest_us
from vpg.timebase import MINUTE_US, SECOND_US, iso_utc, to_utc

if TYPE_CHECKING:
    from vpg.rating.events import UsageEvent
    from vpg.service.store.base import Store, VpgLife
    from vpg.service.values import Rules

AHEAD_US: Final = 5 * MINUTE_US
"""How far ahead of service time a sender's clock may be."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an event is not counted: a closed word for programs, a sentence for people."""

    code: str
    message: str


class Checker:
    """Looks at events one by one."""

    def __init__(self, *, store: Store, rules: Rules, configs: bool = True) -> None:
        """Know what ``store`` knows; ``configs``: whether configs may come as events at all.

        Where a gateway serves devices it alone tells what a VPG is: an event would change the bill
        and not the gateway.
        """
        self._configs = configs
        self._life = store.life
        self._line = store.line
        self._lines_must_be_known = rules.lines_must_be_known
        self._quick_until_us = -1
        self._oldest = self._newest = to_utc(0)

    def wrong(self, one: UsageEvent, now_us: int) -> Refusal | None:
        """Return why ``one`` may not be counted at ``now_us``; None: it may."""
        data = one.data
        life = self._life(data.vpgId)
        if life is None or life.operator_id != data.operatorId:
            # The same words for both: a stranger learns nothing of other operators' VPGs.
            return Refusal("unknown_vpg", f"data.vpgId {data.vpgId!r} is no VPG of the operator")
        if now_us >= self._quick_until_us:
            self._set_bounds(now_us)
        quick = self._oldest <= one.time <= self._newest and one.type != CONFIG
        if not (quick and life.lives and life.born <= one.time):
            if one.type == CONFIG and not self._configs:
                words = "a VPG is changed by PATCH /v1/vpgs/{vpgId}, never by an event from outside"
                return Refusal("config_by_api", words)
            refusal = _wrong_time(one, life, at_us_of(one.time), now_us)
            if refusal is not None:
                return refusal
        refusal = _wrong_content(one)
        if refusal is not None:
            return refusal
        if self._lines_must_be_known:
            line = self._line(one.subject) if one.subject else None
            if data.inspected or (
                one.subject and (line is None or line.operator_id != data.operatorId)
            ):
                return self._wrong_line(one)
        return None

    def _set_bounds(self, now_us: int) -> None:
        """Note times that are right for the next second at least; the rest is looked at exactly."""
        self._quick_until_us = now_us + SECOND_US
        self._oldest = to_utc(oldest_us(now_us + SECOND_US))
        self._newest = to_utc(now_us + AHEAD_US)

    def _wrong_line(self, one: UsageEvent) -> Refusal | None:
        names = (one.subject, *one.data.inspected) if one.data.inspected else (one.subject,)
        for name in names:
            if name:
                line = self._line(name)
                if line is None or line.operator_id != one.data.operatorId:
                    return Refusal("unknown_line", f"{name!r} is no line of the operator")
        return None


def _wrong_content(one: UsageEvent) -> Refusal | None:
    words = contradiction(one)
    if words:
        return Refusal("invalid", words)
    if "\0" in one.id or "\0" in one.source or "\0" in one.subject:
        return Refusal("invalid", "id, source and subject must not hold the character U+0000")
    if one.source.startswith(OWN_SOURCE):
        # Whoever took a name that a gateway will give would keep its event from being counted.
        words = f"sources that begin with {OWN_SOURCE!r} are the gateway's own"
        return Refusal("reserved_source", words)
    return None


def _wrong_time(one: UsageEvent, life: VpgLife, at_us: int, now_us: int) -> Refusal | None:
    if at_us > now_us + AHEAD_US:
        words = f"time is more than 5 minutes ahead of the service ({iso_utc(now_us)})"
        return Refusal("in_future", words)
    if at_us < oldest_us(now_us):
        words = f"time is before {iso_utc(oldest_us(now_us))}: its month can no longer be changed"
        return Refusal("too_old", words)
    if life.rows_end_us is not None and at_us >= life.rows_end_us:
        return Refusal("vpg_ended", f"the VPG {life.vpg_id!r} had ended by then")
    if one.type == CONFIG:
        return _wrong_order(one, life, at_us)
    if not 0 <= life.born_us <= at_us:
        return Refusal("vpg_not_yet", f"the VPG {life.vpg_id!r} did not exist yet then")
    return None


def _wrong_order(one: UsageEvent, life: VpgLife, at_us: int) -> Refusal | None:
    if at_us < life.newest_config_us:
        words = f"a newer config of {life.vpg_id!r} is known ({iso_utc(life.newest_config_us)})"
        return Refusal("config_order", words)
    if not life.lives:
        return Refusal("vpg_ended", f"the VPG {life.vpg_id!r} has ended")
    config = one.data.config
    if config is None:
        return None  # Told as a contradiction.
    if life.born_us < 0 and not config.exists:
        return Refusal("vpg_not_yet", f"the VPG {life.vpg_id!r} cannot end before it exists")
    if life.configs and config.exists and not config.resized:
        last = life.configs[-1].config
        if (last.type, last.size) != (config.type, config.size):
            return Refusal("invalid", "data.config.resized must say that type or size change")
    return None
