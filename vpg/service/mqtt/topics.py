"""Topic names and filters: which are valid, which meet, and who subscribed to what.

Owns: the rules of wildcards and an index of subscriptions. Does not own: delivery. Names and
filters are ``str`` that the codec let in (1 to 65,535 bytes of UTF-8, no control characters).
Source: MQTT 3.1.1, section 4.7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

LEVELS_MAX: Final = 32
"""Deeper filters are refused: an index of them costs memory a level. Names may be deeper."""

Subscriber = TypeVar("Subscriber")


def valid_name(topic: str) -> bool:
    """Return whether ``topic`` may be published to.

    >>> valid_name("a/b"), valid_name("a/+"), valid_name("")
    (True, False, False)
    """
    return bool(topic) and "+" not in topic and "#" not in topic


def valid_filter(pattern: str) -> bool:
    """Return whether ``pattern`` may be subscribed to.

    >>> valid_filter("a/+/#"), valid_filter("a+"), valid_filter("#/a"), valid_filter("a/#b")
    (True, False, False, False)
    """
    if not pattern:
        return False
    levels = pattern.split("/")
    for number, level in enumerate(levels):
        if "#" in level and (level != "#" or number != len(levels) - 1):
            return False
        if "+" in level and level != "+":
            return False
    return True


def matches(pattern: str, topic: str) -> bool:
    """Return whether the valid filter ``pattern`` takes the valid name ``topic``.

    >>> matches("sport/#", "sport"), matches("+", "/a"), matches("#", "$SYS/x")
    (True, False, False)
    """
    wanted, given = pattern.split("/"), topic.split("/")
    if topic.startswith("$") and wanted[0] in {"+", "#"}:
        return False
    for number, level in enumerate(wanted):
        if level == "#":
            return True
        if number == len(given) or level not in {"+", given[number]}:
            return False
    return len(wanted) == len(given)


class _Node(Generic[Subscriber]):
    __slots__ = ("below", "here")

    def __init__(self) -> None:
        self.below: dict[str, _Node[Subscriber]] = {}
        self.here: dict[Subscriber, int] = {}


class Subscriptions(Generic[Subscriber]):
    """Who subscribed to what, so that a message costs its levels and not the subscribers."""

    def __init__(self) -> None:
        """Begin with none."""
        self._root: _Node[Subscriber] = _Node()
        self._counts: dict[str, int] = {}

    @property
    def filters(self) -> Iterator[str]:
        """The filters that anybody has."""
        return iter(self._counts)

    def add(self, subscriber: Subscriber, pattern: str, qos: int) -> bool:
        """Subscribe, or change the QoS; return whether ``pattern`` is the first of its kind."""
        node = self._root
        for level in pattern.split("/"):
            node = node.below.setdefault(level, _Node())
        if subscriber in node.here:
            node.here[subscriber] = qos
            return False
        node.here[subscriber] = qos
        count = self._counts.get(pattern, 0)
        self._counts[pattern] = count + 1
        return count == 0

    def remove(self, subscriber: Subscriber, pattern: str) -> bool:
        """End a subscription; return whether nobody has ``pattern`` any more."""
        path = [self._root]
        levels = pattern.split("/")
        for level in levels:
            node = path[-1].below.get(level)
            if node is None:
                return False
            path.append(node)
        if path[-1].here.pop(subscriber, None) is None:
            return False
        while len(path) > 1 and not path[-1].here and not path[-1].below:
            path.pop()
            del path[-1].below[levels[len(path) - 1]]
        self._counts[pattern] -= 1
        if self._counts[pattern]:
            return False
        del self._counts[pattern]
        return True

    def of(self, topic: str) -> dict[Subscriber, int]:
        """Return who takes a message of ``topic``, with the highest QoS of each."""
        found: dict[Subscriber, int] = {}
        nodes = [self._root]
        for number, level in enumerate(topic.split("/")):
            wild = number > 0 or not topic.startswith("$")
            after = []
            for node in nodes:
                if wild and (rest := node.below.get("#")) is not None:
                    _keep(found, rest)
                if (same := node.below.get(level)) is not None:
                    after.append(same)
                if wild and (any_one := node.below.get("+")) is not None:
                    after.append(any_one)
            nodes = after
            if not nodes:
                return found
        for node in nodes:
            _keep(found, node)
            if (rest := node.below.get("#")) is not None:
                _keep(found, rest)
        return found


def _keep(found: dict[Subscriber, int], node: _Node[Subscriber]) -> None:
    for subscriber, qos in node.here.items():
        if found.get(subscriber, -1) < qos:
            found[subscriber] = qos
