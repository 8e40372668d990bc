"""The summary of a run as one closed, versioned document: ``summary.json`` and ``vpg run --json``.

Owns: the shape. Does not own: how it is filled (``summary``, ``findings``) or printed
(``terminal``). Times: ``*_us`` is ``SimUs``, or a duration where the name says so; instants as text
are ISO 8601 in JST. Money: whole yen as integers behind the one rounding, exact decimals as text
before it.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from vpg.replications import FigureName

SCHEMA = "vpgsim-summary-v1"

Verdict = Literal["holds", "fails", "no_objectives", "partial"]
"""``partial``: the run did not reach its end, so its objectives are not judged."""
LimitName = Literal["line_cap", "session_setup", "request_rate", "upstream"]
Binding = Literal["line_cap", "session_setup", "request_rate", "upstream", "none"]
LossKind = Literal["lost_tries", "lost_deadline", "lost_buffer", "lost_cancelled"]
AdviceKind = Literal[
    "spread_reports",
    "spread_minute",
    "load_above_rate",
    "burst_below_cost",
    "larger_size",
    "larger_for_lines",
    "split_vpgs",
    "divide_lines",
    "smaller_size",
    "retry_jitter",
    "ramp_attach",
    "ramp_setup",
    "ghost_slots",
    "assigned_above_cap",
    "no_session",
    "lost_tries",
    "lost_deadline",
    "lost_buffer",
    "lost_cancelled",
    "pending_messages",
    "upstream_failures",
    "mirror_dropped",
    "uncapped",
    "unpriced",
]


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every part of the document is: closed and immutable."""


class Words(Part, frozen=True, kw_only=True):
    """The same text in both languages."""

    en: str
    ja: str


class Services(Part, frozen=True, kw_only=True):
    """Attempts by service."""

    beam: int
    funnel: int
    funk: int
    ip: int


class TotalsPart(Part, frozen=True, kw_only=True):
    """Flows summed, peaks the largest; over several VPGs a peak is that of the worst one."""

    vpg_hours: int
    messages_offered: int
    messages_delivered: int
    messages_lost: int
    lost_tries: int
    lost_deadline: int
    lost_buffer: int
    lost_cancelled: int
    messages_pending: int
    attempts: Services
    accepted: Services
    throttled: Services
    no_session: Services
    failed_upstream: Services
    requests_flagged: int
    rate_peak_per_s: int
    sessions_created: int
    sessions_deleted: int
    sessions_end: int
    sessions_flagged: int
    attach_attempts: int
    sessions_refused: int
    attach_rejected_other: int
    attach_peak_per_s: int
    lines_peak: int
    ghosts_peak: int
    bytes_up: int
    bytes_down: int
    bytes_mirrored: int
    mirror_dropped: int
    delay_us_p50: int
    delay_us_p99: int
    delay_us_max: int


class VpgPart(Part, frozen=True, kw_only=True):
    """One VPG: what it was at the end of the run, and what it did."""

    vpg_id: str
    type: str
    size: str
    lines_max: int | None
    """Line cap at the end; null: the catalogue has none."""
    rate_per_s: int | None
    """Request limit at the end; null: the catalogue has none."""
    lines_bound: int
    """Lines bound to it at the end, connected or not."""
    totals: TotalsPart
    tax_excluded_yen: str
    """Exact sum of its priced charges over the run."""
    charges_complete: bool


class ItemPart(Part, frozen=True, kw_only=True):
    """One bill item of one VPG in one rating month; null: the catalogue has no price."""

    vpg_id: str
    bill_item: str
    quantity: int
    unit_price_yen: str | None
    amount_yen: str | None


class MonthPart(Part, frozen=True, kw_only=True):
    """One rating month (``yyyyMM``)."""

    month: str
    tax_ppm: int
    tax_excluded_yen: int
    tax_yen: int
    tax_included_yen: int
    items: list[ItemPart]


class ChargesPart(Part, frozen=True, kw_only=True):
    """What the run costs; unless ``complete`` something has no price and the sums lack it."""

    tax_excluded_yen: int
    tax_yen: int
    tax_included_yen: int
    complete: bool
    rounding: str
    months: list[MonthPart]


class ObjectivePart(Part, frozen=True, kw_only=True):
    """One promise; limit and measured are in the unit that ``kind`` ends with."""

    kind: str
    vpg_id: str
    limit: int
    measured: int
    """Of charges that are not complete: a lower bound, never enough to be ``met``."""
    met: bool


class LimitUse(Part, frozen=True, kw_only=True):
    """How close one limit of one VPG came, and how often it refused."""

    limit: LimitName
    type: str = ""
    size: str = ""
    """What the VPG was when it came closest; empty for upstream."""
    cap: int | None
    """Lines (line_cap) or per second; null: none is known, or upstream, which has no number."""
    peak: int
    """Largest use, in the unit of ``cap``, at the moment closest to it; 0 for upstream."""
    share_ppm: int | None
    """``peak`` / ``cap``."""
    asked: int
    """Attempts that had to pass this limit; of requests, those without a session included."""
    refused: int
    refused_ppm: int


class WorstMinute(Part, frozen=True, kw_only=True):
    """The minute with most throttled, then refused attaches, else with the busiest second."""

    start_us: int
    start: str
    busiest_second: str
    attempts: int
    accepted: int
    throttled: int
    rate_peak_per_s: int
    rate_per_s: int | None
    attach_attempts: int
    sessions_refused: int
    lines_peak: int
    lines_max: int | None


class SizeUse(Part, frozen=True, kw_only=True):
    """One VPG against its limits while it was of one type and size."""

    type: str
    size: str
    binding: Binding
    limits: list[LimitUse]


class Loss(Part, frozen=True, kw_only=True):
    """Messages that were lost in one way."""

    kind: LossKind
    messages: int


class VpgFindings(Part, frozen=True, kw_only=True):
    """What bound one VPG."""

    vpg_id: str
    binding: Binding
    limits: list[LimitUse]
    """Over the whole run: of each limit the use closest to the one then in force."""
    sizes: list[SizeUse] = []
    """The same for each type and size it had, in the order of the run."""
    uncapped_types: list[str] = []
    """Types it had whose limits the catalogue does not know: nothing says whether it fits."""
    worst_minute: WorstMinute | None
    losses: list[Loss] = []
    """What lost messages, the most first; a limit need not have refused anything."""


class Advice(Part, frozen=True, kw_only=True):
    """One thing to do or to know; its words are the report text ``advice.<kind>`` with ``figures``.

    ``estimate`` is arithmetic on this run's figures that no simulation has confirmed;
    ``measured`` is a fact of the run.
    """

    kind: AdviceKind
    vpg_id: str
    basis: Literal["estimate", "measured"]
    figures: dict[str, int | str]


class Findings(Part, frozen=True, kw_only=True):
    """Which limit binds, where, when, and what would help."""

    binding: Binding
    vpg_id: str
    """The VPG it binds most; empty when none does."""
    vpgs: list[VpgFindings]
    advice: list[Advice]


class WarningPart(Part, frozen=True, kw_only=True):
    """Something the reader should know that did not stop the run."""

    code: str
    place: str
    path: str
    text: Words


class AssumptionPart(Part, frozen=True, kw_only=True):
    """How one unknown of the register was read in this run."""

    id: str
    key: str
    """Under ``assumptions:`` in the scenario; empty when it is not a choice there."""
    default: str
    chosen: str
    is_default: bool
    text: Words


class CataloguePart(Part, frozen=True, kw_only=True):
    """Whose figures were used."""

    id: str
    sha256: str


Method = Literal["replications", "batch_means", "none"]


class FigurePart(Part, frozen=True, kw_only=True):
    """One figure over several replications, or over the days of one long run."""

    figure: FigureName
    unit: Literal["ppm", "us", "1/s", "lines", "yen", "messages"]
    n: int
    """Values it is made of: replications, or batches of days."""
    method: Method
    """``none``: one value says nothing of its own spread."""
    warm_up_h: int
    """Hours at the start that batch means leave out; 0 for replications."""
    mean: float
    half_width: float | None
    """The 95 % interval is ``mean`` ± this; null: method ``none``."""
    smallest: float
    largest: float


class UntilPart(Part, frozen=True, kw_only=True):
    """The interval that was to end the sequence of replications."""

    asked: str
    """As on the command line, with ``+-`` for ±: ``accepted_share+-0.1%``."""
    figure: FigureName
    met: bool


class ReplicationsPart(Part, frozen=True, kw_only=True):
    """What all replications say; the rest of the document is replication 0 alone."""

    asked: int
    """With ``until``: at most so many."""
    finished: int
    confidence_percent: int
    objectives_met: int
    """Replications that met every objective of the scenario."""
    until: UntilPart | None
    figures: list[FigurePart]


class Summary(Part, frozen=True, kw_only=True):
    """Everything a planner needs to act on one run."""

    schema_version: Literal["vpgsim-summary-v1"] = "vpgsim-summary-v1"
    scenario: str
    title: str
    title_ja: str = ""
    """Empty: the title is the same for both languages."""
    variant: str
    overrides: list[str]
    run_dir: str
    status: Literal["complete", "partial"]
    why_partial: str
    verdict: Verdict
    start: str
    end: str
    ended_at: str
    """Where the simulation stopped; ``end`` when complete."""
    seed: int
    attempts: int
    """All tries of messages, over all services and VPGs."""
    totals: TotalsPart
    per_vpg: list[VpgPart]
    charges: ChargesPart
    objectives: list[ObjectivePart]
    findings: Findings
    replications: ReplicationsPart | None = None
    """Null: the run was not replicated."""
    warnings: list[WarningPart]
    assumptions: list[AssumptionPart]
    catalogue: CataloguePart
    charts: list[str]
    """File names inside the run directory."""
    digest: str
    charges_digest: str


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of ``Summary``; ``reports/summary.schema.json`` is this."""
    schema = msgspec.json.schema(Summary)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
