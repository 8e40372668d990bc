"""Builders of input files for the tests of the importers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from scenarios.loader import load_scenario
from tests.support import ROOT
from vpg.catalogue.load import load_catalogue
from vpg.text import render

if TYPE_CHECKING:
    from pathlib import Path

    from scenarios.importers.result import Imported
    from scenarios.model import Scenario
    from vpg.errors import Problem

DATA = ROOT / "tests" / "data" / "import"
ROW_PARTS = ("rows_used", "rows_bad", "rows_outside", "rows_blank")

LINE_HEADER = (
    "集計対象日,回線電話番号,SIM製造番号,商品コード,プランコード,キャリア種別,"
    "SIM種別,SIMサイズ,出荷日,利用開始日,利用終了予定日,SIMステータス"
)
USAGE_HEADER = (
    "集計対象日,回線電話番号,プランコード,基準データ量,当日,1日前,2日前,3日前,"
    "4日前,5日前,6日前,前月合計"
)
AIR_HEADER = (
    "imsi,date,type,uploadByteSizeTotal,uploadPacketCountTotal,"
    "downloadByteSizeTotal,downloadPacketCountTotal"
)


def line_row(number: int, status: str = "利用中", **other: str) -> str:
    """Return a row of the line list; ``other`` replaces fields by name."""
    fields = {
        "date": "2026-04-01",
        "phone": f"0700000{number:04d}",
        "sim": f"DN{number:06d}",
        "product": "PC-A",
        "plan": "IOT-1GB",
        "carrier": "docomo",
        "kind": "データ",
        "size": "ナノ",
        "shipped": "2026-01-05",
        "started": "2026-01-10",
        "ends": "",
        "status": status,
    }
    fields.update(other)
    return ",".join(fields.values())


def usage_row(number: int, days: list[int], plan: str = "P1") -> str:
    """Return a row of the usage file with seven ``days``."""
    return ",".join(
        ["2026-04-01", f"0700000{number:04d}", plan, "", *(str(day) for day in days), "0"]
    )


def check_counts(counts: dict[str, int]) -> None:
    """Every row is counted in exactly one way."""
    assert counts["rows_read"] == sum(counts[part] for part in ROW_PARTS)


def loaded(imported: Imported, folder: Path) -> Scenario:
    """Write what was imported and return what the loader makes of it."""
    for name, data in imported.files().items():
        (folder / name).write_bytes(data)
    path = folder / f"{imported.name}.yaml"
    return load_scenario(path, catalogue=load_catalogue())


def told(problems: list[Problem]) -> list[tuple[str, int]]:
    """Return (number, line) of each problem; every one must have both texts."""
    for problem in problems:
        for lang in ("en", "ja"):
            assert not re.search(r"[{}]", render(problem, lang))
    return [(problem.code, problem.place.line if problem.place else 0) for problem in problems]
