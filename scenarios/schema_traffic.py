"""How a scenario file writes traffic; meaning and units of the values: ``scenarios.model``."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from scenarios.schema_base import (
    Amount,
    Bytes,
    BytesPositive,
    Count,
    FileName,
    Instant,
    Label,
    Moment,
    Part,
    Rate,
    Scale,
    Seconds,
    SecondsOrZero,
    Shape,
    Share,
    exactly_one,
)


class ParetoPart(Part):
    """Pareto distribution of sizes, cut off at the maximum."""

    shape: Shape
    """Shape (3GPP TR 45.820 uses 2.5)."""
    min_bytes: BytesPositive
    """Smallest size."""
    max_bytes: BytesPositive
    """Sizes above are this size."""


class ChoicePart(Part):
    """One of several sizes."""

    bytes: Bytes
    """Size of the payload."""
    weight: Count = 1
    """How often, against the other choices."""


class PayloadPart(Part):
    """A distribution of sizes: exactly one of ``uniform``, ``pareto`` and ``choice``."""

    uniform: tuple[Bytes, Bytes] | None = None
    """Every size from the first to the second number, equally often."""
    pareto: ParetoPart | None = None
    """Many small, few large."""
    choice: Annotated[tuple[ChoicePart, ...], Field(min_length=1)] | None = None
    """Listed sizes with weights."""

    @model_validator(mode="after")
    def _one(self) -> PayloadPart:
        exactly_one(self, ("uniform", "pareto", "choice"))
        return self


def number_or_mapping(value: object) -> str:
    """Return the tag of a value that is a number or a mapping."""
    return "@mapping" if isinstance(value, dict | Part) else "@number"


PayloadValue = Annotated[
    Annotated[Bytes, Tag("@number")] | Annotated[PayloadPart, Tag("@mapping")],
    Discriminator(number_or_mapping),
]
"""Bytes of one message: a number, or a distribution."""

Service = Literal["beam", "funnel", "funk", "ip"]


class SourcePart(Part):
    """What every traffic source has."""

    name: Label | None = None
    """Unique in the fleet; its place in the list (``s0``, ``s1``, …) when left out.
    The draws of a source hang on its name."""
    service: Service = "beam"
    """Entry point: beam, funnel and funk are limited; ip (plain IP) is only counted."""
    payload_bytes: PayloadValue = 0
    """Bytes from the device."""
    answer_bytes: PayloadValue = 0
    """Bytes of the answer."""
    share_percent: Share = Decimal(100)
    """Lines of the fleet that run this source."""


class PeriodicPart(SourcePart):
    """A message every so many seconds."""

    kind: Literal["periodic"]
    """Periodic reports."""
    every_s: Seconds
    """Interval in seconds."""
    phase: Literal["uniform", "even", "clock"] = "uniform"
    """Start of each line: drawn, evenly spaced over the interval, or on the clock (all at once)."""
    offset_s: SecondsOrZero | None = None
    """With phase clock: seconds after each multiple of the interval (counted in UTC)."""
    jitter_s: SecondsOrZero = Decimal(0)
    """Each message comes up to this much later, drawn."""


class PoissonPart(SourcePart):
    """Independent arrivals of each line."""

    kind: Literal["poisson"]
    """Poisson arrivals."""
    messages_per_hour: Rate
    """Mean number of messages an hour and line."""


class Model1Part(SourcePart):
    """TR 37.868 traffic model 1: one message a line, uniform over 60 s."""

    kind: Literal["tr37868_model1"]
    """Uncoordinated arrivals (3GPP TR 37.868)."""
    at: Moment
    """Begin of the burst."""
    over_s: Seconds = Decimal(60)
    """Length of the burst."""
    repeat_s: Seconds | None = None
    """Again every so many seconds; once when left out."""


class Model2Part(SourcePart):
    """TR 37.868 traffic model 2: one message a line, Beta(3, 4) over 10 s."""

    kind: Literal["tr37868_model2"]
    """Highly synchronised arrivals (3GPP TR 37.868)."""
    at: Moment
    """Begin of the burst."""
    over_s: Seconds = Decimal(10)
    """Length of the burst."""
    repeat_s: Seconds | None = None
    """Again every so many seconds; once when left out."""


class IntervalPart(Part):
    """One reporting interval and how many lines use it."""

    every_s: Seconds
    """Interval in seconds."""
    percent: Share
    """Lines with this interval; the percents of the list add up to 100."""


class ReportingPart(SourcePart):
    """TR 45.820 mobile autonomous reporting: each line draws its own interval."""

    kind: Literal["tr45820"]
    """Periodic reports of mixed intervals (3GPP TR 45.820 annex E)."""
    payload_bytes: PayloadValue = PayloadPart(
        pareto=ParetoPart(shape=Decimal("2.5"), min_bytes=20, max_bytes=200)
    )
    """Bytes from the device; Pareto of shape 2.5 from 20 to 200 bytes when left out."""
    intervals: Annotated[tuple[IntervalPart, ...], Field(min_length=1)] | None = None
    """Intervals; 1 day 40 %, 2 h 40 %, 1 h 15 %, 30 min 5 % when left out."""


class PointPart(Part):
    """One interval of demand."""

    begins_at: Instant
    """Begin with its zone."""
    ends_at: Instant
    """End with its zone."""
    messages: Amount
    """Messages of the whole fleet in this interval, on average."""


class DemandCurvePart(SourcePart):
    """Poisson arrivals whose rate follows measured demand."""

    kind: Literal["demand_curve"]
    """A measured curve."""
    file: FileName | None = None
    """CSV beside the scenario with the columns begins_at, ends_at, messages."""
    points: Annotated[tuple[PointPart, ...], Field(min_length=1, max_length=10_000)] | None = None
    """The curve itself, in place of a file."""
    scale: Scale = Decimal(1)
    """Every figure of the curve times this."""

    @model_validator(mode="after")
    def _one(self) -> DemandCurvePart:
        exactly_one(self, ("file", "points"))
        return self


class TracePart(SourcePart):
    """Replay of recorded messages; sizes come from the file."""

    kind: Literal["trace"]
    """A recorded trace."""
    file: FileName
    """CSV beside the scenario with the columns time, line, bytes_up, bytes_down."""


SourceValue = Annotated[
    PeriodicPart
    | PoissonPart
    | Model1Part
    | Model2Part
    | ReportingPart
    | DemandCurvePart
    | TracePart,
    Field(discriminator="kind"),
]
"""One traffic source, told apart by ``kind``."""
