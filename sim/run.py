"""Run a scenario: control plane and data plane together, checked before anyone sees a figure.

Owns: the order of the two, the last check and the result. Does not own: either plane. Times:
``SimUs``.
"""

from __future__ import annotations

import dataclasses
import gc
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from scenarios.workload import expected_messages
from sim.control import Control, Progress
from sim.plane.reference import ReferencePlane
from vpg.errors import EnsureError
from vpg.rating.hourly import key_of
from vpg.rating.totals import conservation
from vpg.results import RunResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from scenarios.model import Scenario
    from sim.plane.protocol import Plane
    from vpg.catalogue.model import Catalogue
    from vpg.rating.hourly import HourlyRow

__all__ = ["BrokenRunError", "Engine", "Progress", "simulate"]

Engine: TypeAlias = Literal["auto", "reference", "compiled"]
"""Which data plane runs; ``auto``: the reference for small runs. The result is the same."""
SMALL_MESSAGES: Final = 20_000
"""Up to here the reference plane is done before compiled code would be loaded."""


class BrokenRunError(EnsureError):
    """The hourly rows of a run contradict each other: a bug of ours, to be found in ``result``."""

    def __init__(self, facts: str, result: RunResult) -> None:
        """Keep the whole ``result``, marked partial because of the broken ``facts``."""
        self.result = dataclasses.replace(result, status="partial", why_partial=facts)
        super().__init__(facts)


def simulate(
    scenario: Scenario,
    catalogue: Catalogue,
    *,
    progress: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] | None = None,
    replication: int = 0,
    engine: Engine = "auto",
    workers: int = 1,
) -> RunResult:
    """Return the hourly metrics of ``scenario``.

    ``progress`` is called at least once a simulated hour; when ``stop`` returns true the run ends
    there and its result is marked partial. Same scenario, seed and replication: same result,
    whenever, wherever, on whichever ``engine`` and with however many ``workers`` (threads of the
    compiled engine). Raises ``BrokenRunError`` when a conservation
    identity or Little's law does not hold (a bug of ours).
    """
    plane = _plane(scenario, replication, engine, workers)
    control = Control(scenario=scenario, catalogue=catalogue, plane=plane)
    # Lines and messages refer to each other in long-lived cycles that only cost the collector time.
    collecting = gc.isenabled()
    gc.disable()
    try:
        reached_us = control.run(progress, stop)
    finally:
        if collecting:
            gc.enable()
    rows = tuple(sorted(control.rows, key=key_of))
    partial = reached_us < scenario.end_us
    result = RunResult(
        rows=rows,
        delays=control.delays,
        minutes=tuple(sorted(control.minutes, key=lambda row: (row.vpg_id, row.minute_start_us))),
        notes=tuple(control.notes),
        status="partial" if partial else "complete",
        ended_at_us=reached_us,
        why_partial="interrupted" if partial else "",
    )
    broken = [*conservation(rows), *_against_little(plane, rows)]
    if broken:
        raise BrokenRunError("; ".join(broken), result)
    return result


def is_compiled(scenario: Scenario, engine: Engine = "auto") -> bool:
    """Return whether ``engine`` means the compiled plane for ``scenario``."""
    if engine == "auto":
        what = scenario.fleets, scenario.events, scenario.start_us, scenario.end_us
        return expected_messages(*what) > SMALL_MESSAGES
    return engine == "compiled"


def _plane(scenario: Scenario, replication: int, engine: Engine, workers: int) -> Plane:
    if not is_compiled(scenario, engine):
        return ReferencePlane(scenario=scenario, replication=replication)
    # Only here: Numba takes a quarter of a second to import.
    from sim.plane.compiled.plane import CompiledPlane  # noqa: PLC0415

    return CompiledPlane(scenario=scenario, replication=replication, workers=workers)


def _against_little(plane: Plane, rows: Iterable[HourlyRow]) -> Iterator[str]:
    """Yield the VPGs whose open messages over time are not the sum of what each was open."""
    for vpg_id in dict.fromkeys(row.vpg_id for row in rows):
        found = plane.little(vpg_id)
        if found.area_message_us != found.sojourn_message_us:
            yield (
                f"{vpg_id}: Little's law: {found.area_message_us} message µs by their number"
                f" != {found.sojourn_message_us} by their times"
            )
