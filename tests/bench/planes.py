"""The reference plane against a user's SimPy script: a thousand lines, a day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench import measure
from tests.bench.figures import Figure
from tests.bench.spec import Phase, Workload

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.figures import Options

RATIO_MIN = 0.25
SHAPES: dict[str, Phase] = {"spread": "uniform", "sync": "clock"}


def reference(options: Options) -> Iterator[Figure]:
    """Alternate the reference plane and the user's script on each shape."""
    for shape, phase in SHAPES.items():
        workload = Workload(hours=0.2 if options.short else 24, phase=phase)
        found, _ = measure.in_turns(("reference", "simpy"), workload, options.runs)
        ours, users = found["reference"], found["simpy"]
        yield measure.speeds(f"reference plane, {shape}", ours)
        yield measure.speeds(f"user's SimPy script, {shape}", users)
        yield Figure(
            name=f"ratio reference plane / user's script, {shape}",
            value=measure.ratio(ours, users),
            unit="times",
            runs=options.runs,
            at_least=options.goal(RATIO_MIN),
        )
        yield measure.peak(f"reference plane, {shape}", ours)
        yield measure.peak(f"user's SimPy script, {shape}", users)
