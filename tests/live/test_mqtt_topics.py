"""Topic filters: the index finds what the rule of the standard says, and forgets what ended."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpg.service.mqtt.topics import Subscriptions, matches, valid_filter, valid_name

LEVELS = st.sampled_from(["", "a", "b", "$SYS"])
TOPICS = st.lists(LEVELS, min_size=1, max_size=4).map("/".join).filter(bool)
FILTERS = (
    st.tuples(st.lists(LEVELS | st.just("+"), max_size=4), st.booleans())
    .map(lambda made: "/".join([*made[0], *(["#"] if made[1] else [])]))
    .filter(bool)
)


def by_pattern(pattern: str, topic: str) -> bool:
    """Match by a regular expression: a second reading of section 4.7."""
    if topic.startswith("$") and pattern[0] in "+#":
        return False
    wanted = "^" + "/".join("[^/]*" if lv == "+" else re.escape(lv) for lv in pattern.split("/"))
    wanted = wanted.replace(re.escape("#"), "#")
    if pattern == "#":
        return True
    if wanted.endswith("/#"):
        wanted = wanted[:-2] + "(/.*)?"
    return re.fullmatch(wanted + "$", topic) is not None


@given(FILTERS, TOPICS)
def test_a_filter_matches_as_a_regular_expression_does(pattern: str, topic: str) -> None:
    assert valid_filter(pattern)
    assert valid_name(topic)
    assert matches(pattern, topic) == by_pattern(pattern, topic)


@pytest.mark.parametrize(
    ("pattern", "topic", "expected"),
    [  # the standard's own examples (4.7.1.2, 4.7.1.3, 4.7.2)
        ("sport/tennis/player1/#", "sport/tennis/player1", True),
        ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", True),
        ("sport/#", "sport", True),
        ("sport/tennis/+", "sport/tennis/player1/ranking", False),
        ("sport/+", "sport", False),
        ("sport/+", "sport/", True),
        ("+/+", "/finance", True),
        ("/+", "/finance", True),
        ("+", "/finance", False),
        ("#", "$SYS/monitor", False),
        ("+/monitor/Clients", "$SYS/monitor/Clients", False),
        ("$SYS/#", "$SYS/monitor", True),
        ("$SYS/monitor/+", "$SYS/monitor/Clients", True),
    ],
)
def test_the_examples_of_the_standard(pattern: str, topic: str, expected: bool) -> None:
    assert matches(pattern, topic) is expected
    index: Subscriptions[str] = Subscriptions()
    index.add("one", pattern, 1)
    assert (index.of(topic) == {"one": 1}) is expected


@pytest.mark.parametrize("pattern", ["", "a#", "#/a", "a/#/b", "a+", "+a/b", "a/b+"])
def test_wildcards_out_of_place_make_no_filter(pattern: str) -> None:
    assert not valid_filter(pattern)


STEPS = st.lists(
    st.tuples(st.booleans(), st.integers(0, 2), FILTERS, st.integers(0, 1)), max_size=25
)


@given(STEPS, st.lists(TOPICS, max_size=5))
def test_the_index_agrees_with_asking_each_filter(
    steps: list[tuple[bool, int, str, int]], topics: list[str]
) -> None:
    index: Subscriptions[int] = Subscriptions()
    model: dict[tuple[int, str], int] = {}
    for add, who, pattern, qos in steps:
        others = any(one[1] == pattern for one in model)
        if add:
            assert index.add(who, pattern, qos) == (not others)
            model[who, pattern] = qos
        else:
            had = model.pop((who, pattern), None) is not None
            last = had and not any(one[1] == pattern for one in model)
            assert index.remove(who, pattern) == last
    for topic in topics:
        expected: dict[int, int] = {}
        for (who, pattern), qos in model.items():
            if matches(pattern, topic):
                expected[who] = max(qos, expected.get(who, 0))
        assert index.of(topic) == expected
    for who, pattern in list(model):
        index.remove(who, pattern)
    assert not index._root.below
    assert not list(index.filters)
