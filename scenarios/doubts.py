"""What is doubtful in a scenario but does not stop it: warnings, told before a run.

Owns: uncapped and unpriced types, assumed limits, parts that do nothing. Does not own: mistakes
(``loader``).
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from scenarios import model
from scenarios.schema_base import plain
from scenarios.workload import SLOW_S, expected_messages, expected_s
from vpg.errors import Problem

if TYPE_CHECKING:
    from vpg.catalogue.model import Catalogue

MIRROR_PEERS_ASSUMED = 2
"""A-20: a limit exists (terms of service 9.1) but its value is not published."""
CONNECTIONS_ASSUMED = 50
"""A-21: the default of a VPC's peering connections (AWS VPC quotas)."""

SILENT_BY_MEANING = frozenset(("ready", "inactive", "suspended", "terminated"))
"""Statuses of lines that are not in use: such a fleet is silent on purpose."""


def warnings(scenario: model.Scenario, catalogue: Catalogue) -> list[Problem]:
    """Return what a planner should know before trusting a run of ``scenario``."""
    found: list[Problem] = []
    bound = {fleet.vpg_id for fleet in scenario.fleets}
    what = scenario.fleets, scenario.events, scenario.start_us, scenario.end_us
    seconds = expected_s(*what)
    if seconds > SLOW_S:
        values: dict[str, object] = {
            "value": f"{expected_messages(*what):,}",
            "minutes": -(-seconds // 60),
        }
        found.append(Problem(code="VPG1604", path="fleets", values=values))
    for index, vpg in enumerate(scenario.vpgs):
        path = f"vpgs[{index}]"
        if vpg.id not in bound:
            found.append(Problem(code="VPG1290", path=path, values={"value": vpg.id}))
        found += _assumed(scenario, vpg, path) + _unknown(scenario, vpg, path, catalogue)
        found += _contradicted(scenario, vpg, path)
    attached = {
        name
        for event in scenario.events
        if isinstance(event, model.AttachLines)
        for name in event.fleets
    }
    for index, fleet in enumerate(scenario.fleets):
        meant = fleet.status in SILENT_BY_MEANING
        idle = not meant and not fleet.traffic and fleet.session.attach != "at_start"
        if idle and fleet.name not in attached:
            found.append(
                Problem(code="VPG1295", path=f"fleets[{index}]", values={"value": fleet.name})
            )
    return found


def _contradicted(scenario: model.Scenario, vpg: model.Vpg, path: str) -> list[Problem]:
    """Return what is allowed together but hardly meant."""
    found: list[Problem] = []
    if scenario.assumptions.a03_above_rate == "reset" and vpg.limiter.above == "queue":
        found.append(Problem(code="VPG1607", path=f"{path}.limiter.above"))
    delay_us, timeout_us = vpg.upstream.delay_us, vpg.upstream.timeout_us
    if delay_us > timeout_us:
        values = {
            "value": plain(Decimal(delay_us) / 1000),
            "most": plain(Decimal(timeout_us) / 1000),
        }
        found.append(Problem(code="VPG1608", path=f"{path}.upstream.delay_ms", values=values))
    return found


def _assumed(scenario: model.Scenario, vpg: model.Vpg, path: str) -> list[Problem]:
    found: list[Problem] = []
    peers = len(vpg.mirror_peers)
    if peers > MIRROR_PEERS_ASSUMED:
        values: dict[str, object] = {"value": peers, "most": MIRROR_PEERS_ASSUMED}
        found.append(
            Problem(code="VPG1291", path=f"{path}.junction.mirroring.peers", values=values)
        )
    for kind in ("peering", "vif", "vpn"):
        count = most = int(getattr(vpg, kind))
        for event in scenario.events:
            if isinstance(event, model.ConnectionChange) and event.vpg_id == vpg.id:
                count += event.change if event.kind == kind else 0
                most = max(most, count)
        if most > CONNECTIONS_ASSUMED:
            values = {"value": most, "kind": kind, "most": CONNECTIONS_ASSUMED}
            found.append(Problem(code="VPG1292", path=f"{path}.connections.{kind}", values=values))
    return found


def _unknown(
    scenario: model.Scenario, vpg: model.Vpg, path: str, catalogue: Catalogue
) -> list[Problem]:
    """Return what the catalogue does not know of any type and size the VPG has in the run."""
    kinds: list[tuple[str, str, int]] = [(vpg.type, vpg.size, vpg.created_at_us)]
    kinds += [
        (event.type, event.size, event.at_us)
        for event in scenario.events
        if isinstance(event, model.Recreate) and event.vpg_id == vpg.id
    ]
    found: dict[tuple[str, str], Problem] = {}
    for vpg_type, size, at_us in kinds:
        limits = catalogue.limits(vpg_type, size, at_us)
        checks = (
            ("VPG1293", limits.lines_max is None or limits.rate_per_s is None),
            ("VPG1294", catalogue.base_price_micro_yen(vpg_type, size, at_us) is None),
        )
        for code, unknown in checks:
            if unknown:
                problem = Problem(code=code, path=f"{path}.type", values={"type": vpg_type})
                found.setdefault((code, vpg_type), problem)
    return list(found.values())
