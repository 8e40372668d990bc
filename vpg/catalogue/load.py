"""Reads the tables of the product and of the user, and merges them into one catalogue.

Owns: files, their order, and what a contradiction is. Does not own: what a row may hold (``rows``).
Precedence: a user's table over an earlier one over the shipped tables, and only where it says
``replace = true`` or no figure is known yet. From its ``effective_from`` on, a replacing row hides
every earlier table's entry of its item; when it ends (``valid_until``), nothing comes back: it is
stale then.
"""

from __future__ import annotations

import functools
import itertools
import tomllib
from decimal import Decimal, DecimalException
from importlib import resources
from typing import TYPE_CHECKING, Any

from vpg.catalogue.model import Catalogue, Entry
from vpg.catalogue.places import TomlPlaces, syntax_place
from vpg.catalogue.rows import Row, TableReader
from vpg.errors import InputError, Place, Problem

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FILE_BYTES_MAX = 1_048_576
_NAN = Decimal("NaN")

Timeline = dict[str, list[Entry]]


def load_catalogue(user_files: Sequence[Path] = ()) -> Catalogue:
    """Return the shipped catalogue extended by ``user_files``, in order.

    Raises ``InputError`` with every problem of every file.
    """
    shipped_ids, shipped = _shipped()
    ids = list(shipped_ids)
    timeline: Timeline = {item: list(rows) for item, rows in shipped.items()}
    problems: list[Problem] = []
    for file in user_files:
        text, found = _read_text(file)
        if text is not None:
            more = _add_table(text, shown_as=str(file), default_id=file.stem, timeline=timeline)
            ids.append(more[0])
            found = more[1]
        problems.extend(found)
    if problems:
        raise InputError(problems)
    return Catalogue(catalogue_id="+".join(ids), timeline=timeline)


@functools.cache
def _shipped() -> tuple[tuple[str, ...], dict[str, tuple[Entry, ...]]]:
    """Return ids and entries of the shipped tables, oldest first (file names are dates)."""
    ids: list[str] = []
    timeline: Timeline = {}
    folder = resources.files("vpg.catalogue").joinpath("tables")
    for file in sorted(folder.iterdir(), key=lambda f: f.name):
        if file.name.endswith(".toml"):
            text = file.read_text(encoding="utf-8")
            name, problems = _add_table(
                text, shown_as=file.name, default_id=file.name, timeline=timeline, shipped=True
            )
            if problems:
                raise InputError(problems)
            ids.append(name)
    return tuple(ids), {item: tuple(rows) for item, rows in timeline.items()}


def _read_text(file: Path) -> tuple[str | None, list[Problem]]:
    place = Place(file=str(file))
    try:
        if file.exists() and not file.is_file():
            return None, [Problem(code="VPG1101", place=place, values={"reason": "not a file"})]
        with file.open("rb") as stream:
            data = stream.read(FILE_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return None, [Problem(code="VPG1101", place=place, values={"reason": reason})]
    if len(data) > FILE_BYTES_MAX:
        problem = Problem(code="VPG1102", place=place, values={"allowed": FILE_BYTES_MAX})
        return None, [problem]
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n"), []
    except UnicodeDecodeError as error:
        good = data[: error.start].decode("utf-8-sig", errors="ignore").split("\n")
        where = Place(file=str(file), line=len(good), column=len(good[-1]) + 1)
        values = {"value": f"0x{data[error.start]:02x}"}
        return None, [Problem(code="VPG1103", place=where, values=values)]


def _decimal(text: str) -> Decimal:
    """Read a TOML float exactly; what is too large even for that is not a number."""
    try:
        return Decimal(text)
    except DecimalException:
        return _NAN


def _parse(text: str, file: str) -> tuple[dict[str, Any] | None, list[Problem]]:
    try:
        return tomllib.loads(text, parse_float=_decimal), []
    except RecursionError:
        values = {"reason": "nested too deeply"}
        return None, [Problem(code="VPG1104", place=Place(file=file), values=values)]
    except ValueError as error:  # TOMLDecodeError, or an integer of thousands of digits
        reason = str(error).split(" (at ")[0]
        place = syntax_place(str(error), text, file)
        return None, [Problem(code="VPG1104", place=place, values={"reason": reason})]


def _add_table(
    text: str, *, shown_as: str, default_id: str, timeline: Timeline, shipped: bool = False
) -> tuple[str, list[Problem]]:
    """Merge one table's text into ``timeline``; return its id and what is wrong with it."""
    document, problems = _parse(text, shown_as)
    if document is None:
        return default_id, problems
    places = TomlPlaces(text=text, file=shown_as)
    table_id = document.get("id")
    name = table_id if isinstance(table_id, str) and table_id else default_id
    reader = TableReader(table=name, places=places)
    rows = reader.read(document)
    problems = [*reader.problems, *_merge(rows, timeline, places, shipped=shipped)]
    if not rows and not problems:
        problems.append(Problem(code="VPG1116", place=places.file()))
    problems.sort(key=lambda p: (p.place.line, p.place.column) if p.place else (0, 0))
    return name, problems


def _merge(
    rows: list[Row], timeline: Timeline, places: TomlPlaces, *, shipped: bool
) -> list[Problem]:
    by_item: dict[str, list[Row]] = {}
    for row in rows:
        by_item.setdefault(row.entry.item, []).append(row)
    problems: list[Problem] = []
    for item, own in by_item.items():
        own.sort(key=lambda r: r.entry.effective_from)
        problems.extend(_contradictions(own, places))
        begins = own[0].entry.effective_from
        before = timeline.get(item, [])
        hidden = [e for e in before if _known(e) and _meets(e, own[0], before)]
        if hidden and not shipped and not any(row.replace for row in own):
            problems.append(_problem("VPG1115", own[0], places, hidden[-1]))
        timeline[item] = [e for e in before if e.effective_from < begins]
        timeline[item] += [row.entry for row in own]
    return problems


def _known(entry: Entry) -> bool:
    return entry.value is not None or bool(entry.choice)


def _meets(entry: Entry, first: Row, before: list[Entry]) -> bool:
    """Tell whether ``entry`` is in force on or after the day that ``first`` begins."""
    begins = first.entry.effective_from
    replaced = any(entry.effective_from < e.effective_from <= begins for e in before)
    return not replaced and (entry.valid_until is None or entry.valid_until >= begins)


def _contradictions(own: list[Row], places: TomlPlaces) -> list[Problem]:
    """Return what one table says twice: two values from one day, or overlapping periods."""
    problems = []
    for first, then in itertools.pairwise(own):
        if first.entry.effective_from == then.entry.effective_from:
            problems.append(_problem("VPG1113", then, places, first.entry, first))
        elif (
            first.entry.valid_until is not None
            and first.entry.valid_until >= then.entry.effective_from
        ):
            problems.append(_problem("VPG1114", then, places, first.entry, first))
    return problems


def _problem(
    code: str, row: Row, places: TomlPlaces, other: Entry, other_row: Row | None = None
) -> Problem:
    line = places.header(other_row.section, other_row.index).line if other_row else 0
    values = {
        "item": row.entry.item,
        "begins": row.entry.effective_from,
        "other_begins": other.effective_from,
        "other_ends": other.valid_until or "…",
        "other_table": other.table,
        "line": line,
    }
    return Problem(
        code=code,
        place=places.header(row.section, row.index),
        path=f"{row.section}[{row.index}]",
        values=values,
    )
