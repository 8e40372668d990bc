"""``--replications``, ``--until`` and ``--workers``: what they ask for, and the answer.

Owns: reading the options, the choice of workers, progress, and the section ``replications`` of the
summary. Does not own: how replications run (``sim.replicate``), statistics (``sim.stats``) or how
the section looks (``reports.replications``). Times: the clock of this machine decides how many
workers pay, and nothing that is written.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from vpg.errors import EnsureError, Problem, UsageError
from vpg.hints import closest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reports.document import FigurePart, Method, ReplicationsPart
    from scenarios.model import Scenario
    from sim.pool import Team
    from sim.stats import Interval, Until
    from vpg.cli.runner import Loaded
    from vpg.cli.stopping import StopFlag
    from vpg.cli.terminal import Terminal
    from vpg.replications import FigureName, ReplicationRow
    from vpg.results import RunResult
    from vpg.rundir import RunDirWriter

BOUND = 1_000
"""Most replications of ``--until`` where ``--replications`` says nothing else."""
_PAYS_FROM_S = 3
"""Work that workers must save before they are started: each one needs about half a second."""
_UNTIL = re.compile(r"(?P<figure>\w+)\+-(?P<width>\d{1,15}(?:\.\d{1,15})?)(?P<sign>%?)", re.ASCII)
_EXAMPLE = "accepted_share±0.1%"
_MILLION = 1_000_000
_DIGITS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How many replications, until when, on how many workers."""

    replications: int
    until: Until | None = None
    until_text: str = ""
    workers: int | None = None
    """None: as many as pay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated:
    """The replications of a run and what they say together."""

    rows: tuple[ReplicationRow, ...]
    part: ReplicationsPart
    why_partial: str = ""
    """Why the sequence ended early by itself; empty when it did not."""

    def marked(self, first: RunResult) -> RunResult:
        """Return ``first``, marked partial when the replications behind it ended by themselves."""
        if not self.why_partial or first.status == "partial":
            return first
        return replace(first, status="partial", why_partial=self.why_partial)

    def write(self, writer: RunDirWriter) -> None:
        """Write the table into a run directory."""
        from vpg.replications import REPLICATIONS
        from vpg.runtables import to_csv, to_parquet

        writer.write_bytes("replications.parquet", to_parquet(REPLICATIONS, self.rows))
        writer.write_bytes("replications.csv", to_csv(REPLICATIONS, self.rows))


# ---- what is asked -------------------------------------------------------------------------------


def asked(replications: int | None, until: str | None, workers: int | None) -> Asked | None:
    """Return what the options ask for; None: a plain run. Raises ``UsageError``."""
    from sim.stats import REPLICATIONS_MIN
    from vpg.cli.options import REPLICATIONS_MAX

    if replications is None and until is None:
        return None
    if until is None:
        return Asked(replications=replications or 1, workers=workers)
    bound = BOUND if replications is None else replications
    if bound < REPLICATIONS_MIN:
        values = {"option": "--replications", "value": bound}
        values |= {"low": f"{REPLICATIONS_MIN} (--until)", "high": REPLICATIONS_MAX}
        raise UsageError(Problem(code="VPG1017", values=values))
    text = _plain(until)
    return Asked(replications=bound, until=read_until(until), until_text=text, workers=workers)


def _plain(text: str) -> str:
    """Return ``text`` in ASCII as far as it can be: no spaces, ± as +-."""
    return re.sub(r"±|\+/-", "+-", "".join(unicodedata.normalize("NFKC", text).split()))


def read_until(text: str) -> Until:
    """Return what ``--until`` says: FIGURE±WIDTH, FIGURE+-WIDTH or FIGURE+/-WIDTH.

    A width with % is in percentage points of a share and relative to the mean of any other figure;
    without it is in the figure's own unit. Raises ``UsageError``.

    >>> read_until("accepted_share±0.1%").half_width
    0.001
    """
    from sim.stats import Until
    from vpg.cli.options import unreadable
    from vpg.replications import FIGURES, SHARES

    found = _UNTIL.fullmatch(_plain(text))
    if found is None:
        raise unreadable("--until", text, _EXAMPLE)
    name, width, percent = found["figure"], float(found["width"]), bool(found["sign"])
    figure = next((known for known in FIGURES if known == name), None)
    if figure is None:
        values: dict[str, Any] = {"option": "--until", "value": name, "known": ", ".join(FIGURES)}
        values["hint"] = closest(name, FIGURES)
        raise UsageError(Problem(code="VPG1013", values=values))
    is_share = figure in SHARES
    if width <= 0 or (is_share and not percent):
        values = {"option": "--until", "value": text, "figure": figure, "example": _EXAMPLE}
        raise UsageError(Problem(code="VPG1031" if width <= 0 else "VPG1032", values=values))
    return Until(
        figure=figure,
        half_width=width / 100 if percent else width,
        relative=percent and not is_share,
    )


# ---- the replications ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Finished:
    """Replications as ``progress`` counts: finished ones for simulated time."""

    at_us: int
    end_us: int
    start_us: int = 0

    @property
    def events(self) -> int:
        """Replications, too."""
        return self.at_us


def repeat(  # noqa: PLR0917 - one step of the command
    loaded: Loaded,
    first: RunResult,
    what: Asked,
    team: Team | None,
    terminal: Terminal,
    stop: StopFlag,
) -> Repeated:
    """Run the replications behind ``first``, which is replication 0, and sum up.

    ``team`` computes them, else processes of this machine as far as they pay.
    A broken promise of the simulator (``EnsureError``) leaves a run directory that says so.
    """
    from sim.pool import Local
    from sim.replicate import Replicated, replicate, study
    from sim.sequence import narrow
    from vpg.cli import progress, runner

    scenario, catalogue = loaded.scenario, loaded.catalogue
    if stop() or first.status == "partial":
        return _sum_up(scenario, first, what, Replicated(rows=()))
    line = "run_replications" if what.until is None else "run_replications_until"
    with progress.shown(terminal, terminal.word("run_replicating"), line=line) as show:

        def tell(finished: int) -> None:
            if show is not None:
                show(_Finished(at_us=finished, end_us=what.replications))

        try:
            replicated = replicate(
                scenario,
                catalogue,
                replications=what.replications,
                team=team or Local(workers=what.workers or _workers(loaded, what.replications - 1)),
                done=(study(scenario, catalogue, first, 0),),
                enough=None if what.until is None else narrow(what.until),
                progress=tell,
                stop=stop,
            )
        except EnsureError as broken:
            kept = runner.keep_broken(loaded, str(broken), None)
            raise EnsureError(f"{broken} ({kept})") from broken
    return _sum_up(scenario, first, what, replicated)


def _workers(loaded: Loaded, left: int) -> int:
    """Return how many workers the work ``left`` pays, as long as one replication took."""
    from vpg.cli.clock import wall_us
    from vpg.cli.teams import processors

    left_s = (wall_us() - loaded.began_us) * left // _MILLION
    return processors() if left_s >= _PAYS_FROM_S else 1


def _sum_up(scenario: Scenario, first: RunResult, what: Asked, replicated: Any) -> Repeated:  # noqa: ANN401 - imported inside
    from reports.document import ReplicationsPart, UntilPart
    from sim.stats import CONFIDENCE, mean_interval
    from vpg.replications import FIGURES, value_of

    rows: tuple[ReplicationRow, ...] = replicated.rows
    until = None
    if what.until is not None:
        figure = what.until.figure
        met = bool(rows) and what.until.reached(mean_interval(value_of(r, figure) for r in rows))
        until = UntilPart(asked=what.until_text, figure=figure, met=met)
    return Repeated(
        rows=rows,
        part=ReplicationsPart(
            asked=what.replications,
            finished=len(rows),
            confidence_percent=round(CONFIDENCE * 100),
            objectives_met=sum(not row.objectives_missed for row in rows),
            until=until,
            figures=[_figure(scenario, first, rows, name) for name in FIGURES] if rows else [],
        ),
        why_partial=replicated.why_stopped,
    )


_UNITS: dict[str, Any] = {
    "delay_us_p99": "us",
    "rate_peak_per_s": "1/s",
    "lines_peak": "lines",
    "charges_yen": "yen",
    "lost_messages": "messages",
}


def _figure(
    scenario: Scenario, first: RunResult, rows: Sequence[ReplicationRow], name: FigureName
) -> FigurePart:
    from reports.document import FigurePart
    from sim.stats import mean_interval
    from sim.within import share_within
    from vpg.replications import SHARES, value_of

    found = mean_interval(value_of(row, name) for row in rows)
    method: Method = "replications" if found.n > 1 else "none"
    warm_up_h = 0
    if found.n == 1 and name in SHARES:
        within = share_within(scenario, first, name)
        if within is not None:
            found, method, warm_up_h = within.interval, "batch_means", within.warm_up_h
    scale = _MILLION if name in SHARES else 1
    return FigurePart(
        figure=name,
        unit=_UNITS.get(name, "ppm"),
        n=found.n,
        method=method,
        warm_up_h=warm_up_h,
        **_rounded(found, scale),
    )


def _rounded(found: Interval, scale: int) -> dict[str, Any]:
    """Return the numbers of an interval to three places: further ones may differ by platform."""
    numbers = {name: getattr(found, name) for name in ("mean", "half_width", "smallest", "largest")}
    return {
        name: None if number is None else round(number * scale, _DIGITS)
        for name, number in numbers.items()
    }
