"""What lost the messages of a VPG, and what would change it.

Owns: the advice on each way a message is lost and on tries without a session. Does not own: what
limits refuse (``advice``), the words (``texts.toml``, ``advice.<kind>``). Causes are named as a
scenario names them: kinds of events, ids of assumptions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.document import Loss
from scenarios.model import (
    MILLION,
    CarrierOutage,
    ForcedCut,
    LineChange,
    PowerCut,
    Recreate,
)

if TYPE_CHECKING:
    from reports.advice import Case
    from reports.document import Advice, LossKind
    from scenarios.model import Event, Fleet
    from vpg.rating.totals import Totals

SHARE_PPM = 10_000
"""From this share of all tries on, those without a session are told though nothing is lost."""
_CUTS: dict[type, str] = {
    CarrierOutage: "carrier_outage",
    ForcedCut: "forced_cut",
    LineChange: "line_change",
    Recreate: "recreate",
}
_ENDS: dict[type, str] = {
    PowerCut: "power_cut",
    LineChange: "line_change",
    Recreate: "recreate",
}
LOSSES: tuple[LossKind, ...] = ("lost_tries", "lost_deadline", "lost_buffer", "lost_cancelled")


def losses(own: Totals) -> list[Loss]:
    """Return how many messages were lost in each way, the most first."""
    found = [Loss(kind=kind, messages=getattr(own, kind)) for kind in LOSSES]
    return sorted((one for one in found if one.messages), key=lambda one: -one.messages)


def no_session(case: Case) -> list[Advice]:
    """Tell of tries by devices that believed in a session that was gone."""
    own, fleets = case.totals, case.fleets()
    tries = own.no_session_limited + own.no_session_ip
    lost = own.lost_tries + own.lost_deadline
    few = not lost and tries * MILLION < case.tries() * SHARE_PPM
    if not tries or few or not fleets:
        return []
    fleet = _fewest_tries(case)
    return [
        case.say(
            "no_session",
            "measured",
            attempts=tries,
            share_ppm=tries * MILLION // case.tries(),
            events=_names(case, _CUTS) or _silent(case),
            fleet=fleet.name,
            policy=fleet.retry.name,
        )
    ]


def lost_messages(case: Case) -> list[Advice]:
    """Tell of each way in which messages were lost: how many, and what would change it."""
    own, fleets = case.totals, case.fleets()
    if not own.messages_lost or not fleets:
        return []
    sent = max(1, own.messages_offered + own.pending_start)
    found = []
    for one in losses(own):
        figures: dict[str, int | str] = {
            "lost": one.messages,
            "share_ppm": min(MILLION, one.messages * MILLION // sent),
        }
        found.append(case.say(one.kind, "measured", **figures | _remedy(case, one.kind)))
    return found


def _remedy(case: Case, kind: LossKind) -> dict[str, int | str]:
    """Return what the words about a loss of ``kind`` need besides the count."""
    own, fleets = case.totals, case.fleets()
    if kind == "lost_tries":
        fleet = _fewest_tries(case)
        return {
            "fleet": fleet.name,
            "policy": fleet.retry.name,
            "throttled": own.throttled_limited,
            "sessionless": own.no_session_limited + own.no_session_ip,
            "failed": own.failed_upstream_limited + own.failed_upstream_ip,
        }
    if kind == "lost_deadline":
        fleet = min(fleets, key=lambda f: (f.retry.deadline_us is None, f.retry.deadline_us or 0))
        return {"fleet": fleet.name, "deadline_us": fleet.retry.deadline_us or 0}
    if kind == "lost_buffer":
        fleet = min(fleets, key=lambda f: (f.outstanding != "drop", f.buffer_messages))
        return {
            "fleet": fleet.name,
            "outstanding": fleet.outstanding,
            "buffer": fleet.buffer_messages,
        }
    ended = ["deleted_at"] if case.vpg.deleted_at_us is not None else []
    return {"events": ", ".join(filter(None, [_names(case, _ENDS), *ended])) or "-"}


def _fewest_tries(case: Case) -> Fleet:
    """Return the fleet whose messages have the fewest tries, of equals the largest."""
    return min(
        case.fleets(),
        key=lambda f: (
            bool(f.retry.steps),
            f.retry.tries_max is None,
            f.retry.tries_max or 0,
            -case.lines(f),
            f.name,
        ),
    )


def _names(case: Case, words: dict[type, str]) -> str:
    """Return the kinds of those of ``words`` that hit this VPG, in the order of the run."""
    hits = [
        words[type(event)]
        for event in case.scenario.events
        if type(event) in words and event.at_us < case.result.ended_at_us and _hits(case, event)
    ]
    return ", ".join(dict.fromkeys(hits))


def _hits(case: Case, event: Event) -> bool:
    if isinstance(event, Recreate):
        anew = case.scenario.assumptions.a13_size_change == "recreate_with_fee"
        return anew and event.vpg_id == case.vpg.id
    own = {fleet.name for fleet in case.fleets()}
    if isinstance(event, LineChange):
        return event.fleet in own
    if isinstance(event, CarrierOutage | ForcedCut | PowerCut):
        return bool(own & set(event.fleets))
    return False


def _silent(case: Case) -> str:
    """Return the assumptions under which sessions end without an event."""
    known = case.scenario.assumptions
    ends = {
        "A-02": known.a02_above_line_cap == "evict_longest_idle",
        "A-16": bool(known.a16_idle_timeout_us),
        "A-28": known.a28_cut_after_us is not None or known.a28_cut_after_bytes is not None,
    }
    return ", ".join(name for name, can in ends.items() if can) or "-"
