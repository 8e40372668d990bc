"""One sweep, step by step: check every point, compute the missing runs, keep the table.

Owns: the order of the steps, the identity of a sweep, and its directory's manifest. Does not own:
the grid (``sim.sweep``), points (``sim.points``), who computes (``sim.pool``), finished runs
(``vpg.sweepwork``). Times: the wall clock appears in the manifest and the directory's name only.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vpg.cli.terminal import sound
from vpg.errors import InputError, Place, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sim.points import PointPlan, Reached, Wanted
    from sim.pool import Team
    from sim.sweep import Sweep
    from vpg.cli.documents import SweepDocument
    from vpg.cli.replications import Asked
    from vpg.cli.runner import Loaded, Request
    from vpg.cli.stopping import StopFlag
    from vpg.sweeps import PointRow
    from vpg.sweepwork import SweepWork

TABLE, RUNS_TABLE = "sweep", "replications"
_PARTIAL = "Finished points of a sweep that has not ended; the same command goes on from them."


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A sweep of which every point can run."""

    sweep: Sweep
    asked: Asked
    wanted: Wanted
    total: int
    """Points."""
    loaded: Loaded
    """The first point, and the files of all."""
    warnings: tuple[Problem, ...]
    identity: str
    """Digest of all that a run depends on; how many are asked for is not in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A sweep's directory and what is in it."""

    sweep_dir: Path
    charts: tuple[str, ...] = ()
    digest: str = ""


def read_sweep(request: Request, overs: Sequence[str], asked: Asked) -> Sweep:
    """Return what ``request`` and the ``--over`` texts mean; raises ``UsageError``."""
    from sim.sweep import Sweep, check_runs, read_axes

    axes = read_axes(overs)
    check_runs(axes, asked.replications)
    return Sweep(
        scenario=request.source.path, variant=request.variant, sets=request.sets, axes=axes
    )


def prepare(request: Request, sweep: Sweep, asked: Asked) -> Prepared:
    """Check every point; raises ``InputError`` or ``UsageError`` before anything is written."""
    from sim.points import Wanted
    from sim.sweep import check_keys, check_points, inputs
    from vpg.catalogue.load import load_catalogue
    from vpg.cli.runner import load
    from vpg.sweeps import point_count

    doubts = check_points(sweep, load_catalogue(request.catalogue_files))
    check_keys(sweep)
    first = sweep.sets_of([axis.values[0] for axis in sweep.axes])
    loaded = load(replace(request, sets=first))
    loaded = replace(loaded, request=request, files=loaded.files | inputs(sweep))
    _check_data_names(loaded)
    return Prepared(
        sweep=sweep,
        asked=asked,
        wanted=Wanted(replications=asked.replications, until=asked.until),
        total=point_count(sweep.axes),
        loaded=loaded,
        warnings=tuple(doubts),
        identity=_identity(sweep, loaded),
    )


def _check_data_names(loaded: Loaded) -> None:
    from vpg.cli.runner import SCENARIO_FILE
    from vpg.rundir import OWN_FILES
    from vpg.sweepwork import JOURNAL

    tables = {f"{table}.{kind}" for table in (TABLE, RUNS_TABLE) for kind in ("csv", "parquet")}
    own = (OWN_FILES | tables | {JOURNAL}) - {SCENARIO_FILE}
    place = Place(file=sound(str(loaded.request.source.path)))
    taken = sorted(own.intersection(loaded.files))
    if taken:
        raise InputError(
            [Problem(code="VPG1459", place=place, values={"name": name}) for name in taken]
        )


def _identity(sweep: Sweep, loaded: Loaded) -> str:
    from vpg.cli.versions import DISTRIBUTION, version_of
    from vpg.rating import hourly
    from vpg.sweeps import SCHEMA

    told = {
        "schemas": [SCHEMA, hourly.SCHEMA],
        "version": version_of(DISTRIBUTION),
        "files": {name: _sha256(content) for name, content in sorted(loaded.files.items())},
        "catalogue": loaded.catalogue.sha256,
        "variant": sweep.variant or "",
        "sets": sweep.sets,
        "axes": [[axis.key, axis.values] for axis in sweep.axes],
    }
    return _sha256(json.dumps(told, ensure_ascii=True).encode())


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# ---- computing -----------------------------------------------------------------------------------


def work_of(prepared: Prepared) -> SweepWork:
    """Return the working directory that belongs to this very sweep."""
    from vpg.sweepwork import SweepWork

    loaded = prepared.loaded
    return SweepWork(
        parent=loaded.request.out,
        scenario=loaded.scenario.name,
        identity=prepared.identity,
    )


def begin(prepared: Prepared, work: SweepWork, *, fresh: bool) -> PointPlan:
    """Make the working directory and return the runs: those finished already, and those to come."""
    from sim.points import PointPlan

    out = prepared.loaded.request.out
    if sound(str(out)) != str(out):
        values = {"reason": "the name is not valid text (UTF-8)"}
        raise InputError([Problem(code="VPG1451", place=Place(file=str(out)), values=values)])
    known = work.open(prepared.loaded.files, _PARTIAL, fresh=fresh)
    return PointPlan(prepared.sweep, prepared.wanted, known, work.add)


def compute(
    prepared: Prepared,
    work: SweepWork,
    plan: PointPlan,
    team: Team,
    *,
    progress: Callable[[Reached], None] | None,
    stop: StopFlag,
) -> None:
    """Compute the runs that ``plan`` lacks, and keep each in ``work``."""
    from sim import points
    from vpg.cli.runner import SCENARIO_FILE

    job = points.PointJob(
        # The copy: a change of the file meanwhile must not reach the later points.
        sweep=replace(prepared.sweep, scenario=work.path / SCENARIO_FILE),
        catalogue=prepared.loaded.catalogue,
        inputs=prepared.loaded.files,
    )
    points.compute(job, plan, team, progress=progress, stop=stop)


# ---- the result ----------------------------------------------------------------------------------


def write(prepared: Prepared, plan: PointPlan, stop: StopFlag) -> Kept | None:
    """Write the sweep's directory; it appears complete, or (a failure, ``stop``) not at all."""
    from vpg.rundir import RunDirWriter
    from vpg.runtables import to_csv, to_parquet
    from vpg.sweeps import point_table, run_rows, run_table, table_rows

    loaded, axes, rows = prepared.loaded, prepared.sweep.axes, plan.rows()
    name = f"{TABLE}-{loaded.scenario.name}"
    with RunDirWriter(
        parent=loaded.request.out,
        scenario=name,
        started_us=loaded.began_us,
        identity=f"{loaded.began_us} {os.getpid()} {platform.node()} {name}",
    ) as writer:
        for file, content in loaded.files.items():
            writer.write_bytes(file, content)
        table, cells = point_table(axes), table_rows(axes, rows)
        as_csv = to_csv(table, cells)
        writer.write_bytes(f"{TABLE}.csv", as_csv)
        writer.write_bytes(f"{TABLE}.parquet", to_parquet(table, cells))
        if prepared.wanted.replications > 1:
            runs, run_cells = run_table(axes), run_rows(axes, plan.runs())
            writer.write_bytes(f"{RUNS_TABLE}.csv", to_csv(runs, run_cells))
            writer.write_bytes(f"{RUNS_TABLE}.parquet", to_parquet(runs, run_cells))
        charts = _draw(prepared, rows, writer.folder)
        for chart in charts:
            writer.path(chart)
        if stop():
            return None
        digest = _sha256(as_csv)
        sweep_dir = writer.finish(_manifest(prepared, rows, digest))
    return Kept(sweep_dir=sweep_dir, charts=charts, digest=digest)


def _draw(prepared: Prepared, rows: Sequence[PointRow], folder: Path) -> tuple[str, ...]:
    request = prepared.loaded.request
    if not request.charts:
        return ()
    from reports.sweep_charts import draw_sweep

    paths = draw_sweep(
        prepared.loaded.scenario,
        prepared.sweep.axes,
        rows,
        folder,
        request.lang,
        request.charts,
    )
    return tuple(path.name for path in paths)


def _manifest(prepared: Prepared, rows: Sequence[PointRow], digest: str) -> dict[str, Any]:
    from scenarios.register import register
    from vpg.cli.clock import wall_us
    from vpg.cli.runner import SCENARIO_FILE
    from vpg.cli.versions import COMPUTING, version_of
    from vpg.sweeps import SCHEMA
    from vpg.timebase import iso_utc

    loaded, request = prepared.loaded, prepared.loaded.request
    return {
        "schema_version": SCHEMA,
        "scenario": loaded.scenario.name,
        "source": request.source.ready_name or sound(request.source.path.name),
        "source_sha256": _sha256(loaded.files[SCENARIO_FILE]),
        "variant": loaded.scenario.variant,
        "sets": list(prepared.sweep.sets),
        "over": [{"key": a.key, "values": list(a.values)} for a in prepared.sweep.axes],
        "replications": prepared.wanted.replications,
        "until": prepared.asked.until_text,
        "points_total": prepared.total,
        "points_done": len(rows),
        "runs_done": sum(row.replications for row in rows),
        "identity": prepared.identity,
        "catalogue": {
            "id": loaded.catalogue.id,
            "sha256": loaded.catalogue.sha256,
            "files": [sound(path.name) for path in request.catalogue_files],
        },
        "assumptions_of_first_point": [
            {"id": one.id, "key": one.key or "", "chosen": str(one.chosen(loaded.scenario))}
            for one in register()
        ],
        "digest": digest,
        "versions": {
            "python": platform.python_version(),
            **{name: version_of(name) for name in COMPUTING},
        },
        "platform": f"{platform.system()} {platform.machine()}",
        "charts_lang": request.lang if request.charts else "",
        "wall_start": iso_utc(loaded.began_us),
        "wall_end": iso_utc(wall_us()),
    }


def document(prepared: Prepared, plan: PointPlan, kept: Kept, why_partial: str) -> SweepDocument:
    """Return the document of ``vpg sweep --json``."""
    from vpg.cli.documents import SweepDocument, problem_part

    scenario, rows = prepared.loaded.scenario, plan.rows()
    return SweepDocument(
        scenario=scenario.name,
        title=scenario.title,
        variant=scenario.variant,
        overrides=list(prepared.sweep.sets),
        sweep_dir=sound(str(kept.sweep_dir)),
        status="partial" if why_partial else "complete",
        why_partial=why_partial,
        points_total=prepared.total,
        points_done=len(rows),
        replications=prepared.wanted.replications,
        until=prepared.asked.until_text,
        axes=list(prepared.sweep.axes),
        points=rows,
        warnings=[problem_part(warning) for warning in prepared.warnings],
        charts=list(kept.charts),
        digest=kept.digest,
    )
