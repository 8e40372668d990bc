"""What pydantic found, as numbered problems with a place and a suggestion.

Owns: the table from kinds of schema violation to VPG12nn. Does not own: the wording
(``vpg/messages/scenarios.toml``).
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

from scenarios.places import PROBLEMS_MAX, path_text, shorten
from vpg.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from scenarios.places import Node, Path

_TAGGED = {
    "events",
    "traffic",
    "payload_bytes",
    "answer_bytes",
    "duration",
    "title",
    "retry",
    "attach_retry",
}
"""Keys whose value pydantic reports with the name of the variant behind it."""
_CODES = {
    "missing": "VPG1202",
    "literal_error": "VPG1203",
    "string_type": "VPG1204",
    "model_type": "VPG1205",
    "model_attributes_type": "VPG1205",
    "dict_type": "VPG1205",
    "tuple_type": "VPG1206",
    "bool_type": "VPG1207",
    "union_tag_not_found": "VPG1202",
    "union_tag_invalid": "VPG1203",
    "string_pattern_mismatch": "VPG1215",
    "string_too_long": "VPG1217",
    "string_too_short": "VPG1217",
    "too_short": "VPG1219",
    "too_long": "VPG1220",
}


class Hint(str):
    """A suggestion that a text shows in its own words: ``{hint: Did you mean "@"?}``.

    An empty one shows nothing.
    """

    __slots__ = ()

    def __format__(self, words: str) -> str:
        """Return ``words`` with the suggestion in place of @."""
        return words.replace("@", str(self)) if self and words else str(self)


def closest(value: object, known: Iterable[object]) -> Hint:
    """Return the one of ``known`` that ``value`` was probably meant to be, or an empty hint."""
    names = [str(name) for name in known]
    text = str(value)[:100]
    lowered = {name.lower(): name for name in reversed(names)}
    if text.lower() in lowered:
        return Hint(lowered[text.lower()])
    found = difflib.get_close_matches(text, names, 1, 0.6)
    return Hint(found[0] if found else "")


def listed(names: Iterable[object]) -> str:
    """Return ``names`` in a row, at most 20 of them."""
    most = 20
    texts = [str(name) for name in names]
    return ", ".join(texts[:most]) + (" …" if len(texts) > most else "")


def first_of(problems: list[Problem]) -> list[Problem]:
    """Return ``problems``, or the first ``PROBLEMS_MAX`` and one that counts the others."""
    more = len(problems) - PROBLEMS_MAX
    if more <= 0:
        return problems
    values = {"more": more, "most": PROBLEMS_MAX}
    return [*problems[:PROBLEMS_MAX], Problem(code="VPG1605", values=values)]


def _split(loc: Sequence[str | int]) -> tuple[Path, Path]:
    """Return the path in the file and, beside it, the same with pydantic's variant names kept."""
    path: list[str | int] = []
    tag_next = False
    for index, step in enumerate(loc):
        before = loc[index - 1] if index else ""
        in_list = isinstance(before, int) and index > 1 and loc[index - 2] in ("events", "traffic")
        single = before in _TAGGED and isinstance(step, str) and step.startswith("@")
        tag_next = in_list or single
        if not tag_next:
            path.append(step)
    return tuple(path), tuple(loc)


def _models(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]


def _fields_at(root: type[BaseModel], loc: Path) -> list[str]:
    """Return the keys allowed in the mapping at ``loc`` (variant names included)."""
    models = [root]
    for step in loc:
        if isinstance(step, int) or str(step).startswith("@"):
            continue
        chosen = [m for m in models if _kind(m) == step] if len(models) > 1 else []
        if chosen:
            models = chosen
            continue
        fields = [m.model_fields[step] for m in models if step in m.model_fields]
        models = [
            found
            for info in fields
            for part in (info.annotation, *info.metadata)
            for found in _models(part)
        ]
    return [name for model in models for name in model.model_fields]


def _kind(model: type[BaseModel]) -> str:
    info = model.model_fields.get("kind")
    kinds = get_args(info.annotation) if info is not None else ()
    return kinds[0] if len(kinds) == 1 else ""


def _values(error: ErrorDetails, loc: Path, root: type[BaseModel]) -> dict[str, Any]:
    context = error.get("ctx", {})
    given = error["input"]
    values: dict[str, Any] = {"value": shorten(given), **context}
    kind = error["type"]
    if kind in ("literal_error", "union_tag_invalid"):
        expected = str(context.get("expected", context.get("expected_tags", "")))
        choices = re.findall(r"'([^']*)'", expected)
        value = context.get("tag", given) if kind == "union_tag_invalid" else given
        values |= {
            "value": shorten(value),
            "choices": listed(choices) or expected,
            "hint": closest(value, choices),
        }
    elif kind == "extra_forbidden":
        known = _fields_at(root, loc[:-1])
        values |= {"key": shorten(loc[-1]), "hint": closest(loc[-1], known), "known": listed(known)}
    elif kind.startswith("VPG"):
        values["unit"] = Hint(context.get("unit", ""))
    elif kind == "missing":
        values["key"] = str(loc[-1])
    elif kind == "union_tag_not_found":
        values["key"] = "kind"
    elif kind in ("too_short", "too_long"):
        values |= {"least": context.get("min_length"), "most": context.get("max_length")}
    elif kind in ("string_too_long", "string_too_short"):
        values |= {"least": context.get("min_length", 0), "most": context.get("max_length", 0)}
    return values


def from_validation(error: ValidationError, node: Node, root: type[BaseModel]) -> list[Problem]:
    """Return the problems of ``error``, found in ``node`` (the whole file)."""
    problems = []
    for detail in error.errors(include_url=False):
        path, loc = _split(detail["loc"])
        kind = detail["type"]
        if kind == "too_short" and detail["input"]:
            continue  # Items are missing only because each has its own mistake.
        if kind == "union_tag_not_found" and not isinstance(detail["input"], dict):
            code = "VPG1205"
        elif kind == "extra_forbidden":
            code = "VPG1201"
        elif kind.startswith("VPG"):
            code = kind
        elif kind == "string_pattern_mismatch" and str(detail.get("ctx", {})).count("^[^"):
            code = "VPG1606"  # Titles and file names: anything but control characters.
        else:
            code = _CODES.get(kind, "VPG1221")
        values = _values(detail, loc, root)
        values.setdefault("reason", detail["msg"])
        problems.append(
            Problem(code=code, place=node.place_of(path), path=path_text(path), values=values)
        )
    return problems
