"""A Dask cluster as a crew: the same tasks on other machines, the same results.

Owns: the connection, the check that everybody runs the same code, who is at which task, and that a
lost worker's tasks are computed again. Does not own: what a task is (``sim.pool``) or what a worker
does with it (``sim.faraway``). Nothing is counted twice: a task is answered once here, and a plan
drops what it knows.

Only the command line imports this module, and only for ``--cluster``: it needs the extra `cluster`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import warnings
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Generic

import dask
import distributed
from distributed.comm.core import connect
from distributed.security import Security

from sim.faraway import OTHER_CODE, code_identity, compute, pack, versions
from sim.pool import LOOK_EVERY_S, LOST_MAX, LostCrewError, LostTaskError, RowT, TaskT, result_of
from vpg.errors import ExitCode, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sim.pool import Job, Show, Stop

_ANSWER_S = 4
"""A scheduler that says nothing for so long is not there."""
_WORKER_S = 5
"""Wait for the first worker."""
_GATHER_S = 2
_AHEAD = 2
"""Tasks handed out for each thread of a worker, so that none waits for the next."""
_COUNT_EVERY = 25
_EMPTY_MAX = int(60 / LOOK_EVERY_S)
"""Looks without a result and without a worker after which the cluster counts as lost."""
_LOUD = ("asyncio", "bokeh", "dask", "distributed", "tornado")


class ClusterError(LostCrewError):
    """A cluster that cannot be used, or is no more."""

    def __init__(self, problem: Problem, exit_code: ExitCode, why: str = "") -> None:
        """Keep the ``problem``; ``why`` says shortly why a result is partial."""
        self.problem, self.exit_code = problem, exit_code
        super().__init__(why or f"{problem.code} {problem.values}")


class Cluster:
    """A scheduler and its workers, all of our own code."""

    def __init__(self, address: str, client: Any) -> None:  # noqa: ANN401 - Dask's
        """Use ``connected`` instead: it also closes."""
        self._address, self._client = address, client

    def crew(
        self, job: Job[TaskT, RowT], *, most: int, show: Show, stop: Stop
    ) -> _Far[TaskT, RowT]:
        """Return the workers as a crew for ``job``."""
        del most, show, stop
        return _Far(self._address, self._client, job)


@contextmanager
def connected(address: str) -> Iterator[Cluster]:
    """Connect to the scheduler at ``address``, check all workers, close at the end.

    Raises ``ClusterError`` before any work when nobody answers (VPG1484), there is no worker
    (VPG1485), or somebody runs other code (VPG1486).
    """
    settings = {
        "distributed.comm.timeouts.connect": f"{_ANSWER_S - 1}s",
        "distributed.comm.retry.count": 0,
    }
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # Dask's are for those who run the cluster.
        stack.enter_context(dask.config.set(settings))
        _hush()
        _ask_who(address)
        client = _client(address)
        stack.callback(_close, client)
        _check(address, client)
        yield Cluster(address, client)


def _hush() -> None:
    """Let nothing that Dask logs reach the terminal: what matters is told as a problem."""
    for name in [*_LOUD, *logging.root.manager.loggerDict]:
        if name.partition(".")[0] in _LOUD:
            logger = logging.getLogger(name)
            logger.handlers[:] = [logging.NullHandler()]
            logger.propagate = name not in _LOUD


def _ask_who(address: str) -> None:
    """Raise ``ClusterError`` unless a scheduler answers; Dask's own client would wait for ever."""

    async def ask() -> Any:  # noqa: ANN401 - what came over the net
        async with asyncio.timeout(_ANSWER_S):
            arguments = Security().get_connection_args("client")
            comm = await connect(address, timeout=_ANSWER_S - 1, **arguments)
            try:
                await comm.write({"op": "identity", "reply": True})
                return await comm.read()
            finally:
                comm.abort()

    try:
        found = asyncio.run(ask())
    except Exception as failure:
        raise _unreachable(address, _words(failure)) from failure
    kind = found.get("type") if isinstance(found, dict) else None
    if kind != "Scheduler":
        raise _unreachable(address, f"it is no scheduler but: {kind}")


def _client(address: str) -> Any:  # noqa: ANN401 - Dask's
    try:
        return distributed.Client(address, timeout=_ANSWER_S, set_as_default=False, name="vpg")
    except Exception as failure:
        raise _unreachable(address, _words(failure)) from failure


def _words(failure: Exception) -> str:
    return " ".join(str(failure).split())[:200] or "no answer"


def _unreachable(address: str, reason: str) -> ClusterError:
    values = {"address": address, "reason": reason}
    return ClusterError(Problem(code="VPG1484", values=values), ExitCode.CANNOT_TELL)


def _close(client: Any) -> None:  # noqa: ANN401 - Dask's
    with suppress(Exception):
        client.close(timeout=_GATHER_S)


def _check(address: str, client: Any) -> None:  # noqa: ANN401 - Dask's
    try:
        client.wait_for_workers(1, timeout=_WORKER_S)
    except Exception as failure:
        values = {"address": address, "seconds": _WORKER_S}
        problem = Problem(code="VPG1485", values=values)
        raise ClusterError(problem, ExitCode.CANNOT_TELL) from failure
    told: dict[str, object] = client.run(versions, on_error="return")
    try:
        told[address] = client.run_on_scheduler(versions)
    except Exception as failure:  # noqa: BLE001 - whatever the scheduler could not import
        told[address] = failure
    for who, theirs in sorted(told.items(), key=lambda one: (one[0] != address, one[0])):
        if theirs != _own_versions():
            raise _other_code(who, theirs)


def _own_versions() -> dict[str, str]:
    return versions()


def _other_code(who: str, theirs: object) -> ClusterError:
    ours = _own_versions()
    if isinstance(theirs, dict):
        there = {name: theirs.get(name, "-") for name in ours if theirs.get(name) != ours[name]}
        here = {name: ours[name] for name in there}
    else:
        there, here = {"vpgsim": _words(Exception(theirs))}, {"vpgsim": ours["vpgsim"]}
    values = {"who": who, "theirs": _listed(there), "ours": _listed(here)}
    return ClusterError(
        Problem(code="VPG1486", values=values), ExitCode.CANNOT_TELL, "a worker runs other code"
    )


def _listed(found: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in found.items())


# ---- the workers as a crew -----------------------------------------------------------------------


class _Far(Generic[TaskT, RowT]):
    """The workers and what they are at."""

    def __init__(self, address: str, client: Any, job: Job[TaskT, RowT]) -> None:  # noqa: ANN401 - Dask's
        self._address, self._client = address, client
        self._parcel, self._identity = pack(job), code_identity()
        self._at: dict[str, tuple[Any, TaskT]] = {}
        self._done: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._given = self._looks = self._empty = 0
        self._seats = self._count()

    @property
    def has_room(self) -> bool:
        return len(self._at) < _AHEAD * max(1, self._seats)

    @property
    def is_busy(self) -> bool:
        return bool(self._at)

    def give(self, task: TaskT) -> None:
        self._given += 1
        key = f"{self._client.id}-{self._given}"
        try:
            future = self._client.submit(
                compute, self._parcel, self._identity, task, key=key, pure=False
            )
        except Exception as failure:
            raise self._lost(failure) from failure
        self._at[key] = future, task
        future.add_done_callback(lambda _: self._done.put(key))

    def finished(self) -> Iterator[RowT]:
        self._looks += 1
        if self._looks % _COUNT_EVERY == 0:
            self._seats = self._count()
        try:
            keys = [self._done.get(timeout=LOOK_EVERY_S)]
        except queue.Empty:
            self._empty = 0 if self._seats else self._empty + 1
            if self._empty > _EMPTY_MAX:
                raise self._lost("no worker is left") from None
            return
        self._empty = 0
        with suppress(queue.Empty):
            while True:
                keys.append(self._done.get_nowait())
        for key in keys:
            yield from self._taken(key)

    def end(self) -> None:
        futures = [future for future, _ in self._at.values()]
        self._at.clear()
        with suppress(Exception):
            self._client.cancel(futures, force=True)

    def _taken(self, key: str) -> Iterator[RowT]:
        if key not in self._at:
            return
        future, task = self._at[key]
        try:
            kind, said = future.result(timeout=_GATHER_S)
        except TimeoutError:
            self._done.put(key)  # Whoever had the result is gone; it is being computed again.
            return
        except distributed.scheduler.KilledWorker as killed:
            raise LostTaskError(task, LOST_MAX, None) from killed
        except Exception as failure:
            raise self._lost(failure) from failure
        except asyncio.CancelledError as failure:  # No ``Exception``: the scheduler is gone.
            raise self._lost("the scheduler is gone") from failure
        del self._at[key]
        if kind == OTHER_CODE:
            raise _other_code("a worker that joined later", {"vpgsim": f"(code {said})"})
        row = result_of((kind, said))
        if row is None:  # A worker gave it up for another's sake.
            self.give(task)
            return
        yield row

    def _count(self) -> int:
        try:
            return sum(self._client.nthreads().values())
        except Exception as failure:
            raise self._lost(failure) from failure

    def _lost(self, failure: Exception | str) -> ClusterError:
        reason = failure if isinstance(failure, str) else _words(failure)
        values = {"address": self._address, "reason": reason}
        why = f"the cluster at {self._address} was lost: {reason}"
        return ClusterError(Problem(code="VPG1487", values=values), ExitCode.PARTIAL, why)
