"""A user's own table of limits: how small systems meet a limit without another simulator."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from vpg.catalogue.load import load_catalogue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vpg.catalogue.model import Catalogue


def limits_table(limits: Mapping[str, int]) -> str:
    """Return a user's catalogue table that replaces ``limits``, e.g. ``lines_max_c_small``."""
    rows = ["effective_from = 2019-10-01\nreplace = true\n"]
    for item, value in limits.items():
        unit = "lines" if item.startswith("lines_max") else "requests/s"
        rows.append(f'[[limit]]\nitem = "{item}"\nvalue = {value}\nunit = "{unit}"\n')
    return "\n".join(rows)


@functools.cache
def small_catalogue(*, lines_max: int = 1000, rate_per_s: int = 30) -> Catalogue:
    """Return the shipped catalogue with other limits of a Type-C Small, read as a user's file."""
    table = limits_table({"lines_max_c_small": lines_max, "rate_per_s_c_small": rate_per_s})
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder) / "own.toml"
        own.write_text(table, encoding="utf-8")
        return load_catalogue([own])
