"""Machine code of the compiled plane: where it is kept, and making it ready once for this machine.

Owns: the folder of this version's code and the sign that it is complete. Does not own: what is
compiled (``sim.plane.compiled``), or telling anybody (the caller does). No simulated times.

Numba looks only at the date of an entrance's own file to see whether kept code is old. So the
folder is named after everything that the code is made of.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).resolve().parent.parent
_SOURCES: Final = ("sim/plane", "sim/traffic", "vpg/gateway", "vpg/rating", "scenarios/model.py")
_PACKAGES: Final = ("numba", "llvmlite", "numpy")
_FOLDER: Final = "vpgsim"
_READY: Final = "ready"
_COMPILE: Final = "from sim.plane.compiled.parts import compile_part; compile_part({part!r})"


@functools.cache
def code_key() -> str:
    """Return a name for everything that decides what the machine code is."""
    versions = [f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES]
    sha = hashlib.sha256("|".join([platform.python_version(), *versions]).encode())
    for name in _SOURCES:
        place = _ROOT / name
        for file in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            sha.update(file.read_bytes())
    return sha.hexdigest()[:16]


def _writable(folder: Path) -> bool:
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


def _is_ours(folder: Path) -> bool:
    """Return whether nobody else can have put code there: temporary folders are everybody's."""
    found = folder.stat()
    mine = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    return mine and not found.st_mode & 0o022


@functools.cache
def code_folder() -> Path:
    """Return the folder of this version's machine code: the user's cache, else a temporary one."""
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    home = given if given.is_absolute() else Path.home() / ".cache"
    who = os.getuid() if hasattr(os, "getuid") else 0
    shared = Path(tempfile.gettempdir()) / f"{_FOLDER}-{who}"
    for base in (home / _FOLDER, shared):
        folder = base / code_key()
        if (folder / _READY).exists() and _is_ours(base):
            return folder
        if _writable(folder) and _is_ours(base):
            return folder
    return Path(tempfile.mkdtemp(prefix=f"{_FOLDER}-"))


def is_warm() -> bool:
    """Return whether this machine has all the code of this version."""
    return (code_folder() / _READY).exists()


def warm() -> None:
    """Compile everything, the two halves at once in two processes, and keep it.

    Does nothing where it is kept already. What another process fails to compile is compiled here.
    """
    if is_warm():
        return
    # Only here: Numba takes a quarter of a second to import.
    from sim.plane.compiled.parts import PARTS, compile_part  # noqa: PLC0415

    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}
    others = [
        subprocess.Popen(  # noqa: S603 - this very program
            [sys.executable, "-P", "-c", _COMPILE.format(part=part)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for part in PARTS[1:]
    ]
    try:
        compile_part(PARTS[0])
    finally:
        for other in others:
            other.wait()
    for part in PARTS[1:]:
        compile_part(part)
    (code_folder() / _READY).touch()
