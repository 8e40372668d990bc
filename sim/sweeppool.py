"""The points of a sweep, computed here or by processes of our own; the order never matters.

Owns: the processes, who computes which point, and that a lost process loses nothing. Does not own:
what a point is (``sim.sweep``) or where finished ones go. Processes are spawned, so nothing of this
one is shared; they end with it, whatever ends it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

from sim.sweep import Sweep, run_point
from vpg.errors import EnsureError, InputError, Problem
from vpg.sweeps import PointRow
from vpg.sweepwork import SweepError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection

    from sim.control import Progress
    from vpg.catalogue.model import Catalogue

LOST_MAX = 3
"""A point whose process ended by itself this many times is given up."""
_LOOK_EVERY_S = 0.2

Task = tuple[int, tuple[str, ...]]
"""Number and values of a point."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """How far a sweep is, in thousandths of points (read like the simulator's own progress)."""

    at_us: int
    start_us: int
    end_us: int
    events: int


def compute(
    sweep: Sweep,
    catalogue: Catalogue,
    tasks: Sequence[Task],
    *,
    workers: int,
    done: Callable[[PointRow], None],
    progress: Callable[[Reached], None] | None,
    stop: Callable[[], bool],
) -> None:
    """Compute ``tasks`` and hand each finished one to ``done``, in any order, until ``stop``.

    Raises what a point raises, and ``SweepError`` when a point's process ends by itself again and
    again.
    """
    if min(workers, len(tasks)) <= 1:
        _compute_here(sweep, catalogue, tasks, done=done, progress=progress, stop=stop)
        return
    crew = _Crew(sweep, catalogue, tasks)
    try:
        crew.grow(min(workers, len(tasks)))
        finished = attempts = 0
        while crew.is_busy and not stop():
            for row in crew.finished():
                done(row)
                finished += 1
                attempts += row.attempts
            if progress is not None:
                progress(_reached(finished, len(tasks), attempts))
    finally:
        crew.end()


def _reached(finished: int, total: int, events: int, thousandths: int = 0) -> Reached:
    at = 1000 * finished + thousandths
    return Reached(at_us=at, start_us=0, end_us=1000 * total, events=events)


def _compute_here(
    sweep: Sweep,
    catalogue: Catalogue,
    tasks: Sequence[Task],
    *,
    done: Callable[[PointRow], None],
    progress: Callable[[Reached], None] | None,
    stop: Callable[[], bool],
) -> None:
    finished = attempts = 0

    def show(inner: Progress) -> None:
        if progress is not None:
            part = 1000 * (inner.at_us - inner.start_us) // (inner.end_us - inner.start_us)
            progress(_reached(finished, len(tasks), attempts + inner.events, part))

    for point, values in tasks:
        if stop():
            return
        row = run_point(sweep, catalogue, point, values, progress=show, stop=stop)
        if row is not None:
            done(row)
            finished += 1
            attempts += row.attempts


# ---- processes -----------------------------------------------------------------------------------


class _Crew:
    """Processes and what each of them is at."""

    def __init__(self, sweep: Sweep, catalogue: Catalogue, tasks: Sequence[Task]) -> None:
        """Take the work; no process starts yet."""
        self._job = (sweep, catalogue)
        self._open = deque(tasks)
        self._lost: dict[int, int] = {}
        self._at: dict[Connection[Any, Any], tuple[Any, Task]] = {}
        self._context = multiprocessing.get_context("spawn")

    @property
    def is_busy(self) -> bool:
        """Whether a point is still being computed."""
        return bool(self._at)

    def grow(self, count: int) -> None:
        """Start ``count`` more processes, each at its first point."""
        for _ in range(count):
            here, there = self._context.Pipe()
            process = self._context.Process(
                target=serve, args=(there, os.getpid(), *self._job), daemon=True
            )
            with _signals_blocked():
                process.start()
            there.close()
            self._give(here, process)

    def _give(self, pipe: Connection[Any, Any], process: Any) -> None:  # noqa: ANN401 - its class depends on the context
        if not self._open:
            _end(pipe, process)
            return
        task = self._open.popleft()
        self._at[pipe] = (process, task)
        with suppress(OSError):  # It is gone already; the next look finds that out.
            pipe.send(task)

    def finished(self) -> Iterator[PointRow]:
        """Return the points finished since the last look, waiting a moment for the first."""
        for ready in wait(list(self._at), timeout=_LOOK_EVERY_S):
            pipe: Any = ready
            process, task = self._at.pop(pipe)
            try:
                answer = pipe.recv()
            except (EOFError, OSError):
                _end(pipe, process)
                self._lose(task, process.exitcode)
                continue
            self._give(pipe, process)
            yield _row(answer)

    def _lose(self, task: Task, exit_code: int | None) -> None:
        times = self._lost[task[0]] = self._lost.get(task[0], 0) + 1
        if times >= LOST_MAX:
            values = {"point": ", ".join(task[1]), "times": times, "exit_code": exit_code}
            raise SweepError(Problem(code="VPG1482", values=values))
        self._open.appendleft(task)
        self.grow(1)

    def end(self) -> None:
        """End every process at once."""
        for pipe, (process, _) in self._at.items():
            process.kill()
            _end(pipe, process)
        self._at.clear()


def _end(pipe: Connection[Any, Any], process: Any) -> None:  # noqa: ANN401 - as above
    pipe.close()
    process.join()


def _row(answer: Any) -> PointRow:  # noqa: ANN401 - what came through a pipe
    """Return the row in a process's answer, or raise what it says was wrong."""
    match answer:
        case PointRow():
            return answer
        case ("input", problems):
            raise InputError(problems)
        case ("memory", _):
            raise MemoryError
        case ("ensure", text):
            raise EnsureError(text)
        case _:
            raise RuntimeError(str(answer))


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Let what is started here never see Ctrl-C: it comes to every process of a terminal."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def serve(pipe: Connection[Any, Any], parent: int, sweep: Sweep, catalogue: Catalogue) -> None:
    """Be a process of a sweep: compute the points that come through ``pipe`` until it closes."""

    def orphaned() -> bool:
        return os.getppid() != parent

    with suppress(EOFError, OSError):
        while True:
            point, values = pipe.recv()
            pipe.send(_answer(sweep, catalogue, point, values, orphaned))


def _answer(
    sweep: Sweep,
    catalogue: Catalogue,
    point: int,
    values: tuple[str, ...],
    stop: Callable[[], bool],
) -> PointRow | tuple[str, object] | None:
    try:
        return run_point(sweep, catalogue, point, values, stop=stop)
    except InputError as error:
        return "input", error.problems
    except EnsureError as error:
        return "ensure", str(error)
    except MemoryError:
        return "memory", ""
    except Exception:  # noqa: BLE001 - told where a person can see it, with its traceback
        return "other", traceback.format_exc()
