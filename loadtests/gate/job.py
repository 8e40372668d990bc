"""One gate from its first canary to its decision.

Owns: the order of the steps, where the stores lie, and the second helping: a job that cannot tell
measures as much again, once. Does not own: any step's inside. Every process and folder is gone
afterwards, also after Ctrl-C (``vpg.cli`` turns it into an exception).
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from loadtests.gate import canaries, revisions, rounds
from loadtests.gate.decision import decide
from loadtests.gate.service import ServiceError, started
from loadtests.gate.values import BASE, CONTROL, HEAD, Recording
from vpg.errors import ExitCode, Problem, VpgError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from loadtests.gate.decision import Decision
    from loadtests.gate.revisions import Side

MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder in memory, where Linux has one
FREE_MIN: Final = 1 << 30
"""Bytes that folder must have free."""


class NotMeasuredError(VpgError):
    """The job could not be measured to its end."""

    exit_code = ExitCode.CANNOT_TELL

    def __init__(self, reason: str) -> None:
        """Keep the ``reason``."""
        self.problem = Problem(code="VPG1954", values={"reason": reason})
        super().__init__(reason)


class NotLinuxError(VpgError):
    """What the gate asks, this system does not tell."""

    exit_code = ExitCode.CANNOT_TELL

    def __init__(self) -> None:
        """Say so."""
        self.problem = Problem(code="VPG1957")
        super().__init__("not Linux")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What one job shall do."""

    base: str | None
    """Revision to compare with; None: a stored baseline, or nothing yet."""
    baseline: Recording | None
    shape: rounds.Shape
    work: Path | None = None
    """Folder for the stores; None: in memory where there is such a folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a job found."""

    recording: Recording
    decision: Decision | None
    """None: there was nothing to compare with."""


def run(asked: Asked, progress: Callable[[int, int], None], installing: Callable[[], None]) -> Done:
    """Do the whole job; ``progress`` hears rounds done and rounds planned.

    ``installing`` is called before packages are installed for the base, which takes a while.

    Raises ``InputError`` for a base that cannot be had, ``NotMeasuredError`` for what could not be
    measured, ``NotLinuxError``.
    """
    if not Path("/proc/self/io").exists():
        raise NotLinuxError
    with contextlib.ExitStack() as stack:
        disk = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vpg-gate-")))
        where = work_folder() if asked.work is None else asked.work
        stores = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="vpg-gate-", dir=where))
        )
        sides = stack.enter_context(_sides(asked, disk, installing))
        try:
            return measured(asked, sides, stores, progress)
        except ServiceError as error:
            raise NotMeasuredError(str(error)) from error
        except (OSError, TimeoutError) as error:
            raise NotMeasuredError(error.strerror or str(error)) from error


def work_folder() -> Path | None:
    """Return a folder in memory with room; None: the system's folder for temporary files.

    The gate measures code. What a disk does meanwhile is another matter, and much the noisier one;
    how much the code asks of it is budgeted exactly.
    """
    with contextlib.suppress(OSError):
        if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= FREE_MIN:
            return MEMORY
    return None


@contextlib.contextmanager
def _sides(
    asked: Asked, folder: Path, installing: Callable[[], None]
) -> Iterator[Mapping[str, Side]]:
    head = revisions.head()
    if asked.base is None:
        yield {HEAD: head, CONTROL: head}
        return
    with revisions.base(asked.base, folder, installing) as base:
        yield {BASE: base, CONTROL: base, HEAD: head}


def measured(
    asked: Asked, sides: Mapping[str, Side], folder: Path, progress: Callable[[int, int], None]
) -> Done:
    """Measure ``sides`` with their stores in ``folder``, and decide if there is what to compare.

    Raises ``ServiceError`` and ``OSError``.
    """
    core, stolen = canaries.gate_core(), canaries.stolen()
    launches = {name: side.launch for name, side in sides.items()}
    for name, one in launches.items():
        # Once for nothing: it starts at all, and no later start has to compile its modules.
        if name != CONTROL:
            with started(one, folder / f"trial-{name}", core):
                pass
    before = canaries.canary(folder, core)
    shape, rate_per_s, planned = asked.shape, 0.0, asked.shape.restarts * asked.shape.rounds
    done, restarts = 0, []

    def count() -> None:
        nonlocal done
        done += 1
        progress(done, planned)

    while True:
        more, rate_per_s = rounds.restarts(
            launches, shape, folder=folder, core=core, rate_per_s=rate_per_s, progress=count
        )
        restarts += more
        recording = Recording(
            date=dt.datetime.now(dt.UTC).date().isoformat(),
            seed=shape.seed,
            rate_per_s=rate_per_s,
            machine=canaries.machine(core, stolen),
            revisions={name: side.revision for name, side in sides.items()},
            canaries=[before, canaries.canary(folder, core)],
            restarts=list(restarts),
        )
        if asked.base is None and asked.baseline is None:
            return Done(recording=recording, decision=None)
        decision = decide(recording, asked.baseline)
        if decision.answer != "cannot_tell" or shape.first:
            return Done(recording=recording, decision=decision)
        shape, planned = replace(shape, first=shape.restarts), 2 * planned
