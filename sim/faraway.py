"""What a worker of a cluster does: unpack a job once, run tasks of it, say which code it runs.

Owns: the worker's side. Does not own: the connection and who gets which task (``sim.cluster``).
Results are those of any other place, because a task is a pure function; ``code_identity`` makes
sure that it is the same function.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import pickle
import platform
import tempfile
import threading
import zlib
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim.pool import answer_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from sim.pool import Answer, Job

_PACKAGES = ("scenarios", "sim", "vpg")
_KINDS = frozenset({".py", ".toml"})
_SHOWN = 12
_JOBS_MAX = 4
OTHER_CODE = "code"
"""Kind of an answer from a worker with other code; what follows is which."""


@functools.cache
def code_identity() -> str:
    """Return a short digest of all the code and tables that a result depends on."""
    told = hashlib.sha256()
    for package in _PACKAGES:
        root = Path(str(import_module(package).__file__)).parent
        for path in sorted(root.rglob("*")):
            if path.suffix in _KINDS:
                name = path.relative_to(root).as_posix()
                told.update(f"{package}/{name}\n{path.stat().st_size}\n".encode())
                told.update(path.read_bytes())
    return told.hexdigest()[:_SHOWN]


def versions() -> dict[str, str]:
    """Return what must be the same here and there: name → version."""
    found = {"python": ".".join(platform.python_version_tuple()[:2])}
    for name in ("dask", "distributed", "vpgsim"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "?"
    found["vpgsim"] += f" (code {code_identity()})"
    return found


def pack(job: Job[Any, Any]) -> bytes:
    """Return ``job`` and its files as bytes for ``compute``."""
    return zlib.compress(pickle.dumps((job, dict(job.files()))))


def compute(parcel: bytes, identity: str, task: Hashable) -> Answer:
    """Run ``task`` of the job in ``parcel``, made by code of ``identity``, on a worker."""
    own = code_identity()
    if own != identity:  # It joined after all others had been asked.
        return OTHER_CODE, own
    return answer_of(_unpacked(parcel), task, _cancelled())


_JOBS: dict[bytes, tuple[Job[Any, Any], tempfile.TemporaryDirectory[str] | None]] = {}
_UNPACKING = threading.Lock()


def _unpacked(parcel: bytes) -> Job[Any, Any]:
    key = hashlib.sha256(parcel).digest()
    with _UNPACKING:
        if key not in _JOBS:
            while len(_JOBS) >= _JOBS_MAX:
                del _JOBS[next(iter(_JOBS))]
            job, files = pickle.loads(zlib.decompress(parcel))  # noqa: S301 - from the scheduler that this worker trusts
            folder = None
            if files:
                folder = tempfile.TemporaryDirectory(prefix="vpg-", ignore_cleanup_errors=True)
                for name, content in files.items():
                    path = Path(folder.name) / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(content)
                job = job.at(Path(folder.name))
            _JOBS[key] = job, folder
        return _JOBS[key][0]


def _cancelled() -> Callable[[], bool]:
    """Return what tells whether nobody waits for this task any more."""
    from dask.context import thread_state  # noqa: PLC0415 - on a worker only
    from distributed.worker import get_worker  # noqa: PLC0415 - as above

    tasks, key = get_worker().state.tasks, thread_state.key

    def stop() -> bool:
        with suppress(AttributeError):  # The thread of the worker may take it away meanwhile.
            return bool(tasks[key].state == "cancelled") if key in tasks else True
        return True

    return stop
