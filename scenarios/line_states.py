"""What every line of a scenario is over time, as far as the file says.

Owns: following ``line_change`` and ``growth`` through the run, changes that no line can make, and
the fees that lines owe by the month. Does not own: which change is possible (``vpg.billing.
lifecycle``), or what traffic does. Times: ``*_us`` is ``SimUs``.

A fleet that the file begins as ``terminated`` stands for lines that are not opened yet (the
importer of line lists writes them so, because nothing attaches them): they may become ``active``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from scenarios import model
from vpg.billing.lifecycle import LineStatus, Since, allowed, line_months, may_become
from vpg.rating.usage import Usage
from vpg.timebase import hour_start

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Lines [first, end) of a fleet that have always been the same."""

    first: int
    end: int
    history: tuple[Since, ...]

    @property
    def status(self) -> LineStatus:
        """What the lines are after the last change."""
        return self.history[-1].status

    @property
    def unopened(self) -> bool:
        """Whether the file began these lines as terminated and nothing has opened them."""
        return len(self.history) == 1 and self.status == "terminated"

    def may_become(self, status: LineStatus) -> bool:
        """Return whether the lines can be set to ``status``."""
        return may_become(self.status, status) or (self.unopened and status == "active")


class Refusal(NamedTuple):
    """A change that these lines cannot make."""

    first: int
    last: int
    before: LineStatus
    allowed: tuple[LineStatus, ...]


class LineStates:
    """The lines of every fleet, group by group; takes events in order of time."""

    def __init__(self, fleets: Iterable[model.Fleet], start_us: int) -> None:
        self._groups = {
            fleet.name: [Group(first=0, end=fleet.lines, history=(Since(start_us, fleet.status),))]
            for fleet in fleets
        }

    def groups(self, fleet: str) -> Sequence[Group]:
        """Return the groups of a fleet; together they hold every line that ever was in it."""
        return self._groups[fleet]

    def take(self, event: model.Event) -> list[Refusal]:
        """Follow one event; return what it asks of lines that cannot do it."""
        if isinstance(event, model.Growth) and event.fleet in self._groups:
            groups = self._groups[event.fleet]
            first = max((group.end for group in groups), default=0)
            history = (Since(event.at_us, "active"),)
            groups.append(Group(first=first, end=first + event.lines, history=history))
        elif isinstance(event, model.LineChange) and event.fleet in self._groups:
            return self._change(event)
        return []

    def _change(self, event: model.LineChange) -> list[Refusal]:
        begin, end = event.first_line, event.first_line + event.lines
        kept: list[Group] = []
        refused: list[Refusal] = []
        for group in self._groups[event.fleet]:
            first, last = max(group.first, begin), min(group.end, end)
            if first >= last:
                kept.append(group)
                continue
            kept += [replace(group, end=first)] if group.first < first else []
            kept.append(_changed(replace(group, first=first, end=last), event))
            kept += [replace(group, first=last)] if last < group.end else []
            if not group.may_become(event.status):
                may = ("active",) if group.unopened else allowed(group.status)
                refused.append(Refusal(first, last - 1, group.status, may))
        self._groups[event.fleet] = kept
        return refused


def _changed(group: Group, event: model.LineChange) -> Group:
    if group.status == event.status or not group.may_become(event.status):
        return group
    return replace(group, history=(*group.history, Since(event.at_us, event.status)))


def line_usage(scenario: model.Scenario, until_us: int) -> list[Usage]:
    """Return the monthly fees that the scenario's lines owe up to ``until_us``.

    They are counted for the VPG of their fleet, in the first hour of each rating month, or of the
    run. The first connection of a ``ready`` line makes it ``active``: where the fleet connects at
    all, its ready lines count as in use from the start on.
    """
    states = LineStates(map(_connected, scenario.fleets), scenario.start_us)
    for event in scenario.events:
        if event.at_us < until_us:
            states.take(event)
    first_hour = hour_start(scenario.start_us)
    counts: dict[tuple[str, int, str], int] = {}
    for fleet in scenario.fleets:
        for group in states.groups(fleet.name):
            for month_us, item in line_months(group.history, until_us):
                key = (fleet.vpg_id, max(month_us, first_hour), item)
                counts[key] = counts.get(key, 0) + group.end - group.first
    return [
        Usage(vpg_id=vpg_id, hour_start_us=hour_us, bill_item=item, quantity=lines)
        for (vpg_id, hour_us, item), lines in sorted(counts.items())
    ]


def _connected(fleet: model.Fleet) -> model.Fleet:
    connects = fleet.traffic or fleet.session.attach == "at_start"
    return replace(fleet, status="active") if fleet.status == "ready" and connects else fleet
