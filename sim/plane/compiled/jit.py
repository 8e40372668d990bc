"""How functions of the compiled plane are compiled: one place for every option of Numba.

Owns: the decorators, two instructions that Python has no word for, and where machine code is kept.
Inner functions get no Python entrance (each would cost compile time); an entrance is compiled once
a machine and kept. Numba looks only at the file of an entrance to see whether its code is old, so
the folder of the kept code is named after all sources that can be part of it.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import llvmlite.ir
import numba
import numpy as np
from numba import types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")
Ints = np.ndarray[Any, np.dtype[np.int64]]
Words = np.ndarray[Any, np.dtype[np.uint64]]

_ROOT = Path(__file__).resolve().parents[3]
_SOURCES = ("sim/plane", "sim/traffic", "vpg/gateway", "vpg/rating", "scenarios/model.py")
_FOLDER = "vpgsim"


def code_key() -> str:
    """Return a name for everything that decides what the compiled code is."""
    sha = hashlib.sha256(f"{numba.__version__}|{np.__version__}".encode())
    for name in _SOURCES:
        place = _ROOT / name
        for file in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            sha.update(file.read_bytes())
    return sha.hexdigest()[:16]


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


def code_folder() -> Path:
    """Return the folder of this version's machine code: the user's cache, else a temporary one."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    home = Path(base) if Path(base).is_absolute() else Path("~/.cache").expanduser()
    for folder in (home / _FOLDER / code_key(), Path(tempfile.gettempdir()) / _private()):
        if _writable(folder):
            return folder
    return Path(tempfile.mkdtemp(prefix=f"{_FOLDER}-"))


def _private() -> Path:
    who = os.getuid() if hasattr(os, "getuid") else 0
    return Path(f"{_FOLDER}-{who}") / code_key()


FOLDER = code_folder()
config: Any = numba.config
config.CACHE_DIR = str(FOLDER)


def inner(function: F) -> F:
    """Compile a function that only compiled code calls."""
    options: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return cast("F", numba.njit(error_model="numpy", **options)(function))


def entrance(function: F) -> F:
    """Compile a function that Python calls; it runs without the interpreter's lock."""
    return cast("F", numba.njit(error_model="numpy", cache=True, nogil=True)(function))


def _pointer(_typing: Any, array: Any) -> Any:  # noqa: ANN401 - Numba's own protocol
    """Give an array's first element: compiled code then handles no array, which costs time."""
    element: Any = types.CPointer(array.dtype)
    signature = element(array)

    def generate(context: Any, builder: Any, _signature: Any, values: Any) -> Any:  # noqa: ANN401
        return make_array(array)(context, builder, values[0]).data

    return signature, generate


def _mulhi(_typing: Any, _a: Any, _b: Any) -> Any:  # noqa: ANN401 - Numba's own protocol
    """Return the upper 64 bits of the product of two 64-bit words: one machine instruction."""
    signature = types.uint64(types.uint64, types.uint64)

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:  # noqa: ANN401
        wide, narrow = llvmlite.ir.IntType(128), llvmlite.ir.IntType(64)
        product = builder.mul(builder.zext(values[0], wide), builder.zext(values[1], wide))
        return builder.trunc(builder.lshr(product, llvmlite.ir.Constant(wide, 64)), narrow)

    return signature, generate


# Their types are those of a call from compiled code, which is not what Numba's stubs say.
pointer: Callable[[Ints], Ints] = cast("Any", intrinsic(_pointer))
mulhi: Callable[[Any, Any], Any] = cast("Any", intrinsic(_mulhi))
