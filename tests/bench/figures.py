"""Figures of the bench: what was measured, against which target, on which machine; no measuring."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
HEADER = f"{'figure':<58} {'median':>13} {'unit':<11} {'runs':>4}  {'target':<10}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured figure, its unit, and its target if it has one; or why it was skipped."""

    name: str
    value: float = 0.0
    unit: str = ""
    runs: int = 0
    at_least: float | None = None
    at_most: float | None = None
    skipped: str = ""

    @property
    def target(self) -> str:
        if self.at_least is not None:
            return f">= {self.at_least:g}"
        return f"<= {self.at_most:g}" if self.at_most is not None else ""

    @property
    def verdict(self) -> str:
        """Empty without a target."""
        if self.skipped:
            return "skipped"
        if not self.target:
            return ""
        low = self.at_least is None or self.value >= self.at_least
        return "ok" if low and (self.at_most is None or self.value <= self.at_most) else "MISSED"

    @property
    def shown(self) -> str:
        return f"{self.value:,.0f}" if self.value >= 1000 else f"{self.value:.3g}"

    def line(self) -> str:
        if self.skipped:
            return f"{self.name:<58} {'skipped':>13} {self.skipped}"
        what = f"{self.name:<58} {self.shown:>13} {self.unit:<11} {self.runs:>4}"
        return f"{what}  {self.target:<10} {self.verdict}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How much to measure: ``short`` is for a look whether the bench works; it has no targets."""

    runs: int = 3
    short: bool = False
    chart: Path | None = None
    """Where the part that draws writes its chart."""

    def goal(self, value: float) -> float | None:
        """Return a target, which small workloads do not have."""
        return None if self.short else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one call of the bench found."""

    machine: str
    date: str
    load: tuple[float, float]
    """The machine's load at begin and end: above 1, the figures are of the neighbours too."""
    parts: dict[str, list[Figure]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of_json(cls, found: dict[str, Any]) -> Report:
        parts = {name: [Figure(**one) for one in ones] for name, ones in found["parts"].items()}
        begin, end = found["load"]
        return cls(machine=found["machine"], date=found["date"], load=(begin, end), parts=parts)


def check(fact: object, text: str) -> None:
    """End the bench when a measurement did not do its work."""
    if not fact:
        sys.exit(f"the bench did not do its work: {text}")


def load() -> float:
    """Return the machine's load of the last minute (0 where it has no such figure)."""
    return round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else 0.0


def machine() -> str:
    """Return what the figures hang on."""
    model = platform.processor() or "unknown processor"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.partition(":")[2].strip()
            for line in cpuinfo.read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ]
        model = names[0] if names else model
    packages = []
    for name in ("simpy", "numpy", "numba", "cimba", "matplotlib"):
        try:
            packages.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            packages.append(f"no {name}")
    return (
        f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, {', '.join(packages)}"
    )
