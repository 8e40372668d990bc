"""A decision as JUnit XML, one test case for each figure, budget and side's events.

Owns: the form. In English whatever the terminal speaks: programs read it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtests.gate.decision import Decision

Case = tuple[str, str, str, str]
"""Class, name, ``failure``, ``error`` (it cannot be told) or ``""``, and what to say."""


def cases(decision: Decision) -> Iterator[Case]:
    """Yield what was judged."""
    outcome = {"slower": "failure", "cannot_tell": "error"}
    for row in decision.figures:
        change = row.change
        text = (
            f"{row.verdict}: {row.base:.6g} -> {row.head:.6g} {row.unit}, ratio {change.ratio:.4f}"
            f" [{change.low:.4f}, {change.high:.4f}], band {row.band:.0%}; control"
            f" {row.control.ratio:.4f} [{row.control.low:.4f}, {row.control.high:.4f}]"
        )
        yield "gate.figure", row.name, outcome.get(row.verdict, ""), text
    for budget in decision.budgets:
        text = f"{budget.base:.6g} -> {budget.head:.6g} per 1,000 events"
        text += f", {budget.allowed:.6g} allowed"
        yield "gate.budget", budget.name, "" if budget.kept else "failure", text
    for count in decision.counts:
        text = (
            f"{count.acknowledged} acknowledged, {count.stored} stored, {count.lost} lost,"
            f" {count.doubled} counted twice, {count.refused} requests refused"
        )
        wrong = count.lost or count.doubled or f"refused {count.role}" in decision.reasons
        yield "gate.events", count.role, "failure" if wrong else "", text


def junit(decision: Decision) -> bytes:
    """Return the document."""
    found = list(cases(decision))
    suite = ET.Element(
        "testsuite",
        name="vpg gate",
        tests=str(len(found)),
        failures=str(sum(kind == "failure" for _, _, kind, _ in found)),
        errors=str(sum(kind == "error" for _, _, kind, _ in found)),
    )
    for group, name, kind, text in found:
        case = ET.SubElement(suite, "testcase", classname=group, name=name)
        inside = ET.SubElement(case, kind, message=text) if kind else None
        if inside is None:
            ET.SubElement(case, "system-out").text = text
    ET.indent(suite)
    return bytes(ET.tostring(suite, encoding="utf-8", xml_declaration=True)) + b"\n"
