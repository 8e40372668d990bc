"""YAML text to a tree whose every value knows its place.

Owns: YAML 1.2 (safe: no tags, no objects), the bounds that stop bombs, exact numbers. Does not own:
what the keys mean (``schema``). The tree is composed once from the parser's events; a path such as
``("fleets", 0, "lines")`` then has its line and column without a second look at the text. Times
stay text: the file's own words decide about zones, not YAML's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from scenarios.reading import fail, place_at
from vpg.errors import InputError, Place, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ruamel.yaml.events import Event

DEPTH_MAX = 20
ALIASES_MAX = 20
NODES_MAX = 30_000
"""The parser makes about 25,000 nodes a second, and a bad file must be refused in two."""
DIGITS_MAX = 19
"""As many as 2**63 - 1 has."""
KEY_CHARACTERS_MAX = 128
WORD_CHARACTERS_MAX = 4096
PROBLEMS_MAX = 100

Path = tuple[str | int, ...]
"""Keys and list indexes from the top of the file."""

_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_NESTED = re.compile(r"(?:[\[{][ \n]*){40}")
_WORD = re.compile(r"[^\s,\[\]{}]+")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("null", "Null", "NULL", "~", ""), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


@dataclass(slots=True)
class Node:
    """A value with its place; mappings also keep the place of each key."""

    place: Place
    value: Any
    """Scalar, ``list[Node]`` or ``dict[str, Node]``."""
    keys: dict[str, Place] = field(default_factory=dict)

    def plain(self) -> Any:  # noqa: ANN401 - any YAML value
        """Return the value without places; lists become tuples."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return tuple(child.plain() for child in self.value)
        return self.value

    def value_at(self, path: Iterable[str | int]) -> Any:  # noqa: ANN401 - any YAML value
        """Return the plain value at ``path``; None when it is not there."""
        node = self
        for step in path:
            if isinstance(node.value, dict) and step in node.value:
                node = node.value[str(step)]
            elif isinstance(node.value, list) and isinstance(step, int) and step < len(node.value):
                node = node.value[step]
            else:
                return None
        return node.plain()

    def place_of(self, path: Iterable[str | int]) -> Place:
        """Return the place of ``path``: of its key, else of the nearest thing around it."""
        node, place = self, self.place
        for step in path:
            if isinstance(node.value, dict) and step in node.value:
                place, node = node.keys[str(step)], node.value[str(step)]
            elif isinstance(node.value, list) and isinstance(step, int) and step < len(node.value):
                node = node.value[step]
                place = node.place
            else:
                break
        return place


def path_text(path: Iterable[str | int]) -> str:
    """Return ``vpgs[1].size`` for ``("vpgs", 1, "size")``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


class Composer:
    """Builds the tree from parser events; collects what can be collected, stops at the rest."""

    def __init__(self, file: str) -> None:
        """Prepare for one document of ``file``."""
        self.file = file
        self.problems: list[Problem] = []
        self._anchors: dict[str, Node] = {}
        self._aliases = 0
        self._nodes = 0

    def compose(self, text: str) -> Node:
        """Return the one document of ``text``; ``InputError`` for what cannot be one."""
        self._refuse_bombs(text)
        try:
            return self._document(YAML(typ="safe", pure=True).parse(text))
        except MarkedYAMLError as error:
            raise self._syntax(error, text) from None
        except (YAMLError, ValueError, RecursionError) as error:
            reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
            raise fail("VPG1238", Place(file=self.file), reason=reason) from None

    def _refuse_bombs(self, text: str) -> None:
        """Refuse by a glance what would keep the parser busy: it looks at each character."""
        if text.count(",") + text.count("\n") > 2 * NODES_MAX:
            raise fail("VPG1241", Place(file=self.file, line=1, column=1), most=NODES_MAX)
        nested = _NESTED.search(text)
        if nested is not None:
            place = place_at(text[: nested.start()], self.file)
            raise fail("VPG1240", place, most=DEPTH_MAX)
        for word in _WORD.finditer(text):
            if word.end() - word.start() > WORD_CHARACTERS_MAX:
                place = place_at(text[: word.start()], self.file)
                raise fail("VPG1218", place, most=WORD_CHARACTERS_MAX)

    def _syntax(self, error: MarkedYAMLError, text: str) -> InputError:
        mark = error.problem_mark or error.context_mark
        place = Place(file=self.file)
        if mark is not None:
            place = Place(file=self.file, line=mark.line + 1, column=mark.column + 1)
            line = text.split("\n")[mark.line : mark.line + 1]
            if line and "\t" in line[0][: mark.column + 1]:
                return fail("VPG1239", place)
        reason = " ".join(str(error.problem or error.context or "").split())[:200]
        return fail("VPG1238", place, reason=reason)

    def _document(self, events: Iterator[Event]) -> Node:
        root: Node | None = None
        for event in events:
            if isinstance(event, DocumentStartEvent) and root is not None:
                raise fail("VPG1245", self._place(event))
            if isinstance(event, DocumentStartEvent):
                root = self._node(next(events), events, 1, ())
        if root is None or root.value is None:
            raise fail("VPG1246", Place(file=self.file))
        if not isinstance(root.value, dict):
            raise fail("VPG1247", root.place)
        return root

    def _place(self, event: Event) -> Place:
        mark = event.start_mark
        return Place(file=self.file, line=mark.line + 1, column=mark.column + 1)

    def _problem(self, code: str, place: Place, path: Path, **values: object) -> None:
        problem = Problem(code=code, place=place, path=path_text(path), values=values)
        self.problems.append(problem)
        if len(self.problems) >= PROBLEMS_MAX:
            raise InputError(self.problems)

    def _node(
        self,
        event: Event,
        events: Iterator[Event],
        depth: int,
        path: Path,
        key_place: Place | None = None,
    ) -> Node:
        place = self._place(event)
        reported, start = key_place or place, event
        self._nodes += 1
        if self._nodes > NODES_MAX:
            raise fail("VPG1241", place, most=NODES_MAX)
        if isinstance(event, AliasEvent):
            return self._alias(event, reported, path)
        if depth > DEPTH_MAX:
            raise fail("VPG1240", place, most=DEPTH_MAX)
        tag = getattr(event, "tag", None)
        if tag not in (None, "!"):
            self._problem("VPG1243", reported, path, tag=str(tag)[:80])
        if isinstance(event, ScalarEvent):
            node = Node(place, self._scalar(event, reported, path))
        elif isinstance(event, SequenceStartEvent):
            node = Node(place, [])
            while not isinstance(event := next(events), SequenceEndEvent):
                here = (*path, len(node.value))
                node.value.append(self._node(event, events, depth + 1, here))
        else:
            node = self._mapping(place, events, depth, path)
        return self._keep(start, node)

    def _keep(self, event: Event, node: Node) -> Node:
        anchor = getattr(event, "anchor", None)
        if anchor:
            self._anchors[anchor] = node
        return node

    def _alias(self, event: AliasEvent, place: Place, path: Path) -> Node:
        self._aliases += 1
        if self._aliases > ALIASES_MAX:
            raise fail("VPG1242", place, most=ALIASES_MAX)
        target = self._anchors.get(event.anchor)
        if target is None:
            self._problem("VPG1249", place, path, name=str(event.anchor)[:80])
            return Node(place, None)
        return self._copy(target)

    def _copy(self, node: Node) -> Node:
        """Copy what an alias stands for, counted: references must not explode later."""
        self._nodes += 1
        if self._nodes > NODES_MAX:
            raise fail("VPG1241", node.place, most=NODES_MAX)
        if isinstance(node.value, dict):
            children = {key: self._copy(child) for key, child in node.value.items()}
            return Node(node.place, children, dict(node.keys))
        if isinstance(node.value, list):
            return Node(node.place, [self._copy(child) for child in node.value])
        return Node(node.place, node.value)

    def _mapping(self, place: Place, events: Iterator[Event], depth: int, path: Path) -> Node:
        node = Node(place, {})
        while not isinstance(event := next(events), MappingEndEvent):
            where = self._place(event)
            key = self._key(event, where, path)
            child = self._node(next(events), events, depth + 1, (*path, key), where)
            if key in node.value:
                first = node.keys[key].line
                self._problem("VPG1244", where, (*path, key), key=key, line=first)
            else:
                node.value[key], node.keys[key] = child, where
        return node

    def _key(self, event: Event, place: Place, path: Path) -> str:
        if not isinstance(event, ScalarEvent):
            raise fail("VPG1248", place, path_text(path))
        if len(event.value) > KEY_CHARACTERS_MAX:
            raise fail("VPG1218", place, path_text(path), most=KEY_CHARACTERS_MAX)
        return str(event.value)

    def _scalar(
        self, event: ScalarEvent, place: Place, path: Path
    ) -> str | int | Decimal | bool | None:
        text = str(event.value)
        if event.style is not None or getattr(event, "tag", None) == "!":
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _NOT_FINITE.fullmatch(text):
            self._problem("VPG1213", place, path, value=text)
            return text
        if not (_FLOAT.fullmatch(text) or _BASED.fullmatch(text)):
            return text
        number = exact_number(text)
        if number is None:
            self._problem("VPG1214", place, path, value=shorten(text), most=DIGITS_MAX)
            return text
        return number


def exact_number(text: str) -> int | Decimal | None:
    """Return the number that ``text``, already in a number's form, says; None when it is absurd.

    >>> exact_number("0x1F"), exact_number("017"), exact_number("1.50"), exact_number("1e999")
    (31, 17, Decimal('1.50'), None)
    """
    if len(text) > DIGITS_MAX * 2 or sum(c.isdigit() for c in text) > DIGITS_MAX:
        return None
    if _BASED.fullmatch(text):
        return int(text, 0)
    number = Decimal(text)
    if abs(number.adjusted()) > DIGITS_MAX:
        return None
    return int(text) if _INT.fullmatch(text) else number


def shorten(value: object) -> str:
    """Return ``value`` as people wrote it, at most 60 characters.

    >>> shorten("x" * 100)[-3:], shorten(True), shorten(None), shorten((1, 2))
    ('xx…', 'true', 'null', '[…]')
    """
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return "{…}"
    if isinstance(value, list | tuple):
        return "[…]"
    text = " ".join(str(value).split())
    return text if len(text) <= 60 else f"{text[:59]}…"  # noqa: PLR2004 - one terminal line
