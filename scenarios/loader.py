"""Scenario files to ``scenarios.model.Scenario``, with every mistake at once.

Precedence: --set > variant > file > catalogue default.

Owns: the order of reading, patching, checking and building. Does not own: any single rule. Steps:
bytes → text (``reading``) → tree with places (``places``) → patches (``overrides``) → shape
(``schema``) → parts (``build_*``) → whole (``checks``). A part with a wrong shape does not hide the
mistakes of others.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from scenarios import checks, model, workload
from scenarios.build_events import EventBuilder, Placed
from scenarios.build_fleets import build_fleet
from scenarios.build_vpgs import build_vpg
from scenarios.context import Context
from scenarios.overrides import apply_overrides, name_overrides, variant_names
from scenarios.places import Composer, Node
from scenarios.problems import first_of, from_validation
from scenarios.reading import SCENARIO_BYTES_MAX, decode, fail, read_bytes
from scenarios.schema import (
    OBJECTIVES,
    AssumptionsPart,
    ObjectivePart,
    ScenarioFile,
)
from scenarios.schema_base import RUN_S_MAX, Days, Hours
from scenarios.schema_events import EventValue
from scenarios.schema_fleets import FleetPart
from scenarios.schema_vpgs import VpgPart
from scenarios.tables import TABLE_BYTES_MAX, inside
from scenarios.times import ppm, us
from vpg.errors import InputError, Place, Problem
from vpg.timebase import DAY_US, HOUR_US, SECOND_US

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scenarios.places import Path as NodePath
    from vpg.catalogue.model import Catalogue

_T = TypeVar("_T")
TEXT_NAME = "<text>"


def load_scenario(
    path_or_text: Path | str,
    *,
    catalogue: Catalogue,
    variant: str | None = None,
    sets: Sequence[str] = (),
    folder: Path | None = None,
) -> model.Scenario:
    """Return what the scenario file (a ``Path``) or text (a ``str``) means.

    ``variant`` is one of the file's variants, ``sets`` are ``path=value`` texts. Files that a
    scenario names lie in its own folder, or in ``folder`` for a text. Raises ``InputError`` with
    every problem, in file order.
    """
    if isinstance(path_or_text, Path):
        folder = path_or_text.parent if folder is None else folder
    root, composer = _compose(path_or_text)
    applied, found = apply_overrides(root, variant, sets)
    context = Context(node=root, catalogue=catalogue, folder=folder)
    context.problems = composer.problems + found
    try:
        scenario = _build(root, context, variant or "", applied)
    except RecursionError:  # A bound of ours is wrong, but the person still gets an answer.
        raise fail("VPG1240", root.place, most=0) from None
    if context.problems or scenario is None:
        told = name_overrides(root, variant or "", _sorted(context.problems))
        raise InputError(first_of(told))
    return scenario


def variants(path_or_text: Path | str) -> tuple[str, ...]:
    """Return the names of the variants in a scenario file or text."""
    return variant_names(_compose(path_or_text)[0])


def data_files(
    path: Path, *, variant: str | None = None, sets: Sequence[str] = ()
) -> dict[str, bytes]:
    """Return the files that the scenario file ``path`` names, by the names it uses.

    For a file that loads; what is not there or not allowed is left to ``load_scenario``'s errors.
    """
    root = _compose(path)[0]
    apply_overrides(root, variant, sets)
    names = [
        name
        for fleet in _rows(root.plain().get("fleets"))
        for source in _rows(fleet.get("traffic"))
        if isinstance(name := source.get("file"), str)
    ]
    targets = {name: inside(path.parent, name) for name in names}
    return {
        name: read_bytes(target, TABLE_BYTES_MAX)
        for name, target in targets.items()
        if target is not None
    }


def _rows(items: object) -> list[dict[str, Any]]:
    """Return the mappings of a list in a file, whatever else is in it."""
    return [row for row in items if isinstance(row, dict)] if isinstance(items, tuple) else []


def _compose(path_or_text: Path | str) -> tuple[Node, Composer]:
    if isinstance(path_or_text, Path):
        name = str(path_or_text)
        text = decode(read_bytes(path_or_text, SCENARIO_BYTES_MAX), name)
    else:
        name, text = TEXT_NAME, path_or_text
        if len(text) > SCENARIO_BYTES_MAX:
            raise fail("VPG1233", Place(file=name), size=len(text), most=SCENARIO_BYTES_MAX)
        text = decode(text.encode("utf-8", "surrogatepass"), name)
    composer = Composer(name)
    return composer.compose(text), composer


def _sorted(problems: list[Problem]) -> list[Problem]:
    """Return ``problems`` in file order, one for each place and path (the first found)."""
    unique: dict[tuple[str, str], Problem] = {}
    for problem in problems:
        unique.setdefault((str(problem.place), problem.path), problem)

    def order(problem: Problem) -> tuple[bool, str, int, int]:
        place = problem.place or Place(file="")
        return place.file.startswith("--"), place.file, place.line, place.column

    return sorted(unique.values(), key=order)


@dataclass(slots=True)
class _Parts:
    """The usable parts of a file, each with its index; names also of the unusable ones."""

    vpgs: list[tuple[int, VpgPart]]
    fleets: list[tuple[int, FleetPart]]
    events: list[tuple[int, Any]]
    objectives: list[tuple[int, ObjectivePart]]
    vpg_ids: list[str]
    fleet_names: list[str]


def _build(
    root: Node, context: Context, variant: str, applied: tuple[str, ...]
) -> model.Scenario | None:
    data = root.plain()
    file: ScenarioFile | None = None
    try:
        file = ScenarioFile.model_validate(data)
    except ValidationError as error:
        context.problems += from_validation(error, root, ScenarioFile)
    parts = _parts(data, file)
    _run_bounds(data, context)
    vpgs = [(build_vpg(part, index, context), ("vpgs", index)) for index, part in parts.vpgs]
    vpgs_at: list[tuple[model.Vpg, NodePath]] = [(v, at) for v, at in vpgs if v is not None]
    built_vpgs = [vpg for vpg, _ in vpgs_at]
    fleets = [
        (build_fleet(part, index, context), ("fleets", index)) for index, part in parts.fleets
    ]
    events = _events(parts, built_vpgs, [fleet for fleet, _ in fleets], context)
    _cross(data, parts, fleets, events, context)
    filled = checks.replay(built_vpgs, events, context)
    happenings = list(zip(filled, (path for _, path in events), strict=True))
    checks.check_catalogue(vpgs_at, happenings, context)
    built_fleets = [fleet for fleet, _ in fleets]
    workload.check_work(built_fleets, happenings, context)
    if file is not None:
        chosen = build_assumptions(file.assumptions)
        workload.check_limiters(vpgs_at, built_fleets, happenings, chosen, context)
    if file is None or context.problems or context.start_us is None or context.end_us is None:
        return None
    return model.Scenario(
        name=file.name,
        title=file.title if isinstance(file.title, str) else file.title.en,
        start_us=context.start_us,
        end_us=context.end_us,
        seed=file.seed,
        vpgs=tuple(built_vpgs),
        fleets=tuple(built_fleets),
        events=tuple(filled),
        objectives=tuple(build_objective(part) for _, part in parts.objectives),
        assumptions=build_assumptions(file.assumptions),
        variant=variant,
        overrides=applied,
        title_ja="" if isinstance(file.title, str) else file.title.ja,
    )


def _parts(data: dict[str, Any], file: ScenarioFile | None) -> _Parts:
    if file is not None:
        return _Parts(
            list(enumerate(file.vpgs)),
            list(enumerate(file.fleets)),
            list(enumerate(file.events)),
            list(enumerate(file.objectives)),
            [vpg.id for vpg in file.vpgs],
            [fleet.name for fleet in file.fleets],
        )
    return _Parts(
        _usable(data.get("vpgs"), TypeAdapter(VpgPart)),
        _usable(data.get("fleets"), TypeAdapter(FleetPart)),
        _usable(data.get("events"), TypeAdapter(EventValue)),
        _usable(data.get("objectives"), TypeAdapter(ObjectivePart)),
        _names(data.get("vpgs"), "id"),
        _names(data.get("fleets"), "name"),
    )


def _usable(items: object, adapter: TypeAdapter[_T]) -> list[tuple[int, _T]]:
    usable = []
    for index, item in enumerate(items if isinstance(items, tuple) else ()):
        try:
            usable.append((index, adapter.validate_python(item)))
        except ValidationError:
            continue  # Already reported with the whole file.
    return usable


def _names(items: object, key: str) -> list[str]:
    rows = items if isinstance(items, tuple) else ()
    return [str(row[key]) for row in rows if isinstance(row, dict) and key in row]


def _run_bounds(data: dict[str, Any], context: Context) -> None:
    """Find start and end of the run, even when the file's shape is wrong elsewhere."""
    start, end = data.get("start"), data.get("end")
    if isinstance(start, str):
        context.start_us = context.instant(start, ("start",))
    if isinstance(end, str):
        context.end_us = context.instant(end, ("end",))
    if context.start_us is None:
        return
    for key, unit_us, kind in (("duration_h", HOUR_US, Hours), ("duration_d", DAY_US, Days)):
        for _, length in _usable((data[key],) if key in data else (), TypeAdapter[Any](kind)):
            if context.end_us is None:
                context.end_us = context.start_us + int(length * unit_us)
    if context.end_us is None:
        return
    key = next((k for k in ("end", "duration_h", "duration_d") if k in data), "end")
    if context.end_us <= context.start_us:
        context.problem("VPG1256", (key,), value=str(data[key]))
        context.end_us = None
    elif context.end_us - context.start_us > RUN_S_MAX * SECOND_US:
        context.problem("VPG1286", (key,), most=RUN_S_MAX // 86_400)


def _events(
    parts: _Parts, vpgs: list[model.Vpg], fleets: list[model.Fleet], context: Context
) -> list[Placed]:
    builder = EventBuilder(
        context,
        {vpg.id: vpg for vpg in vpgs},
        parts.vpg_ids,
        {fleet.name: fleet.lines for fleet in fleets},
        parts.fleet_names,
    )
    placed = [event for index, part in parts.events for event in builder.build(part, index)]
    return sorted(placed, key=lambda item: (item[0].at_us, item[1][1]))


def _cross(
    data: dict[str, Any],
    parts: _Parts,
    fleets: Sequence[tuple[model.Fleet, NodePath]],
    events: list[Placed],
    context: Context,
) -> None:
    if isinstance(data.get("name"), str):
        checks.check_name(data["name"], context)
    for key, field in (("vpgs", "id"), ("fleets", "name")):
        rows = data.get(key)
        named = [
            (row[field], (key, index, field))
            for index, row in enumerate(rows if isinstance(rows, tuple) else ())
            if isinstance(row, dict) and isinstance(row.get(field), str)
        ]
        checks.check_unique(named, context)
    fleet_rows = data.get("fleets")
    for index, row in enumerate(fleet_rows if isinstance(fleet_rows, tuple) else ()):
        if isinstance(row, dict) and isinstance(row.get("vpg"), str):
            where = ("fleets", index, "vpg")
            checks.check_reference("VPG1228", row["vpg"], parts.vpg_ids, where, context)
    for index, objective in parts.objectives:
        if objective.vpg is not None:
            place = ("objectives", index, "vpg")
            checks.check_reference("VPG1228", objective.vpg, parts.vpg_ids, place, context)
            if objective.charges_yen_max is not None:
                context.problem("VPG1299", place, key="vpg", other="charges_yen_max")
    checks.check_lines(fleets, events, context)


def build_objective(part: ObjectivePart) -> model.Objective:
    """Return the objective in the model's unit: percent as ppm, seconds as µs."""
    key = next(name for name in OBJECTIVES if getattr(part, name) is not None)
    value = getattr(part, key)
    kind, limit = key, value
    if "_percent_" in key:
        kind, limit = key.replace("_percent_", "_ppm_"), ppm(value)
    elif key == "delay_s_p99_max":
        kind, limit = "delay_us_p99_max", us(value)
    return model.Objective(kind=kind, limit=int(limit), vpg_id=part.vpg or "")


def build_assumptions(part: AssumptionsPart) -> model.Assumptions:
    """Return the assumptions as the model names them."""
    cut_after_s = part.cut_after_s
    return model.Assumptions(
        a01_line_cap=part.line_cap,
        a02_above_line_cap=part.above_line_cap,
        a03_above_rate=part.above_rate,
        a05_rate_shared=part.rate_shared,
        a06_beam_legs=part.beam_legs,
        a09_included_connection=part.included_connection,
        a10_inspection=part.inspection,
        a11_junction_inspection=part.junction_inspection,
        a13_size_change=part.size_change,
        a15_rounding=part.rounding,
        a16_idle_timeout_us=us(part.idle_timeout_s),
        a17_ghosts=part.ghosts,
        a18_session_setup_per_s=part.session_setup_per_s,
        a28_cut_after_us=None if cut_after_s is None else us(cut_after_s),
        a28_cut_after_bytes=part.cut_after_bytes,
        a32_resize_hour=part.resize_hour,
        a35_mirror_throttled=part.mirror_throttled,
    )
