"""What would help a VPG, computed from the scenario, the run and the catalogue.

Owns: the arithmetic of each piece of advice. Does not own: its words (``texts.toml``,
``advice.<kind>``). An estimate is the fluid limit or a look into the catalogue; no simulation has
confirmed it. Durations are in µs, rounded up to 0.1 s, prices in yen as exact decimal text, tax
excluded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from reports.document import Advice
from reports.losses import lost_messages, no_session
from reports.series import fleet_lines, lines_bound
from scenarios.model import MILLION, Burst, Periodic
from vpg.billing.money import yen_text
from vpg.catalogue.items import SIZED_TYPES, SIZES, base_item
from vpg.timebase import SECOND_US

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reports.document import AdviceKind, LimitName, LimitUse, VpgFindings
    from reports.series import Config
    from scenarios.model import Fleet, Scenario, Source, Vpg
    from vpg.catalogue.model import Catalogue
    from vpg.rating.totals import Totals
    from vpg.results import MinuteRow, RunResult

BETA34_PEAK = (20_736, 10_000)
"""Peak density of Beta(3, 4) on [0, 1): 60 x² (1 − x)³ at x = 2/5, exactly 2.0736.

Source: 3GPP TR 37.868, whose traffic model 2 is Beta(3, 4) over its period."""
RETRY_SHARE_PPM = 200_000
"""From this share of retries in all tries on, retries are worth a word."""
_TENTH_US = SECOND_US // 10
PENDING_SHARE_PPM = 10_000
"""From this share of all messages on, or a tenth of the lines, pending messages are told."""
_FLEETS_NAMED = 3
_SPLIT_MAX = 3
_LINES_A_PENDING_MESSAGE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One VPG of one run, as advice sees it."""

    scenario: Scenario
    catalogue: Catalogue
    result: RunResult
    vpg: Vpg
    totals: Totals
    found: VpgFindings
    config: Config
    """What the VPG was at ``at_us``, its worst minute."""
    at_us: int

    def use(self, name: LimitName) -> LimitUse | None:
        """Return the use of limit ``name``, None where the VPG has no such limit."""
        return next((use for use in self.found.limits if use.limit == name), None)

    def refused(self, name: LimitName) -> int:
        """Return how often limit ``name`` refused."""
        use = self.use(name)
        return 0 if use is None else use.refused

    def fleets(self) -> tuple[Fleet, ...]:
        """Return the fleets bound to this VPG."""
        return tuple(fleet for fleet in self.scenario.fleets if fleet.vpg_id == self.vpg.id)

    def lines(self, fleet: Fleet) -> int:
        """Return the lines of ``fleet`` at the end of the run."""
        return fleet_lines(self.scenario, fleet, self.result.ended_at_us)

    def bound(self) -> int:
        """Return the lines bound to this VPG at the end of the run, connected or not."""
        return lines_bound(self.scenario, self.vpg.id, self.result.ended_at_us)

    def tries(self) -> int:
        """Return the tries of messages; without any the run says nothing about sizes."""
        return self.totals.attempts_limited + self.totals.attempts_ip

    def room_for_all(self) -> bool:
        """Return whether waiting helps a line that the cap refused: all could be online at once."""
        cap = self.config.lines_max
        return not self.refused("line_cap") or cap is None or self.bound() <= cap

    def throttled_minute(self) -> MinuteRow | None:
        """Return the minute with most throttled requests, the first of equals."""
        own = (m for m in self.result.minutes if m.vpg_id == self.vpg.id and m.throttled)
        return max(own, key=lambda m: (m.throttled, -m.minute_start_us), default=None)

    def cost(self, service: str) -> int:
        """Return what one attempt takes from the limiter: 2 for Beam if both legs count (A-06)."""
        return 2 if service == "beam" and self.scenario.assumptions.a06_beam_legs == "both" else 1

    def say(
        self,
        kind: AdviceKind,
        basis: Literal["estimate", "measured"] = "estimate",
        /,
        **figures: int | str,
    ) -> Advice:
        """Return one piece of advice about this VPG."""
        return Advice(kind=kind, vpg_id=self.vpg.id, basis=basis, figures=figures)


def advise(case: Case) -> list[Advice]:
    """Return every piece of advice that the figures of ``case`` call for, causes before sizes."""
    found: list[Advice] = []
    for rule in (
        _burst,
        _spread,
        _ramp_attach,
        _ramp_setup,
        _retries,
        no_session,
        lost_messages,
        _sizes,
        _pending,
        _ghosts,
        _assigned,
        _upstream,
        _mirror,
        _unknown,
    ):
        found += rule(case)
    return found


def spread_us(messages: int, rate_per_s: int) -> tuple[int, int]:
    """Return the shortest spreads of ``messages`` under ``rate_per_s``: uniform, and as Beta(3, 4).

    The fluid limit, the burst aside, rounded up to 0.1 s.

    >>> spread_us(1000, 30), spread_us(10_000, 300)
    ((33400000, 69200000), (33400000, 69200000))
    """
    numerator, denominator = BETA34_PEAK
    uniform = -(-messages * SECOND_US // rate_per_s)
    beta34 = -(-messages * SECOND_US * numerator // (rate_per_s * denominator))
    return _up(uniform), _up(beta34)


def _up(us: int) -> int:
    return -(-us // _TENTH_US) * _TENTH_US


# ---- requests ------------------------------------------------------------------------------------


def _together(case: Case) -> tuple[int, int, int | None]:
    """Return (requests, present spread, period) of the largest group sent at one moment (µs)."""
    found = list(_synchronised(case))
    best: tuple[int, int, int | None] = (0, 0, None)
    for _, at_us, every_us, _ in found:
        group = [one for one in found if _meet((at_us, every_us), (one[1], one[2]))]
        requests = sum(one[0] for one in group)
        if requests > best[0]:
            periods = [one[2] for one in group if one[2]]
            best = requests, min(one[3] for one in group), min(periods, default=None)
    return best


def _synchronised(case: Case) -> Iterator[tuple[int, int, int | None, int]]:
    """Yield (requests, instant, period, present uniform spread) of each source that acts as one."""
    for fleet in case.fleets():
        for source in fleet.traffic:
            requests = _requests(case, fleet, source)
            if not requests:
                continue
            if isinstance(source, Periodic) and source.phase == "clock":
                yield requests, source.offset_us, source.every_us, source.jitter_us
            elif isinstance(source, Burst):
                numerator, denominator = BETA34_PEAK
                over = source.over_us
                if source.shape == "beta34":  # as wide as a uniform spread with the same peak
                    over = over * denominator // numerator
                yield requests, source.at_us, source.repeat_us, over


def _requests(case: Case, fleet: Fleet, source: Source) -> int:
    if source.service == "ip":
        return 0
    lines = -(-case.lines(fleet) * source.share_ppm // MILLION)
    return lines * case.cost(source.service)


def _meet(one: tuple[int, int | None], other: tuple[int, int | None]) -> bool:
    """Return whether two (instant, period) series share an instant, sooner or later."""
    apart = one[0] - other[0]
    step = math.gcd(one[1] or 0, other[1] or 0)
    return apart % step == 0 if step else apart == 0


def _spread(case: Case) -> list[Advice]:
    rate, worst = case.config.rate_per_s, case.throttled_minute()
    if not case.refused("request_rate") or rate is None or worst is None or _burst(case):
        return []
    requests, now_us, every_us = _together(case)
    uniform, beta34 = spread_us(requests, rate)
    if every_us is not None and requests * SECOND_US > every_us * rate:
        return [
            case.say(
                "load_above_rate",
                messages=requests,
                every_us=every_us,
                uniform_us=uniform,
                rate_per_s=rate,
            )
        ]
    if now_us * rate < requests * SECOND_US:
        return [
            case.say(
                "spread_reports",
                messages=requests,
                now_us=now_us,
                uniform_us=uniform,
                beta34_us=beta34,
                rate_per_s=rate,
            )
        ]
    cost = _cost(case)
    if worst.rate_peak_per_s * cost > rate and not _ramp_attach(case):
        return [
            case.say(
                "spread_minute",
                attempts=worst.attempts,
                peak_per_s=worst.rate_peak_per_s,
                uniform_us=spread_us(worst.attempts * cost, rate)[0],
                rate_per_s=rate,
            )
        ]
    return []


def _cost(case: Case) -> int:
    """Return the most that one attempt of this run took from the limiter."""
    return case.cost("beam") if case.totals.attempts_beam else 1


def _burst(case: Case) -> list[Advice]:
    """Tell of a bucket that never holds what one request costs: no size, no spread mends that."""
    limiter, cost = case.vpg.limiter, _cost(case)
    burst = limiter.burst_requests
    if limiter.kind != "token_bucket" or burst is None or burst >= cost:
        return []
    if not case.refused("request_rate"):
        return []
    return [case.say("burst_below_cost", "measured", burst=burst, cost=cost)]


def _retries(case: Case) -> list[Advice]:
    own, rate = case.totals, case.config.rate_per_s
    if rate is None or not (own.throttled_limited or own.failed_upstream_limited):
        return []
    if _burst(case):
        return []
    tries = case.tries()
    retries = max(0, tries - own.messages_offered - own.pending_start)
    if not tries or retries * MILLION < tries * RETRY_SHARE_PPM:
        return []
    found = []
    for fleet in sorted(case.fleets(), key=lambda f: (-case.lines(f), f.name)):
        policy = fleet.retry
        if not policy.steps:
            continue
        cost = max((case.cost(source.service) for source in fleet.traffic), default=1)
        needed, _ = spread_us(case.lines(fleet) * cost, rate)
        delay = policy.steps[0][0]
        window = 2 * delay * policy.jitter_ppm // MILLION
        if window < needed:
            found.append(
                case.say(
                    "retry_jitter",
                    fleet=fleet.name,
                    policy=policy.name,
                    retries_ppm=retries * MILLION // tries,
                    delay_us=delay,
                    now_us=window,
                    window_us=needed,
                )
            )
    return found[:_FLEETS_NAMED]


# ---- sessions ------------------------------------------------------------------------------------


def _is_attach_storm(case: Case) -> bool:
    """Return whether most lines, or most requests, of the worst minute came with an attach.

    Not when the fleet's own clock explains that many requests: those come again without attaches.
    Attaches that were refused bring no requests.
    """
    worst = case.found.worst_minute
    if worst is None or not worst.throttled or worst.attempts <= _together(case)[0]:
        return False
    attached = worst.attach_attempts - worst.sessions_refused
    return 0 < min(worst.attempts, worst.lines_peak) <= 2 * attached


def _ramp_attach(case: Case) -> list[Advice]:
    """Advise a ramp where an attach storm brings the throttled requests of the worst minute.

    Not where the cap has no room for all lines: those without a session would still have none.
    """
    rate, worst = case.config.rate_per_s, case.found.worst_minute
    if rate is None or worst is None or not case.room_for_all() or not _is_attach_storm(case):
        return []
    if _burst(case):
        return []
    return [
        case.say(
            "ramp_attach",
            attaches=worst.attach_attempts,
            attempts=worst.attempts,
            over_us=spread_us(worst.attempts, rate)[0],
            rate_per_s=rate,
        )
    ]


def _ramp_setup(case: Case) -> list[Advice]:
    setup = case.scenario.assumptions.a18_session_setup_per_s
    own = [m for m in case.result.minutes if m.vpg_id == case.vpg.id]
    attaches = max((m.attach_attempts for m in own), default=0)
    if setup is None or not case.refused("session_setup") or case.totals.attach_peak_per_s <= setup:
        return []
    if not case.room_for_all():
        return []
    over, _ = spread_us(attaches, setup)
    return [case.say("ramp_setup", attaches=attaches, over_us=over, setup_per_s=setup)]


def _ghosts(case: Case) -> list[Advice]:
    use, ghosts = case.use("line_cap"), case.totals.ghosts_peak
    if use is None or use.cap is None or not use.refused or not ghosts:
        return []
    idle = case.scenario.assumptions.a16_idle_timeout_us
    return [case.say("ghost_slots", "measured", ghosts=ghosts, lines_max=use.cap, idle_us=idle)]


def _assigned(case: Case) -> list[Advice]:
    bound = case.bound()
    cap = case.config.lines_max
    if cap is None or bound <= cap or case.refused("line_cap") or not case.tries():
        return []
    return [case.say("assigned_above_cap", "measured", lines=bound, lines_max=cap)]


def _pending(case: Case) -> list[Advice]:
    """Tell of messages that were neither delivered nor lost when a whole run ended."""
    own = case.totals
    pending, sent = own.pending_end, own.messages_offered + own.pending_start
    few = (
        pending * MILLION < sent * PENDING_SHARE_PPM
        and pending * _LINES_A_PENDING_MESSAGE < case.bound()
    )
    if not pending or few or case.result.status == "partial":
        return []
    share = pending * MILLION // sent
    return [case.say("pending_messages", "measured", pending=pending, sent=sent, share_ppm=share)]


# ---- sizes ---------------------------------------------------------------------------------------


def _sizes(case: Case) -> list[Advice]:
    """Advise the smallest size that clears what was measured, a few VPGs, or a smaller size.

    A peak that not even a few VPGs clear is a matter of spreading (``_spread``): then only the
    lines count.
    """
    if case.config.type not in SIZED_TYPES:
        return []
    lines_use, rate_use = case.use("line_cap"), case.use("request_rate")
    if lines_use is None or rate_use is None:
        return []
    lines = max(case.totals.lines_peak, case.bound())
    rate = case.totals.rate_peak_per_s * _cost(case)
    if not lines_use.refused and not rate_use.refused:
        return _smaller(case, lines, rate)
    lines, rate = (lines if lines_use.refused else 0), (rate if rate_use.refused else 0)
    if _burst(case):
        return _for_lines(case, lines)
    clears = _clearing(case, lines, rate)
    if clears:
        larger = _above_present(case, clears)
        return [_larger(case, larger[0])] if larger else []
    return _split(case, lines, rate) or _for_lines(case, lines)


def _clearing(case: Case, lines: int, rate_per_s: int) -> list[str]:
    return [size for size in SIZES if _clears(case, size, lines, rate_per_s)]


def _above_present(case: Case, sizes: list[str]) -> list[str]:
    return [size for size in sizes if SIZES.index(size) > SIZES.index(case.config.size)]


def _clears(case: Case, size: str, lines: int, rate_per_s: int) -> bool:
    limits = case.catalogue.limits(case.config.type, size, case.at_us)
    return (limits.lines_max is None or limits.lines_max >= lines) and (
        limits.rate_per_s is None or limits.rate_per_s >= rate_per_s
    )


def _price(case: Case, size: str, count: int = 1) -> int | None:
    price = case.catalogue.price_micro_yen(base_item(case.config.type, size), case.at_us)
    return None if price is None else price * count


def _more_yen(case: Case, price: int | None) -> str:
    """Return what ``price`` is above the present one, in yen an hour; empty when unknown."""
    now = _price(case, case.config.size)
    if price is None or now is None:
        return ""
    return yen_text(price - now) if price >= now else f"-{yen_text(now - price)}"


def _larger(
    case: Case, size: str, kind: Literal["larger_size", "larger_for_lines"] = "larger_size"
) -> Advice:
    limits = case.catalogue.limits(case.config.type, size, case.at_us)
    fee = _change_fee(case)
    return case.say(
        kind,
        type=case.config.type,
        size=size,
        lines_max=-1 if limits.lines_max is None else limits.lines_max,
        rate_per_s=-1 if limits.rate_per_s is None else limits.rate_per_s,
        more_yen_per_hour=_more_yen(case, _price(case, size)),
        fee_yen=fee,
    )


def _change_fee(case: Case) -> str:
    """Return the one-off fee of a change of size (A-13), in yen; empty when it is not known."""
    if case.scenario.assumptions.a13_size_change == "in_place_free":
        return "0"
    item = "change_fee_d" if case.config.type == "D" else f"contract_fee_{case.config.type.lower()}"
    fee = case.catalogue.price_micro_yen(item, case.at_us)
    return "" if fee is None else yen_text(fee)


def _split(case: Case, lines: int, rate_per_s: int) -> list[Advice]:
    """Advise a few VPGs of the size that needs fewest (the smaller one when equal)."""
    counts = []
    for place, size in enumerate(SIZES):
        limits = case.catalogue.limits(case.config.type, size, case.at_us)
        if limits.lines_max and limits.rate_per_s:
            count = max(-(-lines // limits.lines_max), -(-rate_per_s // limits.rate_per_s))
            counts.append((count, place, size))
    if not counts:
        return []
    count, _, size = min(counts)
    if count > _SPLIT_MAX:
        return []  # a synchronised peak: spreading mends it, no number of VPGs does sensibly
    return [
        case.say(
            "split_vpgs",
            count=count,
            type=case.config.type,
            size=size,
            peak_per_s=rate_per_s or case.totals.rate_peak_per_s * _cost(case),
            lines=lines or case.totals.lines_peak,
            more_yen_per_hour=_more_yen(case, _price(case, size, count)),
        )
    ]


def _for_lines(case: Case, lines: int) -> list[Advice]:
    """Advise what takes the lines, where they were refused and the requests must be spread."""
    if not lines:
        return []
    clears = _clearing(case, lines, 0)
    if clears:
        larger = _above_present(case, clears)
        return [_larger(case, larger[0], "larger_for_lines")] if larger else []
    caps = [(case.catalogue.limits(case.config.type, size, case.at_us), size) for size in SIZES]
    lines_max, size = max((limits.lines_max or 0, size) for limits, size in caps)
    kind = case.config.type
    return [case.say("divide_lines", lines=lines, type=kind, size=size, lines_max=lines_max)]


def _smaller(case: Case, lines: int, rate_per_s: int) -> list[Advice]:
    if not case.tries():
        return []  # nothing was sent: that no limit refused anything says nothing
    if case.totals.messages_lost:
        return []  # what lost them comes first
    clears = _clearing(case, lines, rate_per_s)
    now = _price(case, case.config.size)
    price = _price(case, clears[0]) if clears else None
    if case.result.status == "partial" or now is None or price is None or price >= now:
        return []
    return [
        case.say(
            "smaller_size",
            type=case.config.type,
            size=clears[0],
            lines=lines,
            peak_per_s=rate_per_s,
            less_yen_per_hour=yen_text(now - price),
        )
    ]


# ---- what no size mends --------------------------------------------------------------------------


def _upstream(case: Case) -> list[Advice]:
    failed = case.refused("upstream")
    use = case.use("upstream")
    if use is None or not failed:
        return []
    return [case.say("upstream_failures", "measured", failed=failed, admitted=use.asked)]


def _mirror(case: Case) -> list[Advice]:
    dropped, sent = case.totals.mirror_dropped, case.totals.bytes_mirrored
    if not dropped:
        return []
    return [case.say("mirror_dropped", "measured", packets=dropped, sent_bytes=sent)]


def _unknown(case: Case) -> list[Advice]:
    found = []
    if case.config.lines_max is None or case.config.rate_per_s is None:
        found.append(case.say("uncapped", "measured", type=case.config.type))
    if _price(case, case.config.size) is None:
        item = base_item(case.config.type, case.config.size)
        found.append(case.say("unpriced", "measured", item=item))
    return found
