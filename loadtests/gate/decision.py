"""The gate's verdict on a recording: pure, no clock, no file.

Owns: the rules. Does not own: the rounds (``rounds.py``), the intervals (``statistics.py``) or how
a verdict is shown (``report.py``). In this order:

1. An event lost or counted twice, by whomever: **fails**, whatever the clock says.
2. The head refused requests (or left them without an answer) and the base did not: fails. An exact
   budget exceeded: fails.
3. A figure is *slower* when its estimate is beyond its band on the bad side and its interval
   excludes no change; *faster* likewise; *no change* when the whole interval lies within the band;
   else *cannot tell*. None of it is believed where the control, the same code twice in the same
   rounds, is not *no change* itself; but where the control is only too wide, a *slower* whose whole
   interval lies beyond the band is.
4. A canary that tells of another machine after than before, or of time taken away by the host,
   makes every *no change* and *faster* of a timed figure a *cannot tell*.

One figure slower: the gate fails. None slower, one that cannot be told: it cannot tell.

The base of a round is the geometric mean of base and control, which makes head - base and
control - base contrasts that share no noise.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Literal

from loadtests.gate.statistics import Interval, paired, unpaired
from loadtests.gate.values import (
    BASE,
    BUDGETS,
    CONTROL,
    FIGURES,
    HEAD,
    Machine,
    Part,
    Recording,
    Revision,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from loadtests.gate.values import Canary, Figure, Round

Verdict = Literal["slower", "faster", "no_change", "cannot_tell"]
Answer = Literal["passes", "fails", "cannot_tell"]
STORED_BAND: Final = 3.0
"""Bands against a stored baseline are so many times as wide: another hour, perhaps another host."""
DRIFT_MAX: Final = 1.35
"""Most by which the slice of processor work may differ between before and after."""
STEAL_MAX: Final = 0.10


class Change(Part, frozen=True, kw_only=True):
    """One ratio, head to base (or control to base)."""

    ratio: float
    low: float
    high: float
    verdict: Verdict


class FigureRow(Part, frozen=True, kw_only=True):
    """One figure of the clock."""

    name: str
    unit: str
    base: float
    head: float
    """Medians over all rounds; the ratio is that of pairs, not of these."""
    band: float
    change: Change
    control: Change
    verdict: Verdict
    """Of the change, as far as the control lets it be believed."""


class BudgetRow(Part, frozen=True, kw_only=True):
    """One exact budget, per 1,000 events: the least of all restarts."""

    name: str
    base: float
    head: float
    allowed: float
    kept: bool


class CountRow(Part, frozen=True, kw_only=True):
    """What became of one side's events, over all restarts."""

    role: str
    acknowledged: int
    stored: int
    lost: int
    doubled: int
    refused: int
    unknown: int


class Decision(Part, frozen=True, kw_only=True):
    """``vpg gate``: the answer and all it rests on."""

    schema_version: Literal["vpgsim-gate-v1"] = "vpgsim-gate-v1"
    answer: Answer
    reasons: list[str]
    """Names of what failed, or of what cannot be told."""
    against: Literal["revision", "baseline"]
    restarts: int
    rounds: int
    """Of each restart."""
    figures: list[FigureRow]
    budgets: list[BudgetRow]
    counts: list[CountRow]
    disturbed: list[str]
    """What the canaries say against the machine."""
    machine: Machine
    revisions: dict[str, Revision]
    seed: int


class Saved(Part, frozen=True, kw_only=True):
    """``vpg gate --save`` with nothing to compare: what was recorded."""

    schema_version: Literal["vpgsim-gate-saved-v1"] = "vpgsim-gate-saved-v1"
    file: str
    restarts: int
    rounds: int
    revisions: dict[str, Revision]
    machine: Machine


def needed(*, is_baseline: bool) -> tuple[str, ...]:
    """Return the roles a recording must have to be decided."""
    return (HEAD, CONTROL) if is_baseline else (BASE, CONTROL, HEAD)


def decide(recording: Recording, baseline: Recording | None = None) -> Decision:
    """Return the decision; ``baseline``: a recording of another job instead of a base."""
    told = disturbances(recording)
    figures = [
        _row(recording, baseline, place, is_disturbed=bool(told)) for place in range(len(FIGURES))
    ]
    budgets = _budgets(recording, baseline)
    counts = [_counted(recording, role) for role in recording.revisions]
    failed = [*_wrong(counts), *(f"budget {row.name}" for row in budgets if not row.kept)]
    failed += [row.name for row in figures if row.verdict == "slower"]
    unsure = [row.name for row in figures if row.verdict == "cannot_tell"]
    unsure += [f"refused {row.role}" for row in counts if row.refused or row.unknown]
    answer: Answer = "fails" if failed else "cannot_tell" if unsure else "passes"
    return Decision(
        answer=answer,
        reasons=failed or unsure,
        against="revision" if baseline is None else "baseline",
        restarts=len(recording.restarts),
        rounds=len(recording.restarts[0].rounds),
        figures=figures,
        budgets=budgets,
        counts=counts,
        disturbed=told,
        machine=recording.machine,
        revisions=recording.revisions,
        seed=recording.seed,
    )


# ---- figures of the clock ------------------------------------------------------------------------


def _row(
    recording: Recording, baseline: Recording | None, place: int, *, is_disturbed: bool
) -> FigureRow:
    figure, seed = FIGURES[place], recording.seed
    if baseline is None:
        band, other = figure.band, BASE
        change = paired(_logs(recording, _against_both(figure)), seed=seed, stream=2 * place)
    else:
        band, other = figure.band * STORED_BAND, HEAD
        change = unpaired(
            _logs(recording, _normalised(figure)),
            _logs(baseline, _normalised(figure)),
            seed=seed,
            stream=2 * place,
        )
    control = paired(_logs(recording, _between(figure, other)), seed=seed, stream=2 * place + 1)
    judged, judged_control = _judged(figure, change, band), _judged(figure, control, band)
    verdict = believed(
        judged.verdict,
        judged_control.verdict,
        is_clear=_is_clear(judged, band),
        is_disturbed=is_disturbed and bool(figure.yardstick),
    )
    return FigureRow(
        name=figure.name,
        unit=figure.unit,
        base=_median(recording, figure, BASE) if baseline is None else _median(baseline, figure),
        head=_median(recording, figure),
        band=band,
        change=judged,
        control=judged_control,
        verdict=verdict,
    )


def _logs(recording: Recording, of: Callable[[Round], float]) -> list[list[float]]:
    return [[of(one) for one in restart.rounds] for restart in recording.restarts]


def _log(one: Round, figure: Figure, role: str) -> float:
    return math.log(figure.of(one.samples[role]))


def _against_both(figure: Figure) -> Callable[[Round], float]:
    def of(one: Round) -> float:
        base = _log(one, figure, BASE) + _log(one, figure, CONTROL)
        return _log(one, figure, HEAD) - base / 2

    return of


def _between(figure: Figure, other: str) -> Callable[[Round], float]:
    return lambda one: _log(one, figure, CONTROL) - _log(one, figure, other)


def _normalised(figure: Figure) -> Callable[[Round], float]:
    """Return the head in units of the reference workload: its speed where more is better."""

    def of(one: Round) -> float:
        value = _log(one, figure, HEAD)
        if not figure.yardstick:
            return value
        unit = one.reference.cpu_us if figure.yardstick == "cpu" else one.reference.wall_us
        return value + math.log(unit) if figure.more_is_better else value - math.log(unit)

    return of


def _judged(figure: Figure, interval: Interval, band: float) -> Change:
    return Change(
        ratio=math.exp(interval.estimate),
        low=math.exp(interval.low),
        high=math.exp(interval.high),
        verdict=verdict_of(interval, band, more_is_better=figure.more_is_better),
    )


def verdict_of(interval: Interval, band: float, *, more_is_better: bool) -> Verdict:
    """Return what ``interval`` (of log ratios) says; ``band``: the share that does not matter.

    The band is as wide on both sides in logarithms: a ratio of 1 + band and its inverse.
    """
    edge = math.log1p(band)
    if -edge <= interval.low and interval.high <= edge:
        return "no_change"
    if interval.estimate > edge and interval.low > 0:
        return "faster" if more_is_better else "slower"
    if interval.estimate < -edge and interval.high < 0:
        return "slower" if more_is_better else "faster"
    return "cannot_tell"


def believed(change: Verdict, control: Verdict, *, is_clear: bool, is_disturbed: bool) -> Verdict:
    """Return ``change`` as far as the control and the canaries let it be believed.

    ``is_clear``: the whole interval lies beyond the band, so that noise is no excuse.
    """
    if change == "slower" and (control == "no_change" or (control == "cannot_tell" and is_clear)):
        return "slower"
    return "cannot_tell" if control != "no_change" or is_disturbed else change


def _is_clear(change: Change, band: float) -> bool:
    return change.low > 1 + band or change.high < 1 / (1 + band)


def _median(recording: Recording, figure: Figure, role: str = HEAD) -> float:
    values = sorted(
        figure.of(one.samples[role]) for restart in recording.restarts for one in restart.rounds
    )
    middle = len(values) // 2
    return (values[middle] + values[~middle]) / 2


# ---- exact ---------------------------------------------------------------------------------------


def _budgets(recording: Recording, baseline: Recording | None) -> list[BudgetRow]:
    rows = []
    for name, thousandths in BUDGETS.items():
        head = _least(recording, HEAD, name)
        base = _least(recording, BASE, name) if baseline is None else _least(baseline, HEAD, name)
        if head is not None and base is not None:
            allowed = base * (1000 + thousandths) / 1000
            rows.append(
                BudgetRow(name=name, base=base, head=head, allowed=allowed, kept=head <= allowed)
            )
    return rows


def _least(recording: Recording, role: str, name: str) -> float | None:
    found = [restart.budgets[role].get(name) for restart in recording.restarts]
    known = [value for value in found if value is not None]
    return min(known, default=None)


def _counted(recording: Recording, role: str) -> CountRow:
    counts = [restart.counts[role] for restart in recording.restarts]
    return CountRow(
        role=role,
        acknowledged=sum(one.acknowledged for one in counts),
        stored=sum(one.stored for one in counts),
        lost=sum(one.lost for one in counts),
        doubled=sum(one.doubled for one in counts),
        refused=sum(one.refused for one in counts),
        unknown=sum(one.unknown for one in counts),
    )


def _wrong(counts: Sequence[CountRow]) -> list[str]:
    """Return what happened to events that must never happen."""
    found = [f"lost {row.role}" for row in counts if row.lost]
    found += [f"doubled {row.role}" for row in counts if row.doubled]
    others = any(row.refused or row.unknown for row in counts if row.role != HEAD)
    if not others:
        found += [f"refused {row.role}" for row in counts if row.refused or row.unknown]
    return found


def disturbances(recording: Recording) -> list[str]:
    """Return what the canaries say against the machine."""
    before, after = recording.canaries
    found = []
    if _drift(before, after) > DRIFT_MAX:
        found.append("cpu")
    if recording.machine.steal > STEAL_MAX:
        found.append("steal")
    return found


def _drift(before: Canary, after: Canary) -> float:
    return max(before.cpu_us, after.cpu_us) / min(before.cpu_us, after.cpu_us)
