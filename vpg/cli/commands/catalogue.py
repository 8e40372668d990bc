"""``vpg catalogue``: every price and limit with its unit, source, date and confidence."""

from __future__ import annotations

import csv
import io
import unicodedata
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vpg.cli.grammar import command
from vpg.cli.options import CatalogueOption, catalogue_files, exclude, read_date

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from vpg.catalogue.model import Catalogue, Entry
    from vpg.cli.documents import EntryPart
    from vpg.cli.terminal import Terminal

_COLUMNS = (
    "section",
    "item",
    "value",
    "unit",
    "effective_from",
    "valid_until",
    "source",
    "retrieved",
    "confidence",
    "note",
    "table",
    "free",
    "per",
    "legs",
    "tiers",
)


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    command(
        app,
        "catalogue",
        "Print every price and limit. Each has its unit, source, date and confidence.",
        (
            "vpg catalogue",
            "vpg catalogue --type C --at 2026-04-01",
            "vpg catalogue --catalogue mine.toml --csv > catalogue.csv",
        ),
    )(catalogue)


def catalogue(
    terminal: Terminal,
    *,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="DATE", help="Only figures in force on this JST day."),
    ] = None,
    catalogue: CatalogueOption = None,
    vpg_type: Annotated[
        Literal["C", "D", "E", "F", "F2", "G"] | None,
        typer.Option("--type", help="Only what a VPG of this type can meet."),
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV (UTF-8) on stdout.")] = False,
) -> None:
    """Print the entries."""
    from vpg.catalogue.load import load_catalogue

    exclude({"--json": terminal.as_json, "--csv": as_csv})
    loaded = load_catalogue(catalogue_files(catalogue))
    day = read_date("--at", at)
    parts = _parts(loaded, day, vpg_type)
    if terminal.as_json:
        from vpg.cli.documents import CatalogueDocument

        terminal.document(
            CatalogueDocument(id=loaded.id, sha256=loaded.sha256, at=_text(day), entries=parts)
        )
    elif as_csv:
        terminal.data(_csv(parts))
    else:
        _tell(terminal, loaded, day, parts)


def _parts(loaded: Catalogue, day: dt.date | None, vpg_type: str | None) -> list[EntryPart]:
    """Return the entries in force on ``day`` (None: all) that concern ``vpg_type`` (None: any)."""
    from vpg.catalogue.items import SECTIONS
    from vpg.catalogue.model import day_start_us

    entries = loaded.entries()
    if day is not None:
        at_us = day_start_us(day)
        found = (loaded.find(item, at_us) for item in sorted({e.item for e in entries}))
        entries = tuple(entry for entry in found if entry is not None)
    order = {name: place for place, name in enumerate(map(str, SECTIONS))}
    parts = [_part(entry) for entry in entries if _concerns(entry.item, vpg_type)]
    return sorted(parts, key=lambda part: order[part.section])


def _concerns(item: str, vpg_type: str | None) -> bool:
    """Tell whether ``item`` is of ``vpg_type``, or of no type in particular."""
    from vpg.catalogue.items import TYPES

    named = {name for name in TYPES if name.lower() in item.split("_")}
    return vpg_type is None or not named or vpg_type in named


def _part(entry: Entry) -> EntryPart:
    from vpg.catalogue.items import KINDS
    from vpg.cli.documents import EntryPart, TierPart

    kind = KINDS[entry.item]
    value = entry.choice or None
    if entry.value is not None:
        value = _figure(entry.value, kind.scale)
    scale = entry.scale
    tiers = None
    if scale is not None:
        prices = ((tier.above, _figure(tier.micro_yen, kind.scale)) for tier in scale.tiers)
        tiers = [TierPart(above=above, value=price) for above, price in prices]
    return EntryPart(
        section=kind.section,
        item=entry.item,
        value=value,
        unit=entry.unit,
        effective_from=entry.effective_from.isoformat(),
        valid_until=entry.valid_until.isoformat() if entry.valid_until else None,
        source=entry.source,
        retrieved=entry.retrieved.isoformat() if entry.retrieved else None,
        confidence=entry.confidence,
        note=entry.note,
        table=entry.table,
        free=None if scale is None else scale.free,
        per=None if scale is None else scale.per,
        legs=None if scale is None else scale.legs,
        tiers=tiers,
    )


def _figure(kept: int, scale: int) -> str:
    """Return a figure as a person writes it, exactly."""
    return format((Decimal(kept) / scale).normalize(), "f")


def _tiers(part: EntryPart) -> str:
    """Return the price steps on one line, e.g. ``1000000:0.0008 5000000:0.0005``."""
    return " ".join(f"{tier.above}:{tier.value}" for tier in part.tiers or ())


def _csv(parts: Sequence[EntryPart]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for part in parts:
        cells = [getattr(part, name) for name in _COLUMNS[:-1]]
        cells.append(_tiers(part))
        writer.writerow("" if cell is None else cell for cell in cells)
    return text.getvalue().rstrip("\n")


def _tell(
    terminal: Terminal, loaded: Catalogue, day: dt.date | None, parts: Sequence[EntryPart]
) -> None:
    at = _text(day) or terminal.word("catalogue_all")
    terminal.data(terminal.word("catalogue_head", id=loaded.id, sha256=loaded.sha256[:12], at=at))
    if not parts:
        first = min(entry.effective_from for entry in loaded.entries())
        terminal.data(f"\n{terminal.word('catalogue_nothing', at=at, first=first)}")
        return
    sources: dict[str, int] = {}
    section = ""
    for part in parts:
        if part.section != section:
            section = part.section
            terminal.data(f"\n{terminal.word(f'catalogue_{section}')}")
        number = sources.setdefault(_source_text(terminal, part), len(sources) + 1)
        value = terminal.word("catalogue_unknown") if part.value is None else part.value
        dates = f"{part.effective_from} - {part.valid_until or ''}".rstrip()
        unit = terminal.word(unit_word(part.unit))
        words = (f"  {part.item:<28}", _padded(value, 14, ">"), _padded(unit, 15, "<"), dates)
        terminal.data(f"{' '.join(words)}  [{number}] {part.confidence}")
        if part.per is not None:
            said = terminal.word(f"catalogue_per_{part.per}", free=part.free, legs=part.legs)
            terminal.data(f"      {said} {_tiers(part)}".rstrip())
        if part.note:
            terminal.data(f"      {part.note}")
    terminal.data(f"\n{terminal.word('catalogue_sources')}")
    for source, number in sources.items():
        terminal.data(f"  [{number}] {source}")


def unit_word(unit: str) -> str:
    """Return the key in ``words.toml`` of a unit of the catalogue.

    >>> unit_word("yen/h")
    'unit_yen_per_h'
    """
    return f"unit_{unit.replace('/', '_per_')}"


def _padded(text: str, columns: int, side: Literal["<", ">"]) -> str:
    """Return ``text`` with blanks behind (``<``) or before it; a Japanese letter takes two."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return format(text, f"{side}{columns - wide}")


def _source_text(terminal: Terminal, part: EntryPart) -> str:
    if part.retrieved is None:
        return part.source
    return terminal.word("catalogue_source", source=part.source, day=part.retrieved)


def _text(day: dt.date | None) -> str:
    return "" if day is None else day.isoformat()
