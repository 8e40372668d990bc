"""The scenario file, format 1: its top level, objectives and assumptions.

Owns: which keys a file has, exported as JSON Schema for editors. Does not own: checks across keys
(``checks``) or meaning (``model``). Times: text with a zone; durations carry their unit in the key.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator
from pydantic.json_schema import GenerateJsonSchema

from scenarios.schema_base import (
    BytesPositive,
    Count,
    CountOrZero,
    Days,
    Hours,
    Instant,
    Label,
    Part,
    Percent,
    Seconds,
    SecondsOrZero,
    Seed,
    Slug,
    Text,
    Yen,
    exactly_one,
)
from scenarios.schema_events import EventValue  # noqa: TC001 - pydantic reads the annotations
from scenarios.schema_fleets import FleetPart, text_or_mapping
from scenarios.schema_vpgs import VpgPart  # noqa: TC001 - pydantic reads the annotations

FORMAT = 1
OBJECTIVES = (
    "accepted_percent_min",
    "throttled_percent_max",
    "refused_attach_percent_max",
    "lost_messages_max",
    "delay_s_p99_max",
    "rate_peak_per_s_max",
    "lines_peak_max",
    "charges_yen_max",
)


class TitlePart(Part):
    """What the scenario is about, in both languages."""

    ja: Text
    """Shown in Japanese."""
    en: Text
    """Shown in English."""


TitleValue = Annotated[
    Annotated[Text, Tag("@text")] | Annotated[TitlePart, Tag("@mapping")],
    Discriminator(text_or_mapping),
]
"""One text for both languages, or one for each."""


class ObjectivePart(Part):
    """A promise to check after the run: exactly one limit."""

    accepted_percent_min: Percent | None = None
    """At least so many of the decided messages are delivered; pending ones are not decided."""
    throttled_percent_max: Percent | None = None
    """At most so many of the limited attempts are throttled."""
    refused_attach_percent_max: Percent | None = None
    """At most so many of the attach attempts are refused by the line cap."""
    lost_messages_max: CountOrZero | None = None
    """At most so many messages are lost."""
    delay_s_p99_max: SecondsOrZero | None = None
    """99 of 100 delivered messages take no longer than this."""
    rate_peak_per_s_max: CountOrZero | None = None
    """At most so many limited attempts in any UTC second."""
    lines_peak_max: CountOrZero | None = None
    """At most so many sessions at once."""
    charges_yen_max: Yen | None = None
    """The run costs at most so much, tax included; never met while something has no price."""
    vpg: Label | None = None
    """Only this VPG; all together when left out (for delays and peaks: the worst one)."""

    @model_validator(mode="after")
    def _one(self) -> ObjectivePart:
        exactly_one(self, OBJECTIVES)
        return self


class AssumptionsPart(Part):
    """Readings of what no document settles; `vpg schema` and each report list the register."""

    line_cap: Literal["sessions", "assigned_sims"] = "sessions"
    """A-01: the line cap counts concurrent sessions, or the SIMs assigned to the VPG."""
    above_line_cap: Literal["refuse", "accept_and_flag", "evict_longest_idle"] = "refuse"
    """A-02: what happens to a session above the line cap."""
    above_rate: Literal["refuse", "reset", "accept_and_flag"] = "refuse"
    """A-03: what happens to a request above the limit (queueing: see the limiter)."""
    rate_shared: Literal["shared", "each"] = "shared"
    """A-05: Beam, Funnel and Funk share one limit, or each has its own."""
    beam_legs: Literal["device", "both"] = "device"
    """A-06: Beam requests count once (device side) or twice."""
    included_connection: Literal["one_in_total", "one_of_each"] = "one_in_total"
    """A-09: the base fee includes one connection in total, or one of each kind."""
    inspection: Literal["per_started_10000", "first_10000"] = "per_started_10000"
    """A-10: inspection is charged per started 10,000 lines, or covers the first 10,000 only."""
    junction_inspection: Literal["additive", "inspection_only"] = "additive"
    """A-11: inspection comes on top of the Junction base fee, or replaces it."""
    size_change: Literal["recreate_with_fee", "in_place_free"] = "recreate_with_fee"
    """A-13: a change of type or size recreates the VPG with its fee, or is free and in place."""
    rounding: Literal["monthly_total", "per_item", "per_day"] = "monthly_total"
    """A-15: where fractions of a yen are rounded."""
    idle_timeout_s: SecondsOrZero = Decimal(3600)
    """A-16: a session without traffic ends after this long; 0 is never."""
    ghosts: Literal["replaced", "not_replaced"] = "replaced"
    """A-17: a line's new session replaces its ghost, or the ghost stays until its timeout."""
    session_setup_per_s: Count | None = None
    """A-18: sessions a VPG can set up in a second; without limit when left out."""
    cut_after_s: Seconds | None = None
    """A-28: sessions older than this are cut by the platform; never when left out."""
    cut_after_bytes: BytesPositive | None = None
    """A-28: sessions that moved more bytes are cut by the platform; never when left out."""
    resize_hour: Literal["both", "dearer"] = "both"
    """A-32: in the hour of a change both sizes are charged, or the dearer only."""
    mirror_throttled: bool = True
    """A-35: throttled requests are mirrored too, since they crossed the VPG."""


class ScenarioFile(Part):
    """A fleet, its gateways, what happens to them and what must hold."""

    vpgsim: Literal[1]
    """Format of this file."""
    name: Slug
    """Short name: small letters, digits, - and _; also names the run directory."""
    title: TitleValue = ""
    """What the scenario is about: one text, or `{ja: …, en: …}`."""
    start: Instant
    """Start with its zone, e.g. 2026-04-01T09:00:00+09:00."""
    end: Instant | None = None
    """End with its zone; give exactly one of end, duration_h and duration_d."""
    duration_h: Hours | None = None
    """Length in hours."""
    duration_d: Days | None = None
    """Length in days."""
    seed: Seed = 1
    """Chance: the same seed gives the same run."""
    vpgs: Annotated[tuple[VpgPart, ...], Field(min_length=1, max_length=100)]
    """The gateways."""
    fleets: Annotated[tuple[FleetPart, ...], Field(min_length=1, max_length=1000)]
    """The lines."""
    events: Annotated[tuple[EventValue, ...], Field(max_length=10_000)] = ()
    """What happens during the run."""
    objectives: Annotated[tuple[ObjectivePart, ...], Field(max_length=100)] = ()
    """What must hold at the end."""
    assumptions: AssumptionsPart = AssumptionsPart()
    """Readings of the unknowns."""
    overrides: dict[Label, dict[str, Any]] = Field(default_factory=dict)
    """Named patches: path to new value, e.g. `fleets.meters.lines: 2000`."""
    variants: dict[Label, tuple[Label, ...]] = Field(default_factory=dict)
    """Named lists of overrides, chosen by --variant."""

    @model_validator(mode="after")
    def _one(self) -> ScenarioFile:
        exactly_one(self, ("end", "duration_h", "duration_d"))
        return self


class _Generator(GenerateJsonSchema):
    """JSON Schema whose defaults are numbers where the file has numbers."""

    def encode_default(self, dft: Any) -> Any:  # noqa: ANN401 - pydantic's signature
        """Return ``dft`` as JSON, decimals as numbers."""
        if isinstance(dft, Part):
            return {name: self.encode_default(getattr(dft, name)) for name in dft.model_fields_set}
        if isinstance(dft, Decimal):
            return int(dft) if dft == dft.to_integral_value() else float(dft)
        return super().encode_default(dft)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of scenario files, as committed in ``schema.json``."""
    schema = ScenarioFile.model_json_schema(schema_generator=_Generator)
    return {"$schema": GenerateJsonSchema.schema_dialect, **_with_sorted_defaults(schema)}


def _with_sorted_defaults(node: Any) -> Any:  # noqa: ANN401 - any JSON
    """Sort the keys of every default: pydantic writes them in the order of a set."""
    if isinstance(node, list):
        return [_with_sorted_defaults(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: dict(sorted(value.items()))
        if key == "default" and isinstance(value, dict)
        else _with_sorted_defaults(value)
        for key, value in node.items()
    }
