"""Who computes the tasks of a study: this process, processes of our own, or a crew handed in.

Owns: who is at which task, and that a lost process loses nothing. Does not own: what a task is, or
which comes next (``Plan``). A task's result is a pure function of the job and the task, so neither
the order nor the place matters. A result that comes a second time must be equal, and is dropped.

Processes are spawned, so nothing of this one is shared, stay warm from task to task, and end with
this one, whatever ends it. They never see Ctrl-C: it comes to every process of a terminal.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Protocol, TypeVar

from vpg.errors import EnsureError, InputError, VpgError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping
    from multiprocessing.connection import Connection
    from pathlib import Path

    from sim.control import Progress

    Show = Callable[[Progress | None], None]
    """Told after every look, and while a task runs in this process how far that is."""
    Stop = Callable[[], bool]

LOST_MAX = 3
"""A task whose process ended by itself this many times is given up."""
LOOK_EVERY_S = 0.2
"""Longest time until a request to stop is noticed."""

TaskT = TypeVar("TaskT", bound="Hashable")
RowT = TypeVar("RowT")
TaskT_co = TypeVar("TaskT_co", bound="Hashable", covariant=True)
TaskT_contra = TypeVar("TaskT_contra", bound="Hashable", contravariant=True)
RowT_co = TypeVar("RowT_co", covariant=True)
RowT_contra = TypeVar("RowT_contra", contravariant=True)


class LostTaskError(VpgError):
    """The process that computed a task ended by itself, again and again."""

    def __init__(self, task: Any, times: int, exit_code: int | None) -> None:  # noqa: ANN401 - the plan's
        """Keep what is known of it."""
        self.task, self.times, self.exit_code = task, times, exit_code
        super().__init__(f"{task} was lost {times} times (exit {exit_code})")


class LostCrewError(VpgError):
    """All who compute are gone, and nobody came back; what is finished is kept."""


class Job(Protocol[TaskT_contra, RowT_co]):
    """What every task of a study has in common; pickled once for each process."""

    def files(self) -> Mapping[str, bytes]:
        """Return the files it reads, by name, for where there is no common disk."""

    def at(self, folder: Path) -> Job[TaskT_contra, RowT_co]:
        """Return the same job that reads its files in ``folder``."""

    def run(
        self,
        task: TaskT_contra,
        *,
        progress: Callable[[Progress], None] | None = None,
        stop: Stop | None = None,
    ) -> RowT_co | None:
        """Return the result of ``task``; None when ``stop`` ended it early."""


class Plan(Protocol[TaskT_co, RowT_contra]):
    """Which tasks there are, in order, and where their results go."""

    @property
    def is_over(self) -> bool:
        """Whether no further result is needed."""

    def next(self) -> TaskT_co | None:
        """Return a task that nobody has yet; None: there is none now."""

    def take(self, row: RowT_contra) -> None:
        """Take a result, once or again."""


class Crew(Protocol[TaskT_contra, RowT_co]):
    """Those who compute."""

    @property
    def has_room(self) -> bool:
        """Whether one more task would be begun soon."""

    @property
    def is_busy(self) -> bool:
        """Whether a task is still with them."""

    def give(self, task: TaskT_contra) -> None:
        """Hand out a task."""

    def finished(self) -> Iterator[RowT_co]:
        """Yield what was finished since the last look, waiting a moment for the first."""

    def end(self) -> None:
        """Send all home at once; nothing more is computed."""


class Team(Protocol):
    """Where crews come from."""

    def crew(
        self, job: Job[TaskT, RowT], *, most: int, show: Show, stop: Stop
    ) -> Crew[TaskT, RowT]:
        """Return a crew for ``job`` of which ``most`` tasks are left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """So many processes of our own; for one, this process itself."""

    workers: int = 1

    def crew(
        self, job: Job[TaskT, RowT], *, most: int, show: Show, stop: Stop
    ) -> Crew[TaskT, RowT]:
        """Return a crew for ``job`` of which ``most`` tasks are left."""
        count = min(self.workers, most)
        return Processes(job, count) if count > 1 else _Here(job, show, stop)


def work(
    job: Job[TaskT, RowT], plan: Plan[TaskT, RowT], team: Team, *, most: int, show: Show, stop: Stop
) -> None:
    """Compute the tasks of ``plan``, at most ``most``, until it is over or ``stop`` says so.

    Raises what a task raises, ``LostTaskError``, or what the crew raises when it is gone.
    """
    if plan.is_over:
        return
    crew = team.crew(job, most=most, show=show, stop=stop)
    try:
        while not stop() and not plan.is_over:
            while crew.has_room and (task := plan.next()) is not None:
                crew.give(task)
            if not crew.is_busy:
                break
            for row in crew.finished():
                plan.take(row)
            show(None)
    finally:
        crew.end()


# ---- this process --------------------------------------------------------------------------------


class _Here(Generic[TaskT, RowT]):
    """A crew of one: this process."""

    def __init__(self, job: Job[TaskT, RowT], show: Show, stop: Stop) -> None:
        self._job, self._show, self._stop = job, show, stop
        self._task: TaskT | None = None

    @property
    def has_room(self) -> bool:
        return self._task is None

    @property
    def is_busy(self) -> bool:
        return self._task is not None

    def give(self, task: TaskT) -> None:
        self._task = task

    def finished(self) -> Iterator[RowT]:
        task, self._task = self._task, None
        if task is not None:
            row = self._job.run(task, progress=self._show, stop=self._stop)
            if row is not None:
                yield row

    def end(self) -> None:
        self._task = None


# ---- processes -----------------------------------------------------------------------------------


class Processes(Generic[TaskT, RowT]):
    """Processes of our own and what each of them is at."""

    def __init__(self, job: Job[TaskT, RowT], count: int) -> None:
        """Take the job; a process starts when there is a task for it."""
        self._job, self._count = job, count
        self._again: deque[TaskT] = deque()
        self._lost: dict[TaskT, int] = {}
        self._at: dict[Connection[Any, Any], tuple[Any, TaskT]] = {}
        self._idle: list[tuple[Connection[Any, Any], Any]] = []
        self._context = multiprocessing.get_context("spawn")

    @property
    def has_room(self) -> bool:
        """Whether a process waits, or may be started."""
        return len(self._at) + len(self._again) < self._count

    @property
    def is_busy(self) -> bool:
        """Whether a task is being computed or waits to be, again."""
        return bool(self._at or self._again)

    def give(self, task: TaskT) -> None:
        """Send ``task`` to a process that waits, else start one."""
        pipe, process = self._idle.pop() if self._idle else self._start()
        self._at[pipe] = (process, task)
        with suppress(OSError):  # It is gone already; the next look finds that out.
            pipe.send(task)

    def finished(self) -> Iterator[RowT]:
        """Yield the results since the last look; a lost process is replaced."""
        while self._again:
            self.give(self._again.popleft())
        for ready in wait(list(self._at), timeout=LOOK_EVERY_S):
            pipe: Any = ready
            process, task = self._at.pop(pipe)
            try:
                answer = pipe.recv()
            except (EOFError, OSError):
                _end(pipe, process)
                self._lose(task, process.exitcode)
                continue
            self._idle.append((pipe, process))
            yield result_of(answer)

    def end(self) -> None:
        """Kill every process: none has anything to keep."""
        everyone = [(pipe, process) for pipe, (process, _) in self._at.items()] + self._idle
        for _, process in everyone:
            process.kill()
        for pipe, process in everyone:
            _end(pipe, process)
        self._at.clear()
        self._idle.clear()
        self._again.clear()

    def _start(self) -> tuple[Connection[Any, Any], Any]:
        here, there = self._context.Pipe()
        process = self._context.Process(target=serve, args=(there, self._job), daemon=True)
        with _signals_blocked():
            process.start()
        there.close()
        return here, process

    def _lose(self, task: TaskT, exit_code: int | None) -> None:
        times = self._lost[task] = self._lost.get(task, 0) + 1
        if times >= LOST_MAX:
            raise LostTaskError(task, times, exit_code)
        self._again.append(task)


def _end(pipe: Connection[Any, Any], process: Any) -> None:  # noqa: ANN401 - its class depends on the context
    pipe.close()
    process.join()


@contextmanager
def _signals_blocked() -> Iterator[None]:
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def serve(pipe: Connection[Any, Any], job: Job[Any, Any]) -> None:
    """Be a process of a crew: compute the tasks that come through ``pipe`` until it closes."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(EOFError, OSError):
        while True:
            pipe.send(answer_of(job, pipe.recv()))


def _end_with_parent() -> NoReturn:
    """Wait for the end of the process that started this one: it may be killed without a word."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


# ---- what comes back -----------------------------------------------------------------------------

Answer = tuple[str, Any]
"""A kind and what it is of: errors travel as words, because not each of them can be pickled."""


def answer_of(job: Job[Any, Any], task: Hashable, stop: Stop | None = None) -> Answer:
    """Run ``task`` and return its result, or what went wrong, for another process."""
    try:
        return "row", job.run(task, stop=stop)
    except InputError as error:
        return "input", error.problems
    except EnsureError as error:
        return "ensure", str(error)
    except MemoryError:
        return "memory", ""
    except Exception:  # noqa: BLE001 - told where a person can see it, with its traceback
        return "other", traceback.format_exc()


def result_of(answer: Answer) -> Any:  # noqa: ANN401 - whatever the job's results are
    """Return the result in ``answer``, or raise what it says was wrong."""
    match answer:
        case ("row", row):
            return row
        case ("input", problems):
            raise InputError(problems)
        case ("memory", _):
            raise MemoryError
        case ("ensure", text):
            raise EnsureError(text)
        case (_, text):
            raise RuntimeError(text)
