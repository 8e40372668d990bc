"""Turns one parsed TOML table into entries, and says everything that is wrong with it.

Owns: the keys of a table file and what each may hold. Does not own: reading files and merging
tables (``load``). Times: dates are days in JST. No float is kept: decimals are read as ``Decimal``.

A table file has the top-level keys ``id``, ``effective_from``, ``valid_until``, ``replace`` and any
number of ``[[price]]``, ``[[usage]]``, ``[[limit]]``, ``[[tax]]``, ``[[feature]]``, ``[[code]]``
and ``[[rule]]`` rows.
"""

from __future__ import annotations

import datetime as dt
import difflib
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from vpg.catalogue.items import CONFIDENCES, KINDS, ROUNDINGS, SECTIONS, ItemKind
from vpg.catalogue.model import Entry
from vpg.catalogue.scales import SCALE_KEYS, Scale, read_scale
from vpg.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vpg.catalogue.places import TomlPlaces

TOP_KEYS = ("id", "effective_from", "valid_until", "replace", *SECTIONS)
ROW_KEYS = (
    "item",
    "value",
    "unit",
    "effective_from",
    "valid_until",
    "source",
    "retrieved",
    "confidence",
    "note",
    "replace",
)
UNKNOWN = "unknown"
_SHOWN_MAX = 60
_DATES = ("effective_from", "valid_until", "retrieved")
_WORDS = ("source", "note", "id")
_FIRST_DAY = dt.date(1970, 1, 2)
_LAST_DAY = dt.date(9999, 12, 30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One entry with what merging needs to know about it."""

    entry: Entry
    replace: bool
    section: str
    index: int


def shown(value: object) -> str:
    """Return ``value`` as a person would recognise it in the file, cut to a readable length."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and value.bit_length() > 4 * _SHOWN_MAX:
        return f"an integer of {value.bit_length()} bits"
    text = value if isinstance(value, str) else str(value)
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}…"


def nearest(word: str, allowed: Iterable[str]) -> str:
    """Return the allowed word most like ``word``.

    >>> nearest("vpg_c_smal", ("vpg_c_large", "vpg_c_small"))
    'vpg_c_small'
    """
    return difflib.get_close_matches(word[:_SHOWN_MAX], list(allowed), n=1, cutoff=0)[0]


class TableReader:
    """Reads the rows of one table; collects every problem instead of stopping at the first."""

    def __init__(self, *, table: str, places: TomlPlaces) -> None:
        """Read a table shown to people as ``table``."""
        self._table = table
        self._places = places
        self.problems: list[Problem] = []

    def read(self, document: dict[str, Any]) -> list[Row]:
        """Return the good rows of ``document``; what is wrong with the others: ``problems``."""
        rows: list[Row] = []
        self._check_keys(document, TOP_KEYS, "", 0)
        top = {k: v for k, v in document.items() if k in TOP_KEYS and k not in SECTIONS}
        self._check_kinds(top, "", 0)
        for section in SECTIONS:
            tables = document.get(section, [])
            if not isinstance(tables, list) or not all(isinstance(t, dict) for t in tables):
                self._add("VPG1107", "", 0, section, value=shown(tables), allowed=f"[[{section}]]")
                continue
            for index, table in enumerate(tables):
                row = self._row(section, index, {k: v for k, v in top.items() if k != "id"}, table)
                if row is not None:
                    rows.append(row)
        return rows

    def _add(self, code: str, section: str, index: int, key: str, **values: object) -> None:
        path = f"{section}[{index}].{key}" if section else key
        key_is_wrong = code == "VPG1105"
        place = (self._places.key if key_is_wrong else self._places.value)(section, index, key)
        self.problems.append(Problem(code=code, place=place, path=path, values=dict(values)))

    def _check_keys(
        self, table: dict[str, Any], allowed: tuple[str, ...], section: str, index: int
    ) -> None:
        for key in table:
            if key not in allowed:
                self._add(
                    "VPG1105",
                    section,
                    index,
                    key,
                    value=shown(key),
                    allowed=", ".join(allowed),
                    nearest=nearest(key, allowed),
                )

    def _check_kinds(self, table: dict[str, Any], section: str, index: int) -> None:
        """Check the values that do not depend on the item; wrong ones become ``None``."""
        for key, value in list(table.items()):
            allowed = ""
            if key in _DATES and not _is_day(value):
                allowed = "a date such as 2026-04-01 (no quotes, no time)"
            elif key in _WORDS and not (isinstance(value, str) and value.strip()):
                allowed = "a text in quotes"
            elif key == "replace" and not isinstance(value, bool):
                allowed = "true, false"
            elif key == "confidence" and value not in CONFIDENCES:
                allowed = ", ".join(CONFIDENCES)
            if allowed and not (key == "note" and value == ""):
                self._add("VPG1107", section, index, key, value=shown(value), allowed=allowed)
                table[key] = None

    def _row(
        self, section: str, index: int, top: dict[str, Any], given: dict[str, Any]
    ) -> Row | None:
        before = len(self.problems)
        keys = ROW_KEYS + SCALE_KEYS if section == "usage" else ROW_KEYS
        self._check_keys(given, keys, section, index)
        own = {k: v for k, v in given.items() if k in keys}
        self._check_kinds(own, section, index)
        kind = self._kind(section, index, own)
        merged = top | own
        value, choice = self._value(section, index, kind, own) if kind else (None, "")
        scale = self._scale(section, index, kind, own)
        begins, ends = self._days(section, index, merged)
        if len(self.problems) > before or kind is None or begins is None:
            return None
        entry = Entry(
            item=kind.item,
            value=value,
            unit=kind.unit,
            effective_from=begins,
            valid_until=ends,
            source=own.get("source", f"user table {self._table}"),
            retrieved=own.get("retrieved"),
            confidence=own.get("confidence", "user"),
            note=own.get("note", ""),
            table=self._table,
            choice=choice,
            scale=scale,
        )
        return Row(entry=entry, replace=bool(merged.get("replace")), section=section, index=index)

    def _kind(self, section: str, index: int, own: dict[str, Any]) -> ItemKind | None:
        allowed = tuple(k.item for k in KINDS.values() if k.section == section)
        item = own.get("item")
        if item is None:
            self._missing(section, index, "item", ", ".join(allowed))
            return None
        if not isinstance(item, str) or item not in allowed:
            close = nearest(shown(item), allowed)
            names = ", ".join(allowed)
            self._add(
                "VPG1108", section, index, "item", value=shown(item), allowed=names, nearest=close
            )
            return None
        kind = KINDS[item]
        unit = own.get("unit")
        if unit is None:
            self._missing(section, index, "unit", kind.unit)
        elif unit != kind.unit:
            self._add(
                "VPG1109", section, index, "unit", value=shown(unit), allowed=kind.unit, item=item
            )
        return kind

    def _missing(self, section: str, index: int, key: str, allowed: str) -> None:
        place = self._places.header(section, index)
        path = f"{section}[{index}].{key}"
        values = {"key": key, "allowed": allowed}
        self.problems.append(Problem(code="VPG1106", place=place, path=path, values=values))

    def _value(
        self, section: str, index: int, kind: ItemKind, own: dict[str, Any]
    ) -> tuple[int | None, str]:
        """Return (value in the kept unit, choice); problems are added when it cannot be used."""
        value = own.get("value")
        allowed = _allowed(kind)
        if value is None:
            self._missing(section, index, "value", allowed)
        elif kind.section == "rule":
            if value in ROUNDINGS:
                return None, str(value)
            self._add("VPG1107", section, index, "value", value=shown(value), allowed=allowed)
        elif value == UNKNOWN and kind.unknown:
            return None, ""
        elif kind.unit == "bool" and isinstance(value, bool):
            return int(value), ""
        elif kind.unit == "bool" or isinstance(value, bool) or not _is_number(value):
            self._add("VPG1107", section, index, "value", value=shown(value), allowed=allowed)
        elif not kind.minimum <= value <= kind.maximum:
            self._add("VPG1110", section, index, "value", value=shown(value), allowed=allowed)
        else:
            kept = Decimal(value) * kind.scale
            if kept == int(kept):
                return int(kept), ""
            step = Decimal(1) / kind.scale
            self._add("VPG1111", section, index, "value", value=shown(value), step=f"{step:f}")
        return None, ""

    def _scale(
        self, section: str, index: int, kind: ItemKind | None, own: dict[str, Any]
    ) -> Scale | None:
        if kind is None or section != "usage":
            return None

        def note(code: str, key: str, **values: object) -> None:
            if "value" in values:
                values["value"] = shown(values["value"])
            self._add(code, section, index, key, **values)

        return read_scale(kind, own, note)

    def _days(
        self, section: str, index: int, merged: dict[str, Any]
    ) -> tuple[dt.date | None, dt.date | None]:
        begins, ends = merged.get("effective_from"), merged.get("valid_until")
        if "effective_from" not in merged:
            self._missing(section, index, "effective_from", "a date such as 2026-04-01")
        elif begins is not None and ends is not None and ends < begins:
            self._add("VPG1112", section, index, "valid_until", value=ends, begins=begins)
        return begins, ends


def _is_day(value: object) -> bool:
    """Tell whether ``value`` is a plain date (in Python a datetime is one too) in our calendar."""
    if not isinstance(value, dt.date) or isinstance(value, dt.datetime):
        return False
    return _FIRST_DAY <= value <= _LAST_DAY


def _is_number(value: object) -> bool:
    if isinstance(value, Decimal):
        return value.is_finite()
    return isinstance(value, int)


def _allowed(kind: ItemKind) -> str:
    """Return what the value of ``kind`` may be, for people."""
    unknown = f', "{UNKNOWN}"' if kind.unknown else ""
    if kind.section == "rule":
        return ", ".join(ROUNDINGS)
    if kind.unit == "bool":
        return f"true, false{unknown}"
    return f"{kind.minimum} … {kind.maximum} ({kind.unit}){unknown}"
