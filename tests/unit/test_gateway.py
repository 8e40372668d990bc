"""Line cap, Junction arithmetic and connections, each against a slower way to say the same."""

from __future__ import annotations

from typing import get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.model import Assumptions, ConnectionChange
from vpg.gateway import connections, junction, lines

# ---- lines ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "at_cap"),
    [
        ("refuse", lines.REFUSED),
        ("accept_and_flag", lines.CREATED_FLAGGED),
        ("evict_longest_idle", lines.CREATED_EVICT),
    ],
)
def test_the_cap_itself_is_allowed_and_one_more_is_not(policy: str, at_cap: int) -> None:
    code = lines.POLICY_CODES[policy]
    assert lines.admit_session(999, 1000, code) == lines.CREATED
    assert lines.admit_session(1000, 1000, code) == at_cap
    assert lines.admit_session(1001, 1000, code) == at_cap


def test_every_reading_of_the_assumption_has_a_code() -> None:
    literal = get_type_hints(Assumptions)["a02_above_line_cap"]
    assert set(lines.POLICY_CODES) == set(get_args(literal))


@pytest.mark.parametrize("code", sorted(lines.POLICY_CODES.values()))
def test_no_cap_admits_everybody_under_every_policy(code: int) -> None:
    assert lines.admit_session(10**9, lines.NO_CAP, code) == lines.CREATED
    assert lines.admit_assigned(10**9, lines.NO_CAP, code) == lines.CREATED


@given(st.lists(st.booleans(), max_size=60), st.integers(0, 8))
def test_sessions_never_exceed_a_cap_that_refuses_or_evicts(come: list[bool], cap: int) -> None:
    for policy in (lines.REFUSE, lines.EVICT_LONGEST_IDLE):
        sessions = 0
        for arrives in come:
            decision = lines.admit_session(sessions, cap, policy) if arrives else lines.REFUSED
            sessions += decision == lines.CREATED
            sessions -= not arrives and sessions > 0
            assert sessions <= cap


def test_assigned_reading_admits_the_first_lines_and_never_evicts() -> None:
    for policy in (lines.REFUSE, lines.EVICT_LONGEST_IDLE):
        decisions = [lines.admit_assigned(n, 3, policy) for n in range(5)]
        assert decisions == [lines.CREATED] * 3 + [lines.REFUSED] * 2
    assert lines.admit_assigned(3, 3, lines.ACCEPT_AND_FLAG) == lines.CREATED_FLAGGED


# ---- junction ------------------------------------------------------------------------------------

messages = st.tuples(
    st.integers(0, 20_000), st.integers(0, 700), st.integers(100, 9_000), st.integers(20, 90)
)


def cut(payload: int, overhead: int, mtu: int, header: int) -> list[int]:
    """Sizes of the packets inside the tunnel, cut off one by one."""
    left, sizes = payload + overhead, []
    while left:
        content = min(left, mtu - header)
        sizes.append(content + header)
        left -= content
    return sizes


@given(messages)
def test_packets_and_bytes_are_those_of_cutting_one_by_one(
    message: tuple[int, int, int, int],
) -> None:
    sizes = cut(*message)
    assert junction.packets(*message) == len(sizes)
    assert junction.inner_bytes(*message) == sum(sizes)
    assert junction.mirrored_bytes(*message) == sum(sizes) + 24 * len(sizes)
    copies = [junction.packet_bytes_at(i, *message) for i in range(len(sizes))]
    assert copies == [size + 24 for size in sizes]


def test_a_full_packet_grows_to_1524_bytes_under_gre() -> None:
    assert junction.mirrored_bytes(1460, 0, 1500, 40) == 1524


@given(
    st.lists(st.tuples(st.integers(0, 900_000), st.integers(1, 1_524)), max_size=60),
    st.integers(1, 20_000),
)
def test_a_peer_takes_at_most_its_capacity_a_second_and_drops_only_above_it(
    sent: list[tuple[int, int]], capacity: int
) -> None:
    window, used, now = -1, 0, 0
    taken_bytes: dict[int, int] = {}
    for gap, size in sent:
        now += gap
        second = now // 1_000_000
        window, used, taken = junction.peer_take(window, used, now, capacity, size)
        assert taken == (taken_bytes.get(second, 0) + size <= capacity)
        taken_bytes[second] = taken_bytes.get(second, 0) + size * taken
    assert all(total <= capacity for total in taken_bytes.values())


# ---- connections ---------------------------------------------------------------------------------


def test_the_kinds_are_those_a_scenario_can_change() -> None:
    literal = get_type_hints(ConnectionChange)["kind"]
    assert get_args(literal) == connections.KINDS


def test_fifty_connections_pass_without_a_warning() -> None:
    assert [connections.above_usual(count) for count in (0, 50, 51)] == [False, False, True]


@given(st.integers(0, 100), st.integers(-200, 200))
def test_connections_never_go_below_none(count: int, change: int) -> None:
    after = connections.changed(count, change)
    assert after >= 0
    assert after == count + change or count + change < 0
