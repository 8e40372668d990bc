"""One run, step by step: load, simulate, check, rate, bill, judge, find, sum up, write.

Owns: the order of the steps and what passes between them, as small functions that later commands
(sweep, size) use again. Does not own: any step's inside. Times: the wall clock appears in the
manifest and the directory's name only.
"""

from __future__ import annotations

import hashlib
import os
import platform
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vpg.cli.terminal import sound
from vpg.errors import EnsureError, InputError, Place, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from reports.document import Findings, Summary
    from scenarios.model import Scenario
    from scenarios.objectives import ObjectiveResult
    from vpg.billing.month import Bill
    from vpg.catalogue.model import Catalogue
    from vpg.cli.options import Source
    from vpg.cli.progress import Reached
    from vpg.cli.replications import Repeated
    from vpg.cli.stopping import StopFlag
    from vpg.rating.charges import ChargeRow
    from vpg.rating.totals import Totals
    from vpg.results import RunResult
    from vpg.rundir import RunDirWriter
    from vpg.timebase import WallUs

SCENARIO_FILE = "scenario.yaml"
_THREADS_MAX = 8
Engine = Literal["auto", "reference", "compiled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a run was asked to do."""

    source: Source
    variant: str | None = None
    sets: tuple[str, ...] = ()
    catalogue_files: tuple[Path, ...] = ()
    out: Path = Path("runs")
    charts: tuple[str, ...] = ()
    """Formats of the charts; empty: none."""
    lang: str = "en"
    engine: Engine = "auto"
    workers: int | None = None
    """Threads of the compiled plane; None: one for each processor, at most 8."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A scenario that can run, and what it was read from."""

    request: Request
    scenario: Scenario
    catalogue: Catalogue
    warnings: tuple[Problem, ...]
    files: dict[str, bytes]
    """The scenario's own file, verbatim, as ``scenario.yaml``, and the data files it names."""
    began_us: WallUs


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """What follows from the hourly metrics, with no look at the simulation."""

    totals: Totals
    charges: tuple[ChargeRow, ...]
    bill: Bill
    objectives: tuple[ObjectiveResult, ...]
    findings: Findings


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A run whose directory is complete."""

    run_dir: Path
    document: Summary
    why_partial: str
    objectives_met: bool

    @property
    def until_missed(self) -> bool:
        """Whether replications were to end with a narrow interval, and did not."""
        part = self.document.replications
        return part is not None and part.until is not None and not part.until.met


# ---- before --------------------------------------------------------------------------------------


def load(request: Request) -> Loaded:
    """Read catalogue and scenario; raises ``InputError`` with all problems of the first bad one."""
    from scenarios.doubts import warnings
    from scenarios.loader import data_files, load_scenario
    from vpg.catalogue.load import load_catalogue
    from vpg.cli.clock import wall_us

    catalogue = load_catalogue(request.catalogue_files)
    path = request.source.path
    scenario = load_scenario(path, catalogue=catalogue, variant=request.variant, sets=request.sets)
    data = data_files(path, variant=request.variant, sets=request.sets)
    _check_data_names(path, data)
    return Loaded(
        request=request,
        scenario=scenario,
        catalogue=catalogue,
        warnings=tuple(warnings(scenario, catalogue)),
        files={SCENARIO_FILE: path.read_bytes(), **data},
        began_us=wall_us(),
    )


def _check_data_names(scenario: Path, names: Iterable[str]) -> None:
    from vpg.rundir import OWN_FILES

    place = Place(file=sound(str(scenario)))
    taken = sorted(OWN_FILES.intersection(names))
    if taken:
        raise InputError(
            [Problem(code="VPG1459", place=place, values={"name": name}) for name in taken]
        )


def check_out(loaded: Loaded) -> None:
    """Refuse, before a long simulation, a place where the run directory cannot be written.

    Raises ``InputError`` (VPG1451), or what a failing disk raises. Nothing is left there.
    """
    out = loaded.request.out
    if sound(str(out)) != str(out):
        values = {"reason": "the name is not valid text (UTF-8)"}
        raise InputError([Problem(code="VPG1451", place=Place(file=str(out)), values=values)])
    _writer(loaded).probe()


# ---- the run -------------------------------------------------------------------------------------


def simulate(
    loaded: Loaded, progress: Callable[[Reached], None] | None, stop: StopFlag
) -> RunResult:
    """Run the simulation until its end or until ``stop``.

    A broken promise of the simulator (``EnsureError``) leaves a run directory that says so.
    """
    from sim import run
    from vpg.cli.teams import processors

    try:
        result = run.simulate(
            loaded.scenario,
            loaded.catalogue,
            progress=progress,
            stop=stop,
            engine=loaded.request.engine,
            workers=loaded.request.workers or min(processors(), _THREADS_MAX),
        )
    except EnsureError as broken:
        studied = broken.result if isinstance(broken, run.BrokenRunError) else None
        kept = keep_broken(loaded, str(broken), studied)
        raise EnsureError(f"{broken} ({kept})") from broken
    return replace(result, why_partial=stop.name) if stop() else result


def account(loaded: Loaded, result: RunResult) -> Accounts:
    """Rate, bill, judge and explain ``result``."""
    from reports.findings import findings
    from scenarios.objectives import judge
    from scenarios.terms import charges_of
    from vpg.billing.month import bill_months
    from vpg.rating.totals import totals

    scenario, catalogue = loaded.scenario, loaded.catalogue
    summed = totals(result.rows, result.delays)
    charges = tuple(charges_of(scenario, result.rows, catalogue))
    bill = bill_months(charges, catalogue, scenario.assumptions.a15_rounding)
    return Accounts(
        totals=summed,
        charges=charges,
        bill=bill,
        objectives=judge(scenario, summed, bill),
        findings=findings(scenario, catalogue, result, summed),
    )


# ---- the run directory ---------------------------------------------------------------------------


def write(
    loaded: Loaded,
    result: RunResult,
    accounts: Accounts,
    stop: StopFlag,
    repeated: Repeated | None = None,
) -> Done:
    """Write the whole run directory; it appears complete, or marked partial, or not at all."""
    import msgspec

    from reports.summary import encode, summary_document
    from vpg.rundir import run_name

    request = loaded.request
    with _writer(loaded) as writer:
        _write_tables(writer, loaded, result, accounts)
        charts = [] if stop() else _draw(writer, loaded, result, accounts)
        if stop():
            result = replace(result, status="partial", why_partial=stop.name)
        document = summary_document(
            scenario=loaded.scenario,
            catalogue=loaded.catalogue,
            result=result,
            charges=accounts.charges,
            bill=accounts.bill,
            objectives=accounts.objectives,
            warnings=loaded.warnings,
            totals=accounts.totals,
            findings=accounts.findings,
            run_dir=str(request.out / run_name(**_naming(loaded))),
            charts=charts,
        )
        if repeated is not None:
            repeated.write(writer)
            document = msgspec.structs.replace(document, replications=repeated.part)
        writer.write_bytes("summary.json", encode(document))
        run_dir = writer.finish(
            _manifest(loaded, document), status=result.status, why_partial=result.why_partial
        )
    return Done(
        run_dir=run_dir,
        document=document,
        why_partial=result.why_partial,
        objectives_met=all(one.met for one in accounts.objectives),
    )


def keep_broken(loaded: Loaded, why: str, result: RunResult | None) -> Path:
    """Keep what a run that broke its own promise was asked, marked partial with the reason.

    ``result``, as far as there is one, is what to find the bug in; nothing is billed from it.
    """
    with _writer(loaded) as writer:
        _write_inputs(writer, loaded)
        if result is not None:
            _write_result(writer, result)
        return writer.finish(_manifest(loaded, None), status="partial", why_partial=why)


def _writer(loaded: Loaded) -> RunDirWriter:
    from vpg.rundir import RunDirWriter

    return RunDirWriter(parent=loaded.request.out, **_naming(loaded))


def _naming(loaded: Loaded) -> dict[str, Any]:
    # Two runs of one second, on one machine or two, must not want the same name.
    identity = f"{loaded.began_us} {os.getpid()} {platform.node()} {loaded.scenario.name}"
    return {
        "scenario": loaded.scenario.name,
        "started_us": loaded.began_us,
        "identity": identity,
    }


def _write_inputs(writer: RunDirWriter, loaded: Loaded) -> None:
    for name, content in loaded.files.items():
        writer.write_bytes(name, content)


def _write_result(writer: RunDirWriter, result: RunResult) -> None:
    writer.write_hourly(result.rows)
    writer.write_delays(result.delays)
    writer.write_peaks(result.minutes)
    writer.write_events(result.notes)


def _write_tables(
    writer: RunDirWriter, loaded: Loaded, result: RunResult, accounts: Accounts
) -> None:
    from vpg.billing.month import bill_csv, bill_document, month_to_date

    _write_inputs(writer, loaded)
    _write_result(writer, result)
    writer.write_charges(accounts.charges)
    writer.write_month_to_date(month_to_date(accounts.charges))
    writer.write_json("bill.json", bill_document(accounts.bill))
    writer.write_text("bill.csv", bill_csv(accounts.bill))


def _draw(writer: RunDirWriter, loaded: Loaded, result: RunResult, accounts: Accounts) -> list[str]:
    request = loaded.request
    if not request.charts:
        return []
    from reports.charts import draw_charts

    paths = draw_charts(
        loaded.scenario,
        loaded.catalogue,
        result,
        accounts.charges,
        writer.folder,
        request.lang,
        request.charts,
    )
    return [writer.path(path.name).name for path in paths]


def _manifest(loaded: Loaded, document: Summary | None) -> dict[str, Any]:
    import msgspec

    from vpg.cli.clock import wall_us
    from vpg.cli.versions import COMPUTING, version_of
    from vpg.timebase import iso_utc

    request, scenario = loaded.request, loaded.scenario
    said = {} if document is None else msgspec.to_builtins(document)
    return {
        "scenario": scenario.name,
        "source": request.source.ready_name or sound(request.source.path.name),
        "source_sha256": hashlib.sha256(loaded.files[SCENARIO_FILE]).hexdigest(),
        "variant": scenario.variant,
        "overrides": list(scenario.overrides),
        "seed": scenario.seed,
        "catalogue": {
            "id": loaded.catalogue.id,
            "sha256": loaded.catalogue.sha256,
            "files": [sound(path.name) for path in request.catalogue_files],
        },
        "assumptions": said.get("assumptions", []),
        "digest": said.get("digest", ""),
        "charges_digest": said.get("charges_digest", ""),
        "versions": {
            "python": platform.python_version(),
            **{name: version_of(name) for name in COMPUTING},
        },
        "platform": f"{platform.system()} {platform.machine()}",
        "charts_lang": request.lang if request.charts else "",
        "wall_start": iso_utc(loaded.began_us),
        "wall_end": iso_utc(wall_us()),
    }
