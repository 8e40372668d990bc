"""Which part of a scenario is played: a window of it, or what is left of it now.

Owns: cutting a scenario in time. Does not own: what happens in it. Times: ``SimUs``.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from scenarios import model
from vpg.timebase import SECOND_US

if TYPE_CHECKING:
    from scenarios.model import Scenario

LEAD_US = SECOND_US // 2
"""A fleet that joins a running scenario begins so much later, times the service's speed."""


def window(scenario: Scenario, from_us: int, until_us: int) -> Scenario:
    """Return [``from_us``, ``until_us``) of ``scenario``: as if it were all.

    Devices begin there without sessions and without messages under way; what happens before or
    after is left out, and what lasts longer is cut.
    """
    until_us = min(until_us, scenario.end_us)
    from_us = max(from_us, scenario.start_us)
    vpgs = tuple(
        dataclasses.replace(vpg, created_at_us=max(vpg.created_at_us, from_us))
        for vpg in scenario.vpgs
        if vpg.created_at_us < until_us
        and (vpg.deleted_at_us is None or vpg.deleted_at_us > from_us)
    )
    known = {vpg.id for vpg in vpgs}
    return dataclasses.replace(
        scenario,
        start_us=from_us,
        end_us=until_us,
        vpgs=vpgs,
        fleets=tuple(fleet for fleet in scenario.fleets if fleet.vpg_id in known),
        events=tuple(event for event in scenario.events if from_us <= event.at_us < until_us),
    )


def following(scenario: Scenario, now_us: int) -> Scenario:
    """Return what of ``scenario`` is still to come at ``now_us``.

    Where service time is outside of the scenario's, the scenario is moved to begin now.
    """
    if now_us < scenario.start_us:
        return scenario
    if now_us < scenario.end_us:
        return window(scenario, now_us, scenario.end_us)
    return moved(scenario, now_us - scenario.start_us)


def moved(scenario: Scenario, by_us: int) -> Scenario:
    """Return ``scenario`` later by ``by_us``; what goes by the clock stays with the clock."""
    return dataclasses.replace(
        scenario,
        start_us=scenario.start_us + by_us,
        end_us=scenario.end_us + by_us,
        vpgs=tuple(_moved(vpg, by_us, "created_at_us", "deleted_at_us") for vpg in scenario.vpgs),
        fleets=tuple(
            dataclasses.replace(
                fleet, traffic=tuple(_moved_source(source, by_us) for source in fleet.traffic)
            )
            for fleet in scenario.fleets
        ),
        events=tuple(_moved(event, by_us, "at_us", "until_us") for event in scenario.events),
    )


def _moved(value: Any, by_us: int, *names: str) -> Any:  # noqa: ANN401 - the same kind as given
    changes = {
        name: getattr(value, name) + by_us
        for name in names
        if getattr(value, name, None) is not None
    }
    return dataclasses.replace(value, **changes)


def _moved_source(source: model.Source, by_us: int) -> model.Source:
    if isinstance(source, model.Burst):
        return dataclasses.replace(source, at_us=source.at_us + by_us)
    if isinstance(source, model.DemandCurve):
        return dataclasses.replace(
            source,
            begins_us=tuple(at_us + by_us for at_us in source.begins_us),
            ends_us=tuple(at_us + by_us for at_us in source.ends_us),
        )
    if isinstance(source, model.Trace):
        return dataclasses.replace(source, times_us=tuple(t + by_us for t in source.times_us))
    return source
