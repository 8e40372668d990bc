"""How functions of the compiled plane are compiled: one place for every option of Numba.

Owns: the decorators, and two instructions that Python has no word for. Does not own: where machine
code is kept (``sim.warm``). Inner functions get no Python entrance (each would cost compile time).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

import llvmlite.ir
import numba
import numpy as np
from numba import types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from sim.warm import code_folder

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")
Ints = np.ndarray[Any, np.dtype[np.int64]]
Words = np.ndarray[Any, np.dtype[np.uint64]]

config: Any = numba.config
config.CACHE_DIR = str(code_folder())


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
