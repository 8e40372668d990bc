"""Writing a few small files for a person: all or none, and nothing of theirs overwritten.

Owns: refusal to overwrite, and the write beside with a rename. Does not own: run directories
(``vpg.rundir``). The editor's schema is generated: one of another version is not theirs but ours.
"""

from __future__ import annotations

import errno
import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from vpg.errors import InputError, Place, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping


DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


def write_new(files: Mapping[Path, bytes], *, force: bool) -> None:
    """Write ``files``; each appears whole or not at all.

    Raises ``InputError`` with VPG1022 for every file that exists already with other content
    (unless ``force``, or both are schemas of ours) before anything is written, with VPG1023
    when a place cannot be written, and ``OSError`` when the disk is full; then none of the new
    files remains.
    """
    try:
        _write_all(files, force=force)
    except OSError as error:
        if error.errno in DISK_FULL:
            raise
        place = Place(file=str(error.filename or next(iter(files))))
        values = {"reason": error.strerror or str(error)}
        raise InputError([Problem(code="VPG1023", place=place, values=values)]) from error


def _write_all(files: Mapping[Path, bytes], *, force: bool) -> None:
    existing = [path for path in files if path.exists() or path.is_symlink()]
    same = [path for path in existing if path.is_file() and path.read_bytes() == files[path]]
    ours = [path for path in existing if path.is_file() and _refreshes(path, files[path])]
    taken = [p for p in existing if p not in (*same, *ours) and (not force or p.is_dir())]
    if taken:
        raise InputError([Problem(code="VPG1022", place=Place(file=str(path))) for path in taken])
    beside: dict[Path, Path] = {}
    renamed: list[Path] = []
    try:
        for path, content in files.items():
            if path in same:
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            beside[path] = _write_beside(path, content)
        for path, part in beside.items():
            part.replace(path)
            renamed.append(path)
    except BaseException:
        for path in renamed:
            if path not in existing:
                path.unlink(missing_ok=True)
        raise
    finally:
        for part in beside.values():
            with suppress(OSError):
                part.unlink(missing_ok=True)


def _refreshes(path: Path, content: bytes) -> bool:
    return _is_our_schema(content) and _is_our_schema(path.read_bytes())


def _is_our_schema(content: bytes) -> bool:
    """Tell whether ``content`` is a JSON Schema of scenario files, of whatever version."""
    try:
        schema = json.loads(content)
        return schema["title"] == "ScenarioFile" and "vpgsim" in schema["properties"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return False


def _write_beside(path: Path, content: bytes) -> Path:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)
