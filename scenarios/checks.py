"""Checks across the whole scenario: names, references, and each VPG's state over time.

Owns: what is wrong between parts that are each fine. Does not own: single values (``schema``),
single parts (``build_*``), or doubts that do not stop a run (``warnings``).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scenarios import model
from scenarios.build_vpgs import SIZED_TYPES, check_size
from scenarios.line_states import LineStates
from scenarios.problems import closest, listed
from scenarios.schema_base import LINES_MAX
from vpg.timebase import iso_jst

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scenarios.build_events import Placed
    from scenarios.context import Context
    from scenarios.places import Path

RESERVED_NAMES = frozenset(
    ("con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10)))
)
"""Names that Windows keeps for devices, so no file or folder can have them."""


def check_name(name: str, context: Context) -> None:
    """Note a scenario name that cannot be a folder's name on Windows."""
    if name in RESERVED_NAMES:
        context.problem("VPG1280", ("name",), value=name)


def check_unique(names: Sequence[tuple[str, Path]], context: Context) -> None:
    """Note each second use of an id or name."""
    first: dict[str, int] = {}
    for name, path in names:
        if name in first:
            context.problem("VPG1265", path, value=name, first=first[name])
        first.setdefault(name, context.node.place_of(path).line)


def check_reference(
    code: str, value: str, known: Sequence[str], path: Path, context: Context
) -> None:
    """Note a ``value`` that is none of ``known``."""
    if value not in known:
        context.problem(
            code, path, value=value, hint=closest(value, known), known=listed(known) or "-"
        )


def check_lines(
    fleets: Sequence[tuple[model.Fleet, Path]], events: Sequence[Placed], context: Context
) -> None:
    """Note too many lines in all, and changes that a fleet's lines cannot make by then."""
    have = {fleet.name: fleet.lines for fleet, _ in fleets}
    total = sum(have.values())
    if total > LINES_MAX:
        context.problem("VPG1281", ("fleets",), value=total, most=LINES_MAX)
        return
    states = LineStates((fleet for fleet, _ in fleets), context.start_us or 0)
    for event, path in events:
        if isinstance(event, model.Growth) and event.fleet in have:
            have[event.fleet] += event.lines
            total += event.lines
            if total > LINES_MAX:
                context.problem("VPG1281", (*path, "lines"), value=total, most=LINES_MAX)
                return
        elif isinstance(event, model.LineChange) and event.fleet in have:
            last = event.first_line + event.lines
            if event.lines < 1 or last > have[event.fleet]:
                context.problem("VPG1282", path, value=last - 1, most=have[event.fleet] - 1)
                continue
        for refused in states.take(event):
            context.problem(
                "VPG1609",
                (*path, "status"),
                first=refused.first,
                last=refused.last,
                before=refused.before,
                value=getattr(event, "status", ""),
                allowed=listed(refused.allowed) or "-",
            )


def check_catalogue(
    vpgs: Iterable[tuple[model.Vpg, Path]], events: Iterable[Placed], context: Context
) -> None:
    """Note each figure that no table gives somewhere in the run: a stale table is no guess."""
    if context.start_us is None or context.end_us is None:
        return
    kinds: dict[tuple[str, str], Path] = {}
    for vpg, path in vpgs:
        kinds.setdefault((vpg.type, vpg.size), (*path, "type"))
    for event, path in events:
        if isinstance(event, model.Recreate) and bool(event.size) == (event.type in SIZED_TYPES):
            kinds.setdefault((event.type, event.size), path)
    for kind, path in kinds.items():
        found = context.catalogue.coverage_of(
            start_us=context.start_us, end_us=context.end_us, vpgs=[kind]
        )
        place = context.node.place_of(path)
        context.problems += [dataclasses.replace(problem, place=place) for problem in found]


@dataclass(slots=True)
class _State:
    """What one VPG is at one instant."""

    vpg: model.Vpg
    type: model.VpgType
    size: model.SizeName
    connections: dict[str, int]
    switched: dict[str, int]
    redirects: bool
    """Whether redirection is on at any instant."""

    def features(self) -> list[str]:
        """Return the functions in use, as the catalogue names them."""
        used = [kind for kind, count in self.connections.items() if count > 0]
        if any(self.switched[name] for name in ("mirroring", "redirection", "inspection")):
            used.append("junction")
        return used + (["fixed_ip"] if self.switched["fixed_ip"] else [])


def replay(
    vpgs: Iterable[model.Vpg], events: Sequence[Placed], context: Context
) -> list[model.Event]:
    """Walk through ``events`` (in time order), note what a VPG cannot do by then.

    Returns the events with the type and size that a ``recreate`` leaves as they were filled in.
    """
    redirecting = {
        event.vpg_id
        for event, _ in events
        if isinstance(event, model.FeatureSwitch) and event.feature == "redirection" and event.value
    }
    states = {
        vpg.id: _State(
            vpg,
            vpg.type,
            vpg.size,
            {"peering": vpg.peering, "vif": vpg.vif, "vpn": vpg.vpn},
            {
                "mirroring": int(vpg.mirroring),
                "redirection": int(vpg.redirection),
                "inspection": int(vpg.inspection),
                "fixed_ip": vpg.fixed_ip_sets,
            },
            vpg.redirection or vpg.id in redirecting,
        )
        for vpg in vpgs
    }
    return [_step(event, path, states, context) for event, path in events]


def _step(
    event: model.Event, path: Path, states: dict[str, _State], context: Context
) -> model.Event:
    state = states.get(getattr(event, "vpg_id", ""))
    if state is None:
        return event
    gone_us = state.vpg.deleted_at_us
    if event.at_us < state.vpg.created_at_us or (gone_us is not None and event.at_us >= gone_us):
        context.problem("VPG1283", (*path, "at"), value=iso_jst(event.at_us), vpg=state.vpg.id)
        return event
    match event:
        case model.Recreate():
            return _recreate(event, path, state, context)
        case model.FeatureSwitch():
            state.switched[event.feature] = event.value
            feature = "fixed_ip" if event.feature == "fixed_ip" else "junction"
            if event.value and not context.catalogue.allows(state.type, feature):
                context.problem("VPG1262", path, type=state.type, feature=feature)
        case model.RedirectionFault() if not state.redirects:
            context.problem("VPG1287", (*path, "vpg"), value=state.vpg.id)
        case model.ConnectionChange():
            state.connections[event.kind] += event.change
            if state.connections[event.kind] < 0:
                context.problem("VPG1284", (*path, "change"), value=event.change, kind=event.kind)
                state.connections[event.kind] = 0
            if event.change > 0 and not context.catalogue.allows(state.type, event.kind):
                context.problem("VPG1262", path, type=state.type, feature=event.kind)
        case _:
            pass
    return event


def _recreate(event: model.Recreate, path: Path, state: _State, context: Context) -> model.Event:
    written = context.node.value_at((*path, "type")) is not None
    kind = event.type if written else state.type
    size = event.size or (state.size if kind in SIZED_TYPES else "")
    if check_size(kind, size or None, path, context) is None:
        return event
    if (kind, size) == (state.type, state.size):
        context.problem("VPG1285", path, type=kind, size=size)
    for feature in state.features():
        if kind != state.type and not context.catalogue.allows(kind, feature):
            context.problem("VPG1262", path, type=kind, feature=feature)
    state.type, state.size = kind, size
    return dataclasses.replace(event, type=kind, size=size)
