"""The working directory of a sweep: finished runs survive a kill at any moment.

Owns: its name, the journal of finished runs, and the keeping of the sweep's inputs as they were
at its begin. Does not own: the directory of a finished sweep (``vpg.rundir``) or what a run is
(``vpg.sweeps``).

``sweep-<scenario>-<identity>.partial/`` beside the results holds ``points.jsonl``: one line a run
of a point, written and synced when it is finished, each with a checksum over the sweep's identity
and the line. A torn line, and a line of another sweep, fail their checksum and are left out, so
whatever is read back was finished by this very sweep. Two processes may even share a journal: the
same run is the same line, and counts once.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Self

import msgspec

from vpg.errors import ExitCode, InputError, Place, Problem, VpgError, ensure
from vpg.rundir import PARTIAL_MARK
from vpg.sweeps import RunRow

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

JOURNAL = "points.jsonl"
_NAME_MAX = 60
_IDENTITY_MAX = 16
_SUM_MAX = 32
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_BROKEN = _FULL | {errno.EIO}


class SweepError(VpgError):
    """A sweep that cannot go on by itself: exit 6, its finished runs are kept."""

    exit_code = ExitCode.PARTIAL

    def __init__(self, problem: Problem) -> None:
        """Keep ``problem``."""
        self.problem = problem
        super().__init__(f"{problem.code} {problem.values}")


class SweepWork:
    """One sweep's working directory; a context manager that closes the journal."""

    def __init__(self, *, parent: Path, scenario: str, identity: str) -> None:
        """Name the directory; ``identity`` is a digest of all that the runs depend on."""
        safe = re.sub(r"[^\w.-]+", "-", scenario).strip(".-") or "scenario"
        name = f"sweep-{safe[:_NAME_MAX]}-{identity[:_IDENTITY_MAX]}.partial"
        self._parent = parent
        self.path = parent / name
        self._identity = identity
        self._journal = -1
        self._finished = 0

    def open(self, inputs: Mapping[str, bytes], words: str, *, fresh: bool) -> list[RunRow]:
        """Make the directory with the sweep's ``inputs`` and return the runs finished before.

        ``words`` go into the file PARTIAL; ``fresh``: forget what was finished. Raises
        ``InputError`` (VPG1451) when the place cannot be written, ``SweepError`` when the disk is
        full.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            for name, content in {PARTIAL_MARK: f"{words}\n".encode(), **inputs}.items():
                self._keep(self.path / name, content)
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | (os.O_TRUNC if fresh else 0)
            self._journal = os.open(self.path / JOURNAL, flags, 0o666)
            _sync(self._parent)
            _sync(self.path)
            known = self._read()
        except OSError as error:
            raise self._error(error, 0) from error
        self._finished = len(known)
        return known

    def __enter__(self) -> Self:
        """Return the directory itself."""
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Close the journal; what it holds stays."""
        if self._journal >= 0:
            os.close(self._journal)
            self._journal = -1

    def add(self, row: RunRow) -> None:
        """Keep a finished run: it is on the disk when this returns.

        Raises ``SweepError`` when the disk gives up; the runs before are kept.
        """
        body = msgspec.json.encode(row)
        line = f"{self._sum(body)} ".encode() + body + b"\n"
        before = -1
        try:
            before = os.fstat(self._journal).st_size
            _write(self._journal, line)
            os.fsync(self._journal)
        except OSError as error:
            if before >= 0:
                with suppress(OSError):
                    os.ftruncate(self._journal, before)
            raise self._error(error, self._finished) from error
        self._finished += 1

    def remove(self) -> None:
        """Forget the working directory: the result is complete. Silent: nothing depends on it."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _keep(self, path: Path, content: bytes) -> None:
        if path.is_file() and path.read_bytes() == content:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def _read(self) -> list[RunRow]:
        data = (self.path / JOURNAL).read_bytes()
        if data and not data.endswith(b"\n"):
            _write(self._journal, b"\n")  # Ends the torn line, so that the next one is whole.
        known: dict[tuple[int, int], RunRow] = {}
        for line in data.split(b"\n"):
            told, _, body = line.partition(b" ")
            if told and told.decode(errors="replace") == self._sum(body):
                row = msgspec.json.decode(body, type=RunRow)
                first = known.setdefault((row.point, row.replication), row)
                ensure(
                    first == row, f"run {row.replication} of point {row.point} is always the same"
                )
        return list(known.values())

    def _sum(self, body: bytes) -> str:
        return hashlib.sha256(self._identity.encode() + b"\n" + body).hexdigest()[:_SUM_MAX]

    def _error(self, error: OSError, finished: int) -> VpgError:
        reason = error.strerror or str(error)
        if error.errno in _BROKEN or finished:
            values = {"reason": reason, "finished": finished}
            return SweepError(
                Problem(code="VPG1481", place=Place(file=str(self.path)), values=values)
            )
        place = Place(file=str(self._parent))
        return InputError([Problem(code="VPG1451", place=place, values={"reason": reason})])


def _write(handle: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]


def _sync(folder: Path) -> None:
    """Make a directory's names survive a power cut, where the file system can."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)
