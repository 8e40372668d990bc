"""Builds the summary of a run, and reads it back.

Owns: filling ``document.Summary`` from a run and its accounts. Does not own: findings, printing,
writing the run directory. Times in: ``SimUs``; in the document: ISO 8601 in JST beside ``*_us``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from reports.document import (
    AssumptionPart,
    CataloguePart,
    ChargesPart,
    ItemPart,
    MonthPart,
    ObjectivePart,
    Services,
    Summary,
    TotalsPart,
    VpgPart,
    WarningPart,
    Words,
)
from reports.findings import findings as find
from reports.series import config_at, configs, lines_bound
from scenarios.register import register
from vpg.billing.money import yen_text
from vpg.errors import InputError, Place, Problem
from vpg.rating.charges import charges_digest
from vpg.rating.hourly import digest
from vpg.rating.totals import totals as add_up
from vpg.text import message
from vpg.timebase import iso_jst

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from reports.document import Findings, Verdict
    from scenarios.model import Scenario
    from scenarios.objectives import ObjectiveResult
    from vpg.billing.month import Bill
    from vpg.catalogue.model import Catalogue
    from vpg.rating.charges import ChargeRow
    from vpg.rating.totals import Totals
    from vpg.results import RunResult

FILE_NAME = "summary.json"


def summary_document(
    *,
    scenario: Scenario,
    catalogue: Catalogue,
    result: RunResult,
    charges: Sequence[ChargeRow],
    bill: Bill,
    objectives: Sequence[ObjectiveResult],
    warnings: Sequence[Problem],
    totals: Totals | None = None,
    findings: Findings | None = None,
    run_dir: str = "",
    charts: Sequence[str] = (),
) -> Summary:
    """Return the summary of ``result``; ``totals`` and ``findings`` are computed unless given."""
    totals = add_up(result.rows, result.delays) if totals is None else totals
    found = find(scenario, catalogue, result, totals) if findings is None else findings
    if not all(objective.met for objective in objectives):
        found = _without_smaller(found)
    parts = [_objective(one) for one in objectives]
    return Summary(
        scenario=scenario.name,
        title=scenario.title,
        title_ja=scenario.title_ja,
        variant=scenario.variant,
        overrides=list(scenario.overrides),
        run_dir=run_dir,
        status=result.status,
        why_partial=result.why_partial,
        verdict=_verdict(result, parts),
        start=iso_jst(scenario.start_us),
        end=iso_jst(scenario.end_us),
        ended_at=iso_jst(result.ended_at_us),
        seed=scenario.seed,
        attempts=sum(msgspec.structs.astuple(_services(totals, "attempts"))),
        totals=_totals(totals),
        per_vpg=_per_vpg(scenario, catalogue, result, totals, charges),
        charges=_charges(bill),
        objectives=parts,
        findings=found,
        warnings=[_warning(problem) for problem in warnings],
        assumptions=_assumptions(scenario),
        catalogue=CataloguePart(id=catalogue.id, sha256=catalogue.sha256),
        charts=list(charts),
        digest=digest(result.rows),
        charges_digest=charges_digest(charges),
    )


def _without_smaller(found: Findings) -> Findings:
    """Return ``found`` without the advice to take less: a promise is not kept as it is."""
    kept = [advice for advice in found.advice if advice.kind != "smaller_size"]
    return msgspec.structs.replace(found, advice=kept)


def encode(document: Summary) -> bytes:
    """Return ``document`` as indented UTF-8 JSON with a final line feed."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def read_summary(run_dir: Path) -> Summary:
    """Return the summary in ``run_dir``; raises ``InputError`` when it cannot be read."""
    path = run_dir / FILE_NAME
    try:
        raw = path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        problem = Problem(
            code="VPG1501",
            place=Place(file=str(run_dir)),
            values={"file": FILE_NAME, "why": reason},
        )
        raise InputError([problem]) from None
    try:
        return msgspec.json.decode(raw, type=Summary)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        problem = Problem(code="VPG1502", place=Place(file=str(path)), values={"why": str(error)})
        raise InputError([problem]) from None


def _verdict(result: RunResult, objectives: Iterable[ObjectivePart]) -> Verdict:
    if result.status == "partial":
        return "partial"
    judged = [one.met for one in objectives]
    if not judged:
        return "no_objectives"
    return "holds" if all(judged) else "fails"


def _objective(one: ObjectiveResult) -> ObjectivePart:
    return ObjectivePart(
        kind=one.kind, vpg_id=one.vpg_id, limit=one.limit, measured=one.measured, met=one.met
    )


def _services(totals: Totals, what: str) -> Services:
    return Services(
        beam=getattr(totals, f"{what}_beam"),
        funnel=getattr(totals, f"{what}_funnel"),
        funk=getattr(totals, f"{what}_funk"),
        ip=getattr(totals, f"{what}_ip"),
    )


def _totals(totals: Totals) -> TotalsPart:
    same: dict[str, Any] = {
        name: getattr(totals, name)
        for name in TotalsPart.__struct_fields__
        if name not in {"vpg_hours", "messages_pending", *_BY_SERVICE}
    }
    return TotalsPart(
        **same | {what: _services(totals, what) for what in _BY_SERVICE},
        vpg_hours=totals.hours,
        messages_pending=totals.pending_end,
    )


_BY_SERVICE = ("attempts", "accepted", "throttled", "no_session", "failed_upstream")


def _per_vpg(
    scenario: Scenario,
    catalogue: Catalogue,
    result: RunResult,
    totals: Totals,
    charges: Sequence[ChargeRow],
) -> list[VpgPart]:
    own = {one.vpg_id: one for one in totals.per_vpg}
    yen: dict[str, int] = {}
    incomplete: set[str] = set()
    for row in charges:
        yen[row.vpg_id] = yen.get(row.vpg_id, 0) + (row.amount_micro_yen or 0)
        if row.amount_micro_yen is None:
            incomplete.add(row.vpg_id)
    parts = []
    for vpg in scenario.vpgs:
        if vpg.id not in own:
            continue
        last = config_at(configs(scenario, catalogue, vpg), result.ended_at_us - 1)
        parts.append(
            VpgPart(
                vpg_id=vpg.id,
                type=last.type,
                size=last.size,
                lines_max=last.lines_max,
                rate_per_s=last.rate_per_s,
                lines_bound=lines_bound(scenario, vpg.id, result.ended_at_us),
                totals=_totals(own[vpg.id]),
                tax_excluded_yen=yen_text(yen.get(vpg.id, 0)),
                charges_complete=vpg.id not in incomplete,
            )
        )
    return parts


def _charges(bill: Bill) -> ChargesPart:
    months = [
        MonthPart(
            month=month.month,
            tax_ppm=month.tax_ppm,
            tax_excluded_yen=month.tax_excluded_yen,
            tax_yen=month.tax_yen,
            tax_included_yen=month.tax_included_yen,
            items=[
                ItemPart(
                    vpg_id=item.vpg_id,
                    bill_item=item.bill_item,
                    quantity=item.quantity,
                    unit_price_yen=_yen(item.unit_price_micro_yen),
                    amount_yen=_yen(item.amount_micro_yen),
                )
                for item in month.items
            ],
        )
        for month in bill.months
    ]
    return ChargesPart(
        tax_excluded_yen=bill.tax_excluded_yen,
        tax_yen=bill.tax_yen,
        tax_included_yen=bill.tax_included_yen,
        complete=bill.complete,
        rounding=bill.rounding,
        months=months,
    )


def _yen(micro_yen: int | None) -> str | None:
    return None if micro_yen is None else yen_text(micro_yen)


def _warning(problem: Problem) -> WarningPart:
    return WarningPart(
        code=problem.code,
        place="" if problem.place is None else str(problem.place),
        path=problem.path,
        text=Words(
            en=message(problem.code, "en", **problem.values),
            ja=message(problem.code, "ja", **problem.values),
        ),
    )


def _assumptions(scenario: Scenario) -> list[AssumptionPart]:
    parts = []
    for one in register():
        chosen, default = str(one.chosen(scenario)), str(one.default)
        parts.append(
            AssumptionPart(
                id=one.id,
                key=one.key or "",
                default=default,
                chosen=chosen,
                is_default=chosen == default,
                text=Words(en=one.en, ja=one.ja),
            )
        )
    return parts
