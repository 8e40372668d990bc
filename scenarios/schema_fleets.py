"""How a scenario file writes a fleet; meaning and units of the values: ``scenarios.model``."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from scenarios.schema_base import (
    Bytes,
    Count,
    CountOrZero,
    Factor,
    Label,
    Lines,
    Part,
    Percent,
    Seconds,
    SecondsOrZero,
    Wait,
    exactly_one,
)
from scenarios.schema_traffic import (
    SourceValue,  # noqa: TC001 - pydantic reads the annotations
)

Preset = Literal["none", "fixed_60s", "nas_standard", "exp_backoff_jitter", "rpm_limited"]
Status = Literal["ready", "active", "inactive", "standby", "suspended", "terminated"]


def text_or_mapping(value: object) -> str:
    """Return the tag of a value that is a name or a mapping."""
    return "@mapping" if isinstance(value, dict | Part) else "@text"


class RampPart(Part):
    """How lines spread one action over time."""

    shape: Literal["at_once", "uniform", "beta34"] = "at_once"
    """All at once, uniform, or Beta(3, 4) as in TR 37.868 model 2."""
    over_s: SecondsOrZero = Decimal(0)
    """Length of the ramp in seconds."""


class DurationPart(Part):
    """Length of a session: exactly one of the two."""

    fixed_s: Seconds | None = None
    """Every session is this long."""
    exponential_mean_s: Seconds | None = None
    """Exponential with this mean."""

    @model_validator(mode="after")
    def _one(self) -> DurationPart:
        exactly_one(self, ("fixed_s", "exponential_mean_s"))
        return self


DurationValue = Annotated[
    Annotated[Literal["idle"], Tag("@text")] | Annotated[DurationPart, Tag("@mapping")],
    Discriminator(text_or_mapping),
]
"""``idle`` (until the idle timeout of assumption A-16), or a length."""


class SessionPart(Part):
    """How the lines of a fleet hold their sessions."""

    attach: Literal["at_start", "on_report", "on_event"] = "on_report"
    """At the start of the run, when there is something to report, or at an attach_lines event."""
    ramp: RampPart = RampPart()
    """Spread of the first attach (attach at_start)."""
    duration: DurationValue = "idle"
    """When a session ends by itself."""
    keepalive_s: Wait | None = None
    """A keep-alive packet every so many seconds, as plain IP traffic; none when left out."""
    keepalive_bytes: Bytes = 64
    """Bytes of a keep-alive packet."""
    reattach_every_s: Wait | None = None
    """The device detaches and attaches again after this long in one session."""
    notice_s: SecondsOrZero | None = None
    """The device notices a lost session after this long; at its next attempt only when left out."""


class RetryStepPart(Part):
    """So many waits of one length."""

    delay_s: Wait
    """Wait before the next try."""
    count: Count = 1
    """How many such waits."""


class RetryPart(Part):
    """A retry policy: exactly one of ``preset``, ``steps`` and ``base_s``."""

    preset: Preset | None = None
    """A named policy whose bounds and jitter are changed here."""
    steps: Annotated[tuple[RetryStepPart, ...], Field(min_length=1, max_length=100)] | None = None
    """Waits in order; the last one repeats, or all with ``cycle``."""
    cycle: bool | None = None
    """With ``steps``: start again behind the last wait."""
    base_s: Wait | None = None
    """Exponential: the first wait."""
    factor: Factor | None = None
    """Exponential: each wait is this much longer than the last (2 when left out)."""
    cap_s: Wait | None = None
    """Exponential: the longest wait; needed with ``base_s``."""
    tries_max: CountOrZero | None = None
    """Most retries after the first try; without bound when left out."""
    deadline_s: Seconds | None = None
    """No try later than this after the first; without bound when left out."""
    jitter_percent: Percent | None = None
    """Each wait is drawn from so much shorter to so much longer."""
    retry_after: bool | None = None
    """Wait longer when a refusal asks for it by Retry-After (true when left out)."""

    @model_validator(mode="after")
    def _one(self) -> RetryPart:
        exactly_one(self, ("preset", "steps", "base_s"))
        return self


RetryValue = Annotated[
    Annotated[Preset, Tag("@text")] | Annotated[RetryPart, Tag("@mapping")],
    Discriminator(text_or_mapping),
]
"""Name of a preset, or a mapping."""


class FleetPart(Part):
    """Lines with one behaviour, bound to one VPG."""

    name: Label
    """Name, unique in the file; the draws of its lines hang on it."""
    vpg: Label
    """Identifier of the VPG that its SIM group selects."""
    lines: Lines
    """Number of lines."""
    status: Status = "active"
    """Line status; ready, active and standby lines can attach."""
    session: SessionPart = SessionPart()
    """How sessions begin and end."""
    attach_retry: RetryValue = "nas_standard"
    """When a refused attach is tried again; nas_standard without bound when left out."""
    retry: RetryValue = RetryPart(preset="exp_backoff_jitter", tries_max=5)
    """When a failed message is tried again; exp_backoff_jitter with 5 retries when left out."""
    outstanding: Literal["independent", "hold", "drop"] = "independent"
    """Messages of a line: independent; or one in flight, new ones held, or dropped."""
    buffer_messages: CountOrZero = 1000
    """Most messages a line holds while attaching, without power or busy."""
    traffic: tuple[SourceValue, ...] = ()
    """What the lines send."""
