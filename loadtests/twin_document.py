"""The JSON documents of ``vpg fleet`` and ``vpg twin``: closed, versioned, units in the names.

Owns: their form, also as ``fleet.json`` and ``twin.json`` of a run directory. Does not own: any
figure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from loadtests.fleet.run import FleetRun
    from loadtests.twin import Twin


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Closed and immutable."""


class AgreementPart(_Part, frozen=True, kw_only=True):
    """One figure of the devices and of the store."""

    figure: str
    devices: int
    stored: int
    unknown: int
    """How many more the store may have: requests without an answer."""
    agrees: bool


class UnknownPart(_Part, frozen=True, kw_only=True):
    """A request without an answer."""

    line: str
    service: str
    number: int
    attempt: int
    why: str


class GeneratorPart(_Part, frozen=True, kw_only=True):
    """How the generator itself did."""

    starved: bool
    intended: int
    sent: int
    late_us_p50: int
    late_us_p99: int
    late_us_max: int
    late_us_limit: int
    wall_s: float
    cpu_s: float
    connections_opened: int
    connections_peak: int
    connections_left: int
    connections_refused: int
    waited_for_connection: int


class FleetPart(_Part, frozen=True, kw_only=True):
    """What a fleet did and heard."""

    scenario: str
    lines: int
    speed: int
    start_us: int
    end_us: int
    status: str
    accepted: int
    throttled: int
    no_session: int
    failed_upstream: int
    unacknowledged: int
    turned_away: int
    unsent: int
    unknown: int
    unexpected: dict[str, int]
    attaches: int
    attaches_created: int
    attaches_refused: int
    attaches_rejected: int
    acts_failed: int
    generator: GeneratorPart
    agreements: list[AgreementPart]
    unknowns: list[UnknownPart]
    agrees: bool


class FleetDocument(_Part, frozen=True, kw_only=True):
    """``vpg fleet``."""

    schema_version: Literal["vpgsim-fleet-v1"] = "vpgsim-fleet-v1"
    run_dir: str
    fleet: FleetPart


class FigurePart(_Part, frozen=True, kw_only=True):
    """One figure of both sides."""

    name: str
    kind: str
    simulated: int
    live: int
    tolerance: int
    agrees: bool


class TwinDocument(_Part, frozen=True, kw_only=True):
    """``vpg twin``."""

    schema_version: Literal["vpgsim-twin-v1"] = "vpgsim-twin-v1"
    run_dir: str
    verdict: Literal["agree", "disagree", "cannot_tell"]
    speed: int
    figures: list[FigurePart]
    fleet: FleetPart


def fleet_part(run: FleetRun) -> FleetPart:
    """Return ``run`` for a document."""
    counts = run.counts
    return FleetPart(
        scenario=run.scenario.name,
        lines=run.lines,
        speed=run.speed,
        start_us=run.scenario.start_us,
        end_us=run.result.ended_at_us,
        status=run.result.status,
        accepted=counts.accepted,
        throttled=counts.throttled,
        no_session=counts.no_session,
        failed_upstream=counts.failed_upstream,
        unacknowledged=counts.unacknowledged,
        turned_away=counts.turned_away,
        unsent=counts.unsent,
        unknown=counts.unknown,
        unexpected={str(status): count for status, count in sorted(counts.unexpected.items())},
        attaches=counts.attaches,
        attaches_created=counts.attaches_created,
        attaches_refused=counts.attaches_refused,
        attaches_rejected=counts.attaches_rejected,
        acts_failed=counts.acts_failed,
        generator=GeneratorPart(
            starved=run.starved,
            intended=counts.intended,
            sent=counts.sent,
            late_us_p50=counts.late_wall_us(50),
            late_us_p99=counts.late_wall_us(99),
            late_us_max=counts.late_wall_us(100),
            late_us_limit=run.late_ms * 1_000,
            wall_s=round(run.wall_s, 3),
            cpu_s=round(run.cpu_s, 3),
            connections_opened=run.connections_opened,
            connections_peak=run.connections_peak,
            connections_left=run.connections_left,
            connections_refused=run.connections_refused,
            waited_for_connection=run.waited,
        ),
        agreements=[
            AgreementPart(
                figure=one.figure,
                devices=one.devices,
                stored=one.stored,
                unknown=one.unknown,
                agrees=one.holds,
            )
            for one in run.agreements
        ],
        unknowns=[
            UnknownPart(
                line=one.line,
                service=one.service,
                number=one.number,
                attempt=one.attempt,
                why=one.why,
            )
            for one in counts.unknowns
        ],
        agrees=run.agrees,
    )


def twin_document(twin: Twin, run_dir: str) -> TwinDocument:
    """Return ``twin`` as the document of its run directory."""
    return TwinDocument(
        run_dir=run_dir,
        verdict=twin.verdict,
        speed=twin.speed,
        figures=[
            FigurePart(
                name=one.name,
                kind=one.kind,
                simulated=one.simulated,
                live=one.live,
                tolerance=one.tolerance,
                agrees=one.agrees,
            )
            for one in twin.figures
        ],
        fleet=fleet_part(twin.live),
    )
