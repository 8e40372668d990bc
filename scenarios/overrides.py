"""Patches of a scenario file: variants, named overrides and ``--set``.

Precedence: --set > variant > file > catalogue default.

A patch is a path and a new value, e.g. ``fleets.meters.lines`` and 2000. Items of a list are named
by their ``id`` or ``name``, or counted from 0. The value replaces what is there, whole; a key that
the file leaves out is added, and the schema then says whether it exists. Owns: paths and their
order. Does not own: which keys are allowed (``schema``).
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from scenarios.places import Composer, Node, shorten
from scenarios.problems import closest, listed
from vpg.errors import InputError, Place, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

STEPS_MAX = 20


def variant_names(root: Node) -> tuple[str, ...]:
    """Return the names under ``variants`` in the file ``root``, in its order."""
    variants = root.value.get("variants")
    return tuple(variants.value) if variants and isinstance(variants.value, dict) else ()


def apply_overrides(
    root: Node, variant: str | None, sets: Sequence[str]
) -> tuple[tuple[str, ...], list[Problem]]:
    """Change ``root`` in place; return what was applied, as text in order, and the problems."""
    problems = _check_named(root)
    applied: list[str] = []
    if variant:
        names = variant_names(root)
        if variant not in names:
            values = {"value": shorten(variant), "hint": closest(variant, names)}
            values |= {"known": listed(names) or "-"}
            problems.append(Problem(code="VPG1225", place=Place(file="--variant"), values=values))
        else:
            applied += _apply_variant(root, variant, problems)
    for text in sets:
        path, equals, value = text.partition("=")
        place = Place(file=f"--set {shorten(text)}")
        if not equals or not path.strip():
            problems.append(Problem(code="VPG1224", place=place, values={"value": shorten(text)}))
            continue
        node, found = _value(value, place, path.strip())
        problems += found
        if node is None or found:
            continue
        problems += _put(root, path.strip(), node, place)
        applied.append(f"--set {path.strip()}={value.strip()}")
    return tuple(applied), problems


def name_overrides(root: Node, variant: str, problems: Sequence[Problem]) -> list[Problem]:
    """Return ``problems``; the path of each that an override brings in also names it.

    ``fleets[0].lines`` becomes ``fleets[0].lines (overrides.more, variants.peak)``.
    """
    overrides = root.value.get("overrides")
    patches = overrides.value if overrides and isinstance(overrides.value, dict) else {}
    names = {place: name for name, patch in patches.items() for place in _places(patch)}
    chosen = _chosen(root, variant)
    named = []
    for problem in problems:
        name = names.get(problem.place) if problem.place is not None else None
        if name is None or problem.path.startswith("overrides"):
            named.append(problem)
            continue
        origin = f"overrides.{name}" + (f", variants.{variant}" if name in chosen else "")
        path = f"{problem.path} ({origin})".lstrip()
        named.append(dataclasses.replace(problem, path=path))
    return named


def _places(node: Node) -> Iterator[Place]:
    """Yield the place of everything inside ``node``."""
    yield from node.keys.values()
    if isinstance(node.value, dict | list):
        inside = node.value.values() if isinstance(node.value, dict) else node.value
        for child in inside:
            yield child.place
            yield from _places(child)


def _chosen(root: Node, variant: str) -> frozenset[str]:
    """Return the overrides that ``variant`` applies."""
    if variant not in variant_names(root):
        return frozenset()
    items = root.value["variants"].value[variant].value
    rows = items if isinstance(items, list) else ()
    return frozenset(item.value for item in rows if isinstance(item.value, str))


def _value(text: str, place: Place, path: str) -> tuple[Node | None, list[Problem]]:
    """Return the YAML value of an option, None when it is not YAML, and what is wrong with it."""
    composer = Composer(place.file)
    try:
        node = _moved(composer.compose(f"value: {text}").value["value"], place)
        found = composer.problems
    except InputError as error:
        node, found = None, error.problems
    return node, [Problem(code=p.code, place=place, path=path, values=p.values) for p in found]


def target(root: Node, path: str) -> tuple[str, ...]:
    """Return where ``path`` leads in ``root``, items of lists by their position.

    Two paths with one target change the same key; beyond what the file has, a path is its own
    target.
    """
    here: Node | None = root
    found = []
    for step in steps_of(path):
        if here is not None and isinstance(here.value, list):
            at = _index(step, [_name(item) for item in here.value])
            here = None if at is None else here.value[at]
            found.append(step if at is None else str(at))
        else:
            known = here is not None and isinstance(here.value, dict)
            here = here.value.get(step) if here is not None and known else None
            found.append(step)
    return tuple(found)


def steps_of(path: str) -> list[str]:
    """Return the steps of a path; ``a[0].b`` and ``a.0.b`` are the same."""
    return [step for step in path.replace("[", ".").replace("]", "").split(".") if step]


def _check_named(root: Node) -> list[Problem]:
    """Return the problems of paths that lead nowhere, and of variants of unknown overrides."""
    overrides, variants = root.value.get("overrides"), root.value.get("variants")
    known = overrides.value if overrides and isinstance(overrides.value, dict) else {}
    problems = []
    trial = _copied(root)
    for patch in known.values():
        for path in patch.value if isinstance(patch.value, dict) else ():
            problems += _put(trial, path, _copied(patch.value[path]), patch.keys[path])
    for name in variant_names(root):
        items = variants.value[name] if variants else None
        for index, item in enumerate(
            items.value if items and isinstance(items.value, list) else ()
        ):
            if isinstance(item.value, str) and item.value not in known:
                values = {"value": shorten(item.value), "hint": closest(item.value, known)}
                values |= {"known": listed(known) or "-"}
                path = f"variants.{name}[{index}]"
                problems.append(Problem(code="VPG1226", place=item.place, path=path, values=values))
    return problems


def _apply_variant(root: Node, variant: str, problems: list[Problem]) -> list[str]:
    applied = []
    overrides = root.value.get("overrides")
    names = root.value["variants"].value[variant]
    for item in names.value if isinstance(names.value, list) else ():
        patch = (
            overrides.value.get(item.value) if overrides and isinstance(item.value, str) else None
        )
        if patch is None or not isinstance(patch.value, dict):
            continue  # Reported by _check_named or by the schema.
        for path, node in patch.value.items():
            problems += _put(root, path, _copied(node), patch.keys[path])
            applied.append(f"variant {variant}: {path}={_flow(node)}")
    return applied


def _flow(node: Node) -> str:
    """Return the value of ``node`` as one line of YAML."""
    if isinstance(node.value, dict):
        return "{" + ", ".join(f"{k}: {_flow(v)}" for k, v in node.value.items()) + "}"
    if isinstance(node.value, list):
        return "[" + ", ".join(_flow(v) for v in node.value) + "]"
    return shorten(node.value)


def _copied(node: Node) -> Node:
    if isinstance(node.value, dict):
        children = {key: _copied(child) for key, child in node.value.items()}
        return Node(node.place, children, dict(node.keys))
    if isinstance(node.value, list):
        return Node(node.place, [_copied(child) for child in node.value])
    return Node(node.place, node.value)


def _moved(node: Node, place: Place) -> Node:
    """Return ``node`` with every place replaced: a value of the command line has no line."""
    if isinstance(node.value, dict):
        children = {key: _moved(child, place) for key, child in node.value.items()}
        return Node(place, children, dict.fromkeys(children, place))
    if isinstance(node.value, list):
        return Node(place, [_moved(child, place) for child in node.value])
    return Node(place, node.value)


def _put(root: Node, path: str, node: Node, place: Place) -> list[Problem]:
    steps = steps_of(path)
    if not steps or len(steps) > STEPS_MAX:
        return [Problem(code="VPG1224", place=place, values={"value": shorten(path)})]
    here = root
    for index, step in enumerate(steps):
        last = index == len(steps) - 1
        if isinstance(here.value, dict):
            if last:
                here.value[step] = node
                here.keys[step] = place
            elif step not in here.value or here.value[step].value is None:
                here.value[step] = Node(place, {})
                here.keys[step] = place
            here = here.value[step]
        elif isinstance(here.value, list):
            names = [_name(item) for item in here.value]
            at = _index(step, names)
            if at is None:
                values = {"step": shorten(step), "hint": closest(step, filter(None, names))}
                values |= {"known": listed(n or i for i, n in enumerate(names)) or "-"}
                return [Problem(code="VPG1223", place=place, path=path, values=values)]
            if last:
                here.value[at] = node
            here = here.value[at]
        else:
            values = {"step": shorten(step), "above": ".".join(steps[:index])}
            return [Problem(code="VPG1227", place=place, path=path, values=values)]
    return []


def _name(item: Node) -> str:
    if not isinstance(item.value, dict):
        return ""
    for key in ("id", "name"):
        if key in item.value and isinstance(item.value[key].value, str):
            return str(item.value[key].value)
    return ""


def _index(step: str, names: list[str]) -> int | None:
    if step in names:
        return names.index(step)
    # Compared as text first: a number of a million digits must not be turned into an int.
    return int(step) if step in {str(at) for at in range(len(names))} else None
