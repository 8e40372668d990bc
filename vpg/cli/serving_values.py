"""From a scenario to what the live service is told: VPGs as ordered, lines, rules.

Owns: the mapping, and the made-up names and addresses of a scenario's lines (their formulas are
part of the contract with whoever drives the service). Does not own: the values (``vpg.service``
knows no scenario) or the traffic, which is for a driver. Times: durations in µs pass as they are.

Line n, counted from 0 over the whole scenario (fleets in the order of the file), is

* ``simId`` = ``8900101`` and n + 1 in 12 digits,
* ``imsi`` = ``00101`` and n + 1 in 10 digits (001-01 is the network of tests: ITU-T E.212 annex),
* address ``127.(1 + n ÷ 62,500).(1 + n ÷ 250 mod 250).(1 + n mod 250)``: the first is 127.1.1.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpg.service.values import (
    BillingRules,
    Limiter,
    LineEntry,
    Peer,
    Rules,
    Upstream,
    VpgOrder,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scenarios.model import Scenario, Vpg
    from vpg.service.values import AboveMqttRate

OPERATOR: Final = "OP0000000001"
"""The one operator that a scenario's VPGs and lines belong to."""
LINES_MAX: Final = 1_000_000
"""Most lines one process is asked to hold: about 1 KB each."""
_HOSTS: Final = 250
_NETS: Final = _HOSTS * _HOSTS


def sim_id(number: int) -> str:
    """Return the ``simId`` of the scenario's line ``number`` (from 0).

    >>> sim_id(0)
    '8900101000000000001'
    """
    return f"8900101{number + 1:012d}"


def imsi(number: int) -> str:
    """Return the ``imsi`` of the scenario's line ``number`` (from 0).

    >>> imsi(41)
    '001010000000042'
    """
    return f"00101{number + 1:010d}"


def address(number: int) -> str:
    """Return the loopback address of the scenario's line ``number`` (from 0).

    >>> address(0), address(250), address(62_500)
    ('127.1.1.1', '127.1.2.1', '127.2.1.1')
    """
    net, rest = divmod(number, _NETS)
    return f"127.{1 + net}.{1 + rest // _HOSTS}.{1 + rest % _HOSTS}"


def orders(scenario: Scenario, upstreams: Mapping[str, str]) -> tuple[VpgOrder, ...]:
    """Return the VPGs of ``scenario``; ``upstreams``: VPG → URL (``""``: for all others)."""
    return tuple(_order(vpg, upstreams) for vpg in scenario.vpgs)


def _order(vpg: Vpg, upstreams: Mapping[str, str]) -> VpgOrder:
    from scenarios.billing_state import billing_state

    limiter, upstream = vpg.limiter, vpg.upstream
    return VpgOrder(
        id=vpg.id,
        operator_id=OPERATOR,
        state=billing_state(vpg),
        limiter=Limiter(
            kind=limiter.kind,
            above=limiter.above,
            burst_requests=limiter.burst_requests,
            queue_deadline_us=limiter.queue_deadline_us,
            queue_requests_max=limiter.queue_requests_max,
        ),
        peers=tuple(
            Peer(
                ip=peer.ip,
                enabled=peer.enabled,
                capacity_bytes_per_s=peer.capacity_bytes_per_s,
                loss_ppm=peer.loss_ppm,
            )
            for peer in vpg.mirror_peers
        ),
        upstream=Upstream(
            url=upstreams.get(vpg.id, upstreams.get("", "")),
            delay_us=upstream.delay_us,
            timeout_us=upstream.timeout_us,
            failure_ppm=upstream.failure_ppm,
        ),
        redirection_delay_us=vpg.redirection_delay_us,
        mtu_bytes=vpg.mtu_bytes,
        header_bytes=vpg.header_bytes,
        message_overhead_bytes=vpg.message_overhead_bytes,
        contract_fee=vpg.contract_fee,
    )


def lines(scenario: Scenario) -> Iterator[LineEntry]:
    """Yield the lines of ``scenario`` that its fleets start with, in order of their numbers."""
    number = 0
    for fleet in scenario.fleets:
        for _ in range(fleet.lines):
            yield LineEntry(
                sim_id=sim_id(number),
                imsi=imsi(number),
                operator_id=OPERATOR,
                vpg_id=fleet.vpg_id,
                group_id=fleet.name,
                status=fleet.status,
                address=address(number),
                keeps_alive=fleet.session.duration != "idle",
            )
            number += 1


def line_count(scenario: Scenario) -> int:
    """Return how many lines ``lines`` yields."""
    return sum(fleet.lines for fleet in scenario.fleets)


def rules(
    scenario: Scenario,
    *,
    implicit_attach: bool = True,
    any_line: bool = False,
    mqtt_above_rate: AboveMqttRate = "ignore",
) -> Rules:
    """Return how the service reads what no document settles, as ``scenario`` assumes it."""
    assumed = scenario.assumptions
    return Rules(
        line_cap=assumed.a01_line_cap,
        above_line_cap=assumed.a02_above_line_cap,
        above_rate=assumed.a03_above_rate,
        mqtt_above_rate=mqtt_above_rate,
        rate_shared=assumed.a05_rate_shared == "shared",
        beam_both_legs=assumed.a06_beam_legs == "both",
        recreate_with_fee=assumed.a13_size_change == "recreate_with_fee",
        idle_timeout_us=assumed.a16_idle_timeout_us,
        ghosts_replaced=assumed.a17_ghosts == "replaced",
        session_setup_per_s=assumed.a18_session_setup_per_s,
        cut_after_us=assumed.a28_cut_after_us,
        cut_after_bytes=assumed.a28_cut_after_bytes,
        mirror_throttled=assumed.a35_mirror_throttled,
        implicit_attach=implicit_attach,
        lines_must_be_known=not any_line,
    )


def billing_rules(scenario: Scenario) -> BillingRules:
    """Return how the service bills, as ``scenario`` assumes it."""
    from scenarios.terms import charge_policy

    return BillingRules(charges=charge_policy(scenario), rounding=scenario.assumptions.a15_rounding)
