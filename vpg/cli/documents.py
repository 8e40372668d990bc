"""The JSON documents of the commands: closed, versioned, ``schema_version`` first.

Owns: every document but the one of a run (``reports.summary``). Amounts keep the unit in their
name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from vpg.cli.terminal import sound
from vpg.laws import LawRow
from vpg.sweeps import Axis, PointRow
from vpg.text import message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vpg.errors import ExitCode, Problem


class Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What every part of a document is: closed and immutable."""


class ProblemPart(Document, frozen=True, kw_only=True):
    """One problem, in English whatever ``--lang`` says."""

    code: str
    place: str
    """``file:line:column``; empty when it is not about a place."""
    path: str
    message: str


class ErrorPart(Document, frozen=True, kw_only=True):
    """Why a command did not answer."""

    exit_code: int
    problems: list[ProblemPart]


class ErrorDocument(Document, frozen=True, kw_only=True):
    """The document of every command that failed."""

    schema_version: Literal["vpgsim-error-v1"] = "vpgsim-error-v1"
    error: ErrorPart


class ValidateDocument(Document, frozen=True, kw_only=True):
    """``vpg validate``: a scenario that can be run."""

    schema_version: Literal["vpgsim-validate-v1"] = "vpgsim-validate-v1"
    scenario: str
    title: str
    valid: bool
    start_us: int
    end_us: int
    seed: int
    variant: str
    overrides: list[str]
    vpgs: list[str]
    fleets: list[str]
    lines: int
    warnings: list[ProblemPart]


class ReadyPart(Document, frozen=True, kw_only=True):
    """One ready-made scenario."""

    name: str
    title: str


class NewDocument(Document, frozen=True, kw_only=True):
    """``vpg new``: what can be copied, and what was."""

    schema_version: Literal["vpgsim-new-v1"] = "vpgsim-new-v1"
    ready: list[ReadyPart]
    written: list[str]


class TierPart(Document, frozen=True, kw_only=True):
    """A price beyond the ``above``-th unit of the month: an exact decimal."""

    above: int
    value: str


class EntryPart(Document, frozen=True, kw_only=True):
    """One dated figure; ``value``: an exact decimal (or a word) in ``unit``, null: not known."""

    section: str
    item: str
    value: str | None
    unit: str
    effective_from: str
    valid_until: str | None
    source: str
    retrieved: str | None
    confidence: str
    note: str
    table: str
    free: int | None = None
    """Units of the month without a price; this and the rest: only of the section ``usage``."""
    per: str | None = None
    legs: int | None = None
    tiers: list[TierPart] | None = None


class CatalogueDocument(Document, frozen=True, kw_only=True):
    """``vpg catalogue``; ``at`` is a JST day, empty when all dates were asked for."""

    schema_version: Literal["vpgsim-catalogue-v1"] = "vpgsim-catalogue-v1"
    id: str
    sha256: str
    at: str
    entries: list[EntryPart]


class ImportDocument(Document, frozen=True, kw_only=True):
    """``vpg import …``: what was read and written."""

    schema_version: Literal["vpgsim-import-v1"] = "vpgsim-import-v1"
    kind: str
    scenario_file: str
    files: list[str]
    counts: dict[str, int]
    problems: list[ProblemPart]


class ErrorTextPart(Document, frozen=True, kw_only=True):
    """One numbered problem's text, ``‹name›`` where a value comes."""

    code: str
    en: str
    ja: str


class ErrorsDocument(Document, frozen=True, kw_only=True):
    """``vpg errors``."""

    schema_version: Literal["vpgsim-errors-v1"] = "vpgsim-errors-v1"
    errors: list[ErrorTextPart]


class SchemaDocument(Document, frozen=True, kw_only=True):
    """``vpg schema --json``: the JSON Schema of scenario files, and the file written (or empty)."""

    schema_version: Literal["vpgsim-schema-v1"] = "vpgsim-schema-v1"
    file: str
    json_schema: dict[str, object]


class SendPart(Document, frozen=True, kw_only=True):
    """One message as its device means to send it."""

    intended_us: int
    fleet: str
    line: int
    source: str
    number: int
    service: str
    bytes_up: int
    bytes_down: int


class ArrivalsDocument(Document, frozen=True, kw_only=True):
    """``vpg arrivals``: the intended sends in order of time."""

    schema_version: Literal["vpgsim-arrivals-v1"] = "vpgsim-arrivals-v1"
    scenario: str
    sends: list[SendPart]


class SweepDocument(Document, frozen=True, kw_only=True):
    """``vpg sweep``: every finished point; ``status`` partial: it was stopped before the last."""

    schema_version: Literal["vpgsim-sweep-v2"] = "vpgsim-sweep-v2"
    scenario: str
    title: str
    variant: str
    overrides: list[str]
    sweep_dir: str
    status: Literal["complete", "partial"]
    why_partial: str
    points_total: int
    points_done: int
    replications: int
    """Asked of each point; with ``until`` at most so many."""
    until: str
    """The interval that ends the replications of a point; empty: none."""
    axes: list[Axis]
    points: list[PointRow]
    warnings: list[ProblemPart]
    charts: list[str]
    digest: str
    """SHA-256 of ``sweep.csv``; empty while partial."""


class EngineDocument(Document, frozen=True, kw_only=True):
    """``vpg validate-engine``: each law, what theory says of it and what was measured."""

    schema_version: Literal["vpgsim-validate-engine-v1"] = "vpgsim-validate-engine-v1"
    form: Literal["short", "long"]
    verdict: Literal["met", "missed"]
    laws: list[LawRow]


class WarmDocument(Document, frozen=True, kw_only=True):
    """``vpg warm``: whether anything was compiled, and where the code is kept."""

    schema_version: Literal["vpgsim-warm-v1"] = "vpgsim-warm-v1"
    compiled: bool
    """False: this machine had the code already."""
    folder: str


class AddressPart(Document, frozen=True, kw_only=True):
    """One bound port of ``vpg serve``."""

    name: str
    """``api``, ``beam``, ``funnel``, ``funk``, ``unified`` or ``mqtt``."""
    host: str
    port: int
    url: str


class ServeDocument(Document, frozen=True, kw_only=True):
    """``vpg serve``, once it answers: where, and on what clock."""

    schema_version: Literal["vpgsim-serve-v1"] = "vpgsim-serve-v1"
    scenario: str
    pid: int
    store: str
    """Path, or host and name of a database: without user and password."""
    now_us: int
    """Service time, µs since the epoch."""
    time_scale: int
    vpgs: list[str]
    lines: int
    addresses: list[AddressPart]


def problem_part(problem: Problem) -> ProblemPart:
    """Return ``problem`` for a document."""
    return ProblemPart(
        code=problem.code,
        place=sound(str(problem.place) if problem.place else ""),
        path=sound(problem.path),
        message=sound(message(problem.code, "en", **problem.values)),
    )


def error_document(exit_code: ExitCode, problems: Sequence[Problem]) -> ErrorDocument:
    """Return the document of a command that failed."""
    parts = [problem_part(problem) for problem in problems]
    return ErrorDocument(error=ErrorPart(exit_code=int(exit_code), problems=parts))
