"""The scenario file an import writes: one VPG and its fleets, as YAML text.

Owns: key order, quoting, names of fleets, the choice of ``size: auto``. Does not own: the format's
keys (``scenarios.schema``). Equal input gives equal bytes. Nothing that names a person's line
(phone number, SIM serial, IMSI) is ever handed to this module.
"""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias

from scenarios.importers.options import LINES_MAX
from vpg.catalogue.load import load_catalogue
from vpg.errors import InputError, Place, Problem
from vpg.timebase import from_datetime

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from scenarios.importers.options import ImportOptions
    from scenarios.importers.tally import Tally

FLEETS_MAX = 1_000
VPG_ID = "vpg1"
_SIZED_TYPES = ("C", "D")
_SIZES = ("small", "medium", "large")
_NOT_NAME = re.compile(r"[^A-Za-z0-9]+")
_PART_CHARS_MAX = 24
_WIDTH = 96


Value: TypeAlias = "str | int | Decimal | list[Value] | dict[str, Value]"


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetOut:
    """One fleet to write: ``attaches`` says whether its lines ever hold a session."""

    name: str
    lines: int
    status: str = "active"
    attaches: bool = True
    traffic: tuple[dict[str, Value], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioOut:
    """One scenario to write. ``comments`` open the file: its source and what is assumed."""

    name: str
    title: str
    start: dt.datetime
    hours: int
    comments: tuple[str, ...]
    fleets: tuple[FleetOut, ...]


def name_part(text: str, default: str) -> str:
    """Return ``text`` as a part of a fleet's name; ``default`` when nothing of it can stay.

    >>> name_part("B2B/10GB プラン", "plan")
    'B2B-10GB'
    """
    return _NOT_NAME.sub("-", text).strip("-")[:_PART_CHARS_MAX].strip("-") or default


def unique_names(wanted: Sequence[str]) -> list[str]:
    """Return ``wanted`` with ``-2``, ``-3`` … behind the names that occur again.

    >>> unique_names(["a", "a", "b"])
    ['a', 'a-2', 'b']
    """
    taken: set[str] = set()
    names = []
    for base in wanted:
        name, number = base, 1
        while name in taken:
            number += 1
            name = f"{base}-{number}"
        taken.add(name)
        names.append(name)
    return names


def scenario_yaml(out: ScenarioOut, options: ImportOptions, tally: Tally) -> str:
    """Return the scenario as YAML text; tells ``tally`` when one VPG cannot hold the lines."""
    fleets = _split(out.fleets)
    if len(fleets) > FLEETS_MAX:
        values = {"fleets": len(fleets), "bound": FLEETS_MAX}
        raise InputError([Problem(code="VPG1317", place=Place(file=tally.file), values=values)])
    attaching = sum(fleet.lines for fleet in fleets if fleet.attaches)
    vpg: dict[str, Value] = {"id": VPG_ID, "type": options.vpg_type}
    size = _size(options, attaching, from_datetime(out.start), tally)
    if size:
        vpg["size"] = size
    document: dict[str, Value] = {
        "vpgsim": 1,
        "name": out.name,
        "title": out.title,
        "start": out.start.isoformat(),
        "duration_h": out.hours,
        "seed": options.seed,
        "vpgs": [vpg],
        "fleets": [_fleet(fleet) for fleet in fleets],
        "objectives": [
            {"accepted_percent_min": Decimal("99.9")},
            {"refused_attach_percent_max": 0},
        ],
    }
    head = "".join(f"# {line}\n" if line else "#\n" for line in out.comments)
    return head + "\n".join(_block(document, 0)) + "\n"


def _split(fleets: Sequence[FleetOut]) -> list[FleetOut]:
    """Return ``fleets`` with those above the format's bound of lines in several parts."""
    parts: list[FleetOut] = []
    for fleet in fleets:
        starts = range(0, fleet.lines, LINES_MAX)
        parts += [replace(fleet, lines=min(LINES_MAX, fleet.lines - s)) for s in starts]
    names = unique_names([part.name for part in parts])
    return [replace(part, name=name) for name, part in zip(names, parts, strict=True)]


def _fleet(fleet: FleetOut) -> Value:
    out: dict[str, Value] = {"name": fleet.name, "vpg": VPG_ID, "lines": fleet.lines}
    out["status"] = fleet.status
    if fleet.attaches:
        out["session"] = {"attach": "on_report"}
        out["attach_retry"] = "nas_standard"
    else:
        # No event ever asks these lines to attach.
        out["session"] = {"attach": "on_event"}
    if fleet.traffic:
        out["traffic"] = list(fleet.traffic)
    return out


def _size(options: ImportOptions, lines: int, at_us: int, tally: Tally) -> str:
    """Return the size to write, "" for types without; tells VPG1370 when none holds ``lines``."""
    if options.vpg_type not in _SIZED_TYPES:
        return ""
    if options.size != "auto":
        try:
            cap = _lines_max(options.vpg_type, options.size, at_us)
        except InputError:
            # Before our figures begin; whoever names a size may have a table of that time.
            return options.size
        if cap is not None and lines > cap:
            tally.tell("VPG1370", lines=lines, size=options.size, cap=cap)
        return options.size
    cap = None
    for size in _SIZES:
        try:
            cap = _lines_max(options.vpg_type, size, at_us)
        except InputError as exc:
            hint = Problem(code="VPG1373", place=Place(file=tally.file))
            raise InputError([*exc.problems, hint]) from None
        if cap is None or lines <= cap:
            return size
    tally.tell("VPG1370", lines=lines, size=_SIZES[-1], cap=cap)
    return _SIZES[-1]


@functools.cache
def _lines_max(vpg_type: str, size: str, at_us: int) -> int | None:
    return load_catalogue().limits(vpg_type, size, at_us).lines_max


def _scalar(value: Value) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, int):
        return str(value)
    # A JSON string is a YAML string, whatever it looks like.
    return json.dumps(value, ensure_ascii=False)


def _block(value: dict[str, Value], indent: int) -> list[str]:
    """Return a mapping as YAML lines, ``indent`` spaces deep."""
    pad = " " * indent
    lines: list[str] = []
    for key, item in value.items():
        if isinstance(item, dict):
            lines.append(f"{pad}{key}: {_flow(item)}")
        elif isinstance(item, list):
            lines.append(f"{pad}{key}:")
            for element in item:
                lines += _element(element, indent + 2)
        else:
            lines.append(f"{pad}{key}: {_scalar(item)}")
    return lines


def _element(element: Value, indent: int) -> list[str]:
    """Return one element of a list as YAML lines; on one line if it is flat and short."""
    pad = " " * indent
    if not isinstance(element, dict):
        return [f"{pad}- {_scalar(element)}"]
    if not any(isinstance(item, list) for item in element.values()):
        flow = f"{pad}- {_flow(element)}"
        if len(flow) <= _WIDTH:
            return [flow]
    lines = _block(element, indent + 2)
    return [f"{pad}- {lines[0].lstrip()}", *lines[1:]]


def _flow(value: dict[str, Value]) -> str:
    items = ", ".join(
        f"{key}: {_flow(item) if isinstance(item, dict) else _scalar(item)}"
        for key, item in value.items()
    )
    return f"{{{items}}}"
