"""Write the generated pages anew: ``python -m docs.build``, which is what ``make docs`` runs.

Owns: which pages are generated and how they read. Does not own their facts: the hourly columns, the
error texts, the register of unknowns and the scenario schema each have one home in the code; a page
is only their print.
``tests/docs/test_generated.py`` fails while a page on disk differs from what this would write.
"""

from __future__ import annotations

import json
from pathlib import Path

from scenarios.register import register
from scenarios.schema import json_schema
from vpg import text
from vpg.rating import hourly

ROOT = Path(__file__).parent.parent

_AGGREGATES = {
    "key": "part of the row's key",
    "state": "a row's own; not added up",
    "set": "union",
    "sum": "sum",
    "max": "maximum",
    "first": "first",
    "last": "last",
}
_PARTS = {
    "10": "Command line and machine",
    "11": "Catalogue",
    "12": "Scenarios",
    "13": "Imports",
    "14": "Runs and run directories",
    "15": "Reports",
    "16": "Scenarios: what a run cannot use",
    "17": "Bills and invoices",
    "18": "Live service",
    "19": "Load tests and the gate",
}
_MADE = "<!-- Made by `make docs`; change the code, not this page. -->"


def pages() -> dict[Path, str]:
    """Return every generated page: where it lies and what it says."""
    return {
        ROOT / "docs" / "assumptions.md": _assumptions(),
        ROOT / "docs" / "hourly.md": _hourly(),
        ROOT / "docs" / "errors.md": _errors(),
        ROOT / "scenarios" / "schema.json": _schema(),
    }


def _assumptions() -> str:
    lines = [
        "# The register of unknowns",
        "",
        _MADE,
        "",
        "What no document settles, and how it is read unless a scenario says otherwise. *Key* is",
        "where a scenario chooses; without one it cannot. What acts on an invoice is chosen there",
        "(`vpg/billing/policy.py`, table of closing days). Every manifest lists them all.",
        "",
        "| | reading | 読み方 | key | default | alternatives | acts on |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for one in register():
        key = f"`{one.key}`" if one.key else ""
        others = "; ".join(one.alternatives)
        cells = (one.id, one.en, one.ja, key, one.default, others, one.acts)
        lines.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _hourly() -> str:
    lines = [
        "# The hourly metrics",
        "",
        _MADE,
        "",
        f"Version `{hourly.SCHEMA}`. One row per `vpg_id`, `hour_start_us` and `config_seq`, in",
        "this order; integers and names only. *Over time* says how a VPG's rows become a total.",
        "",
        "| column | unit | what it counts | over time |",
        "| --- | --- | --- | --- |",
        *(
            f"| `{c.name}` | {c.unit} | {_cell(c.text)} | {_AGGREGATES[c.aggregate]} |"
            for c in hourly.COLUMNS
        ),
    ]
    return "\n".join(lines) + "\n"


def _errors() -> str:
    lines = ["# Error numbers", "", _MADE]
    part = ""
    for code in text.codes():
        if code[3:5] != part:
            part = code[3:5]
            lines += ["", f"## VPG{part}xx {_PARTS[part]}", ""]
            lines += ["| number | English | 日本語 |", "| --- | --- | --- |"]
        english, japanese = (_cell(text.explained(code, lang)) for lang in ("en", "ja"))
        lines.append(f'| <a id="{code.lower()}"></a>{code} | {english} | {japanese} |')
    return "\n".join(lines) + "\n"


def _schema() -> str:
    return json.dumps(json_schema(), ensure_ascii=False, indent=2) + "\n"


def _cell(words: str) -> str:
    """Return ``words`` so that they stay inside one cell of a table."""
    return " ".join(words.split()).replace("|", "\\|").replace("<", "&lt;")


def main() -> None:
    """Write every page that differs and name it."""
    for path, words in pages().items():
        if not path.is_file() or path.read_text(encoding="utf-8") != words:
            path.write_text(words, encoding="utf-8")
            print(f"written: {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
