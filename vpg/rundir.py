"""The run directory: written beside its place, renamed when complete, read back with digests.

Owns: file names, the manifest's ``files`` and ``status``, and that a reader never sees half a
directory. Does not own: the tables' columns (``vpg.runtables``) or what the manifest says of the
run. Times: the name holds the start as ``WallUs``, given by the caller; everything inside is
``SimUs``.

A run writes into a hidden sibling of its final place. Any failure before the rename removes it, and
what a killed process left (SIGKILL, power) is swept by the next run. A stopped run is renamed too,
with ``status: partial`` in the manifest and a file ``PARTIAL`` that says why.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from vpg.errors import EnsureError, ExitCode, InputError, Place, Problem, VpgError, ensure
from vpg.rating.charges import ChargeRow, charge_key
from vpg.rating.hourly import HourlyRow, key_of
from vpg.results import ControlNote, MinuteRow
from vpg.runtables import (
    CHARGES,
    DELAYS,
    HOURLY,
    MONTH_TO_DATE,
    PEAKS,
    FileTable,
    RowT,
    delay_counts,
    delay_histograms,
    from_parquet,
    to_csv,
    to_parquet,
)
from vpg.timebase import iso_utc, to_utc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType

    from vpg.billing.month import MonthToDate
    from vpg.results import RowKey

RUN_SCHEMA = "vpgsim-run-v1"
MANIFEST = "manifest.json"
PARTIAL_MARK = "PARTIAL"
_NAME_MAX = 60
_HIDDEN = re.compile(
    r"\.[^/]+-\d{8}T\d{6}Z-[0-9a-f]{8}\.(?P<host>[0-9a-f]{8})\.(?P<pid>\d{1,9})\.\d+\.writing"
)
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_UNWRITABLE = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ENOTDIR,
        errno.ENOENT,
        errno.EEXIST,
        errno.ENOTEMPTY,
        errno.ENAMETOOLONG,
        errno.ELOOP,
        errno.EISDIR,
    }
)
_CAN_ASK = os.name == "posix"
"""Elsewhere the signal 0 would end the process asked about."""
_NO_DIR_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EACCES})

Status = Literal["complete", "partial"]

OWN_FILES = frozenset(
    {
        MANIFEST,
        PARTIAL_MARK,
        "scenario.yaml",
        "summary.json",
        "events.jsonl",
        "bill.json",
        "bill.csv",
        "delays.parquet",
        "peaks.parquet",
        *(
            f"{table}.{kind}"
            for table in ("hourly", "charges", "month_to_date", "replications")
            for kind in ("parquet", "csv")
        ),
    }
)
"""Names that the run directory uses itself; a scenario's data file may have none of them."""


class RunDirError(VpgError):
    """The disk gave up while a run was written (full, broken): exit 6, nothing is left behind."""

    exit_code = ExitCode.PARTIAL

    def __init__(self, problem: Problem) -> None:
        """Keep ``problem``."""
        self.problem = problem
        super().__init__(f"{problem.code} {problem.values}")


class Disk:
    """Every change the writer makes to the file system, so that a test can fail any one of them."""

    def make_dir(self, path: Path, *, parents: bool = False) -> None:
        """Create a directory; ``parents``: also those above it, and it may exist already."""
        path.mkdir(parents=parents, exist_ok=parents)

    def write(self, path: Path, data: bytes) -> None:
        """Write a whole file."""
        path.write_bytes(data)

    def sync_file(self, path: Path) -> None:
        """Make a file's bytes survive a power cut."""
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def sync_dir(self, path: Path) -> None:
        """Make a directory's names survive a power cut, where the file system can."""
        try:
            self.sync_file(path)
        except OSError as error:
            if error.errno not in _NO_DIR_SYNC:
                raise

    def rename(self, old: Path, new: Path) -> None:
        """Move a directory to a place that must be free or an empty directory."""
        old.rename(new)

    def remove_tree(self, path: Path) -> None:
        """Remove a directory as far as possible; silent, because another error is on its way."""
        shutil.rmtree(path, ignore_errors=True)


def run_name(*, scenario: str, started_us: int, identity: str) -> str:
    """Return ``<scenario>-<UTC time>-<hash of identity>`` with only characters safe in a file name.

    >>> run_name(scenario="taxi", started_us=1775001600000000, identity="x")
    'taxi-20260401T000000Z-2d711642'
    """
    safe = re.sub(r"[^\w.-]+", "-", scenario).strip(".-") or "run"
    stamp = to_utc(started_us).strftime("%Y%m%dT%H%M%SZ")
    short = hashlib.sha256(identity.encode()).hexdigest()[:8]
    return f"{safe[:_NAME_MAX]}-{stamp}-{short}"


def _host() -> str:
    """Return a short name of where process ids mean what they mean here: machine and container."""
    try:
        space = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - no path, a name of the kernel's
    except OSError:
        space = ""
    return hashlib.sha256(f"{platform.node()} {space}".encode()).hexdigest()[:8]


def _is_alive(pid: int) -> bool:
    """Tell whether the process may still run; where there is no harmless way to ask, it may."""
    if not _CAN_ASK:
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def remove_abandoned(folder: Path, disk: Disk | None = None) -> None:
    """Remove the hidden directories in ``folder`` whose process, of this host, is dead; silent."""
    host = _host()
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - names are asked for
    except OSError:
        return
    for name in names:
        found = _HIDDEN.fullmatch(name)
        if found and found["host"] == host and not _is_alive(int(found["pid"])):
            (disk or Disk()).remove_tree(folder / name)


class RunDirWriter:
    """Writes one run directory; use as a context manager and call ``finish`` once.

    Raises ``InputError`` when the target cannot be written and ``RunDirError`` when the disk fails;
    in both cases, and after any other exception inside the ``with``, nothing of the run is left
    behind.
    """

    def __init__(
        self,
        *,
        parent: Path,
        scenario: str,
        started_us: int,
        identity: str,
        disk: Disk | None = None,
    ) -> None:
        """Prepare a directory under ``parent``; ``identity`` tells runs of one second apart."""
        self._parent = parent
        self._name = run_name(scenario=scenario, started_us=started_us, identity=identity)
        self._disk = disk or Disk()
        self._work: Path | None = None
        self._written: dict[str, None] = {}

    def probe(self) -> None:
        """Show that the directory can be made, before a long simulation; sweep what others left.

        The hidden directory, with all that is missing above it inside, is really made in the
        nearest place that exists, and removed. Raises as ``__enter__`` does.
        """
        nearest = self._parent.absolute()
        missing: list[str] = []
        while not os.path.lexists(nearest) and nearest != nearest.parent:
            missing.insert(0, nearest.name)
            nearest = nearest.parent
        remove_abandoned(nearest, self._disk)
        work = self._hidden(nearest)
        inside = () if ".." in missing else missing
        try:
            self._disk.make_dir(work.joinpath(*inside), parents=True)
        except OSError as error:
            raise self._error(error) from error
        finally:
            self._disk.remove_tree(work)

    def __enter__(self) -> Self:
        """Create the hidden directory beside the final place."""
        try:
            self._disk.make_dir(self._parent, parents=True)
            work = self._hidden(self._parent)
            self._disk.make_dir(work)
        except OSError as error:
            raise self._error(error) from error
        self._work = work
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Remove what was written unless ``finish`` succeeded; name the disk's errors."""
        work, self._work = self._work, None
        if work is None:
            return
        self._disk.remove_tree(work)
        if isinstance(error, OSError) and self._is_ours(error, work):
            raise self._error(error) from error

    def _is_ours(self, error: OSError, work: Path) -> bool:
        inside = isinstance(error.filename, str) and Path(error.filename).is_relative_to(work)
        return inside or error.errno in _FULL

    def _hidden(self, folder: Path) -> Path:
        mine = f".{self._name}.{_host()}.{os.getpid()}"
        return _free(folder, lambda k: f"{mine}.{k}.writing")

    def _error(self, error: OSError) -> VpgError:
        values = {"reason": error.strerror or str(error)}
        place = Place(file=str(self._parent))
        if error.errno in _FULL:
            return RunDirError(Problem(code="VPG1452", place=place, values=values))
        if error.errno in _UNWRITABLE:
            return InputError([Problem(code="VPG1451", place=place, values=values)])
        return RunDirError(Problem(code="VPG1453", place=place, values=values))

    @property
    def folder(self) -> Path:
        """Where files stand until ``finish``; only inside the ``with`` block."""
        if self._work is None:
            raise EnsureError("a run directory is written inside its with block, before finish")
        return self._work

    def path(self, name: str) -> Path:
        """Return where to write the file ``name`` oneself (charts); ``finish`` digests it.

        A name may have folders (``data/curve.csv``), which are made.
        """
        ensure(_is_inside(name) and name != MANIFEST, f"{name!r} is a file of the run directory")
        path = self.folder / name
        if path.parent != self.folder:
            try:
                self._disk.make_dir(path.parent, parents=True)
            except OSError as error:
                raise self._error(error) from error
        self._written[name] = None
        return path

    def write_bytes(self, name: str, data: bytes) -> None:
        """Write the file ``name``."""
        path = self.path(name)
        try:
            self._disk.write(path, data)
        except OSError as error:
            raise self._error(error) from error

    def write_text(self, name: str, text: str) -> None:
        """Write the file ``name`` as UTF-8, line ends as given."""
        self.write_bytes(name, text.encode())

    def write_json(self, name: str, document: object) -> None:
        """Write ``document`` (plain dicts, lists, text, integers) as indented JSON."""
        self.write_bytes(name, _json(document))

    def write_hourly(self, rows: Iterable[HourlyRow]) -> None:
        """Write ``hourly.parquet`` and ``hourly.csv``, sorted by key."""
        self._table("hourly", HOURLY, sorted(rows, key=key_of), with_csv=True)

    def write_charges(self, rows: Iterable[ChargeRow]) -> None:
        """Write ``charges.parquet`` and ``charges.csv``, sorted by key."""
        self._table("charges", CHARGES, sorted(rows, key=charge_key), with_csv=True)

    def write_month_to_date(self, running: Iterable[MonthToDate]) -> None:
        """Write ``month_to_date.parquet`` and ``month_to_date.csv``, by hour."""
        self._table("month_to_date", MONTH_TO_DATE, sorted(running), with_csv=True)

    def write_delays(self, delays: Mapping[RowKey, Mapping[int, int]]) -> None:
        """Write ``delays.parquet``: one row per hourly row and histogram bucket."""
        self._table("delays", DELAYS, delay_counts(delays), with_csv=False)

    def write_peaks(self, minutes: Iterable[MinuteRow]) -> None:
        """Write ``peaks.parquet``, sorted by VPG and minute."""
        ordered = sorted(minutes, key=lambda minute: (minute.vpg_id, minute.minute_start_us))
        self._table("peaks", PEAKS, ordered, with_csv=False)

    def _table(
        self, name: str, table: FileTable[RowT], rows: list[RowT], *, with_csv: bool
    ) -> None:
        self.write_bytes(f"{name}.parquet", to_parquet(table, rows))
        if with_csv:
            self.write_bytes(f"{name}.csv", to_csv(table, rows))

    def write_events(self, notes: Iterable[ControlNote]) -> None:
        """Write ``events.jsonl``: what the control plane did, one JSON object a line, in order."""
        lines = (
            {
                "at_us": note.at_us,
                "time": iso_utc(note.at_us),
                "kind": note.kind,
                "vpg_id": note.vpg_id,
                "details": dict(note.details),
            }
            for note in notes
        )
        text = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines)
        self.write_text("events.jsonl", text)

    def finish(
        self, manifest: Mapping[str, Any], *, status: Status = "complete", why_partial: str = ""
    ) -> Path:
        """Write the manifest, sync all and move the directory to its place; return the place."""
        if status == "partial":
            self.write_text(PARTIAL_MARK, f"{why_partial}\n")
        work = self.folder
        place: Path | None = None
        try:
            files = {name: _digest(work / name) for name in sorted(self._written)}
            head = {"schema_version": RUN_SCHEMA, "status": status, "why_partial": why_partial}
            self._disk.write(work / MANIFEST, _json(head | dict(manifest) | {"files": files}))
            for name in (*files, MANIFEST):
                self._disk.sync_file(work / name)
            for folder in sorted({parent for name in files for parent in (work / name).parents}):
                if folder.is_relative_to(work):
                    self._disk.sync_dir(folder)
            place = _free(self._parent, lambda k: self._name if k == 1 else f"{self._name}-{k}")
            self._disk.rename(work, place)
            self._disk.sync_dir(self._parent)
        except OSError as error:
            if place is not None and not work.exists():
                # Renamed, but the rename may not last: an error means that there is no result.
                self._disk.remove_tree(place)
            raise self._error(error) from error
        self._work = None
        return place


def _free(folder: Path, name: Callable[[int], str]) -> Path:
    """Return the first place in ``folder``, by number from 1, where nothing is."""
    k = 1
    while os.path.lexists(folder / name(k)):
        k += 1
    return folder / name(k)


def _is_inside(name: str) -> bool:
    """Tell whether ``name`` is a file in its directory, or below it, and can lead nowhere else."""
    parts = name.split("/")
    return all(re.fullmatch(r"(?!\.{1,2}$)[^/\\\x00-\x1f]+", part) for part in parts)


def _json(document: object) -> bytes:
    text = json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False)
    return f"{text}\n".encode()


def _digest(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    return {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFiles:
    """What a run directory holds, read back; equal to what was written."""

    path: Path
    status: Status
    rows: tuple[HourlyRow, ...]
    charges: tuple[ChargeRow, ...]
    delays: dict[RowKey, dict[int, int]]
    minutes: tuple[MinuteRow, ...]
    notes: tuple[ControlNote, ...]
    summary: dict[str, Any]
    manifest: dict[str, Any]


def read_run(path: Path) -> RunFiles:
    """Return the run in directory ``path``.

    Raises ``InputError`` (all problems at once) when it is no run directory of this version, or a
    file is missing or not the one the manifest names.
    """
    manifest = _read_manifest(path)
    contents: dict[str, bytes] = {}
    problems = []
    for name, expected in manifest["files"].items():
        place = Place(file=str(path / name))
        try:
            data = (path / name).read_bytes()
        except OSError as error:
            values = {"reason": error.strerror or str(error)}
            problems.append(Problem(code="VPG1455", place=place, values=values))
            continue
        if hashlib.sha256(data).hexdigest() != expected["sha256"]:
            problems.append(Problem(code="VPG1456", place=place))
        contents[name] = data
    if problems:
        raise InputError(problems)
    return RunFiles(
        path=path,
        status=manifest["status"],
        rows=tuple(_rows(path, contents, "hourly.parquet", HOURLY)),
        charges=tuple(_rows(path, contents, "charges.parquet", CHARGES)),
        delays=delay_histograms(_rows(path, contents, "delays.parquet", DELAYS)),
        minutes=tuple(_rows(path, contents, "peaks.parquet", PEAKS)),
        notes=_notes(contents.get("events.jsonl", b"")),
        summary=json.loads(contents.get("summary.json", b"{}")),
        manifest=manifest,
    )


def _read_manifest(path: Path) -> dict[str, Any]:
    place = Place(file=str(path / MANIFEST))
    try:
        manifest = json.loads((path / MANIFEST).read_bytes())
    except OSError as error:
        values = {"reason": error.strerror or str(error)}
        raise InputError([Problem(code="VPG1455", place=place, values=values)]) from error
    except ValueError as error:
        values = {"reason": "not JSON"}
        raise InputError([Problem(code="VPG1457", place=place, values=values)]) from error
    known = isinstance(manifest, dict) and manifest.get("schema_version") == RUN_SCHEMA
    if not known or not _well_formed(manifest):
        values = {"reason": f"schema_version is not {RUN_SCHEMA}" if not known else "files, status"}
        raise InputError([Problem(code="VPG1457", place=place, values=values)])
    return dict(manifest)


def _well_formed(manifest: dict[str, Any]) -> bool:
    """Tell whether status and names can be trusted; a name must not lead outside."""
    files = manifest.get("files")
    return (
        manifest.get("status") in ("complete", "partial")
        and isinstance(files, dict)
        and all(
            _is_inside(name) and isinstance(entry, dict) and "sha256" in entry
            for name, entry in files.items()
        )
    )


def _rows(path: Path, contents: dict[str, bytes], name: str, table: FileTable[RowT]) -> list[RowT]:
    if name not in contents:
        return []
    try:
        return from_parquet(table, contents[name])
    except ValueError as error:
        problem = Problem(
            code="VPG1458", place=Place(file=str(path / name)), values={"reason": str(error)}
        )
        raise InputError([problem]) from error


def _notes(data: bytes) -> tuple[ControlNote, ...]:
    lines = [json.loads(line) for line in data.decode().split("\n") if line]
    return tuple(
        ControlNote(
            at_us=line["at_us"],
            kind=line["kind"],
            vpg_id=line["vpg_id"],
            details=tuple(line["details"].items()),
        )
        for line in lines
    )
