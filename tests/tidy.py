"""The house's own lint: rules that ruff, mypy and import-linter have no word for.

Owns: the rules. Does not own: where they apply (``tests/unit/test_tidy.py``). A rule takes the
text of one file and returns what it found as ``line: what``; each has planted violations in the
test, so that none is blind.
"""

from __future__ import annotations

import ast
import functools
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Rule = Callable[[str], list[str]]

FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70

_CLOCKS = {
    "datetime": frozenset({"now", "utcnow", "today"}),
    "date": frozenset({"today"}),
    "time": frozenset({"time", "time_ns", "ctime", "localtime", "gmtime"}),
    "uuid": frozenset({"uuid1", "uuid4"}),
}
_RANDOM_MODULES = frozenset({"random", "secrets"})
# One letter in brackets, so that this file does not hold what it looks for.
_LEFTOVERS = r"\b(TO[D]O|FIX[M]E|XX[X])\b"
_STUBS = r"NotImplemented[E]rror|pragma: no [c]over|assert [T]rue|(?<!\w)(skip|xfail)\([)]"
_HOSTS = (
    r"py[p]i\.(python\.)?org|pythonhosted[.]org|registry[.]npmjs|--(extra-)?index[-]url"
    r"|--find[-]links|https?://\S+/simple(/|\b)|https?://\S+\.(whl|tar\.gz)"
)
_MACHINE_PATHS = r"(?<![\w.<~/])/(work|tmp|root|home|opt|farm|Users)/|\bfarm-\w"


_INT_MATH = frozenset(
    {"ceil", "comb", "factorial", "floor", "gcd", "isqrt", "lcm", "perm", "prod", "trunc"}
)
_FLOAT_MODULES = frozenset({"cmath", "statistics"})
_FLOAT_MAKERS = frozenset(
    {
        *("total_seconds", "timestamp", "fromhex", "truediv", "itruediv", "hypot"),
        *("__float__", "__truediv__", "float16", "float32", "float64", "double", "longdouble"),
        *("divide", "true_divide", "mean", "average", "median", "std", "var", "linspace"),
        *("percentile", "quantile", "sqrt", "log", "exp", "interp", "nan", "inf"),
    }
)
"""Attributes that give a float, of the standard library and of NumPy."""
_TYPED_ARRAYS = frozenset({"array", "empty", "fromiter", "full", "ones", "zeros"})
"""NumPy makes floats of nothing, zeros and ones, unless it is told."""


@functools.cache
def _nodes(text: str) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(text)))


def _lines_matching(text: str, pattern: str, flags: int = 0) -> list[str]:
    found = re.compile(pattern, flags)
    return [
        f"{number}: {match.group(0)}"
        for number, line in enumerate(text.splitlines(), 1)
        if (match := found.search(line))
    ]


def no_float(text: str) -> list[str]:
    """Find float literals, the name ``float`` and true division (which makes one of two ints)."""
    found = []
    for node in _nodes(text):
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            found.append(f"{node.lineno}: the literal {node.value!r}")
        elif isinstance(node, ast.Name) and node.id == "float":
            found.append(f"{node.lineno}: float")
    return found


def no_true_division(text: str) -> list[str]:
    """Find ``/`` between ints, which makes a float; not that of paths or of ``Decimal``."""
    return [
        f"{node.lineno}: {ast.unparse(node)}"
        for node in _nodes(text)
        if isinstance(node, ast.BinOp | ast.AugAssign)
        and isinstance(node.op, ast.Div)
        and not any(_tells_other_division(part) for part in ast.walk(node))
    ]


def no_division(text: str) -> list[str]:
    """Find any ``/``, whatever it divides: where money is counted even paths and decimals wait."""
    return [
        f"{node.lineno}: {ast.unparse(node)}"
        for node in _nodes(text)
        if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div)
    ]


def no_float_maker(text: str) -> list[str]:
    """Find what gives a float without saying so: functions, powers, arrays without a type."""
    return [
        f"{getattr(node, 'lineno', 0)}: {ast.unparse(node)}"
        for node in _nodes(text)
        if _makes_float(node)
    ]


def _makes_float(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, complex)
    if isinstance(node, ast.Import):
        return any(alias.name.split(".")[0] in _FLOAT_MODULES for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        names = {alias.name for alias in node.names}
        unsafe = node.module == "math" and not names <= _INT_MATH
        return unsafe or (node.module or "") in _FLOAT_MODULES or bool(names & _FLOAT_MAKERS)
    if isinstance(node, ast.Attribute):
        of_math = isinstance(node.value, ast.Name) and node.value.id == "math"
        return node.attr in _FLOAT_MAKERS or (of_math and node.attr not in _INT_MATH)
    if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Pow):
        power = node.right if isinstance(node, ast.BinOp) else node.value
        return not (isinstance(power, ast.Constant) and isinstance(power.value, int))
    return isinstance(node, ast.Call) and _makes_float_array(node)


def _makes_float_array(call: ast.Call) -> bool:
    """Tell whether NumPy is called without saying of which type, or with weights (floats)."""
    function = call.func
    if not (isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name)):
        return False
    if function.value.id not in {"np", "numpy"}:
        return False
    keys = {key.arg for key in call.keywords}
    places = 3 if function.attr == "full" else 2
    untyped = "dtype" not in keys and len(call.args) < places
    return "weights" in keys or (function.attr in _TYPED_ARRAYS and untyped)


def _tells_other_division(part: ast.AST) -> bool:
    if isinstance(part, ast.Constant):
        return isinstance(part.value, str)
    name = getattr(part, "id", getattr(part, "attr", ""))
    return bool(re.search(r"path|dir|folder|root|file|decimal", name, re.IGNORECASE))


def no_wall_clock(text: str) -> list[str]:
    """Find calls that read this machine's clock as a date, and unique ids made from it."""
    found = []
    for node in _nodes(text):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
            if node.func.attr in _CLOCKS.get(name, ()):
                found.append(f"{node.lineno}: {ast.unparse(node.func)}")
        elif isinstance(node, ast.ImportFrom) and node.module in {"time", "uuid"}:
            found += [
                f"{node.lineno}: from {node.module} import {alias.name}"
                for alias in node.names
                if alias.name in _CLOCKS[node.module]
            ]
    return found


def no_global_random(text: str) -> list[str]:
    """Find ``random``, ``secrets`` and ``numpy.random``: draws come from counters (Philox)."""
    found = []
    for node in _nodes(text):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Attribute) and node.attr != "Philox":
            names = [ast.unparse(node).replace("np.random.", "numpy.random.")]
        else:
            continue
        if any(n in _RANDOM_MODULES or re.match(r"numpy\.random(\.|$)", n) for n in names):
            found.append(f"{getattr(node, 'lineno', 0)}: {names[0]}")
    return found


def no_assert(text: str) -> list[str]:
    """Find ``assert``, which ``python -O`` removes."""
    return [f"{node.lineno}: assert" for node in _nodes(text) if isinstance(node, ast.Assert)]


def no_raw_race(text: str) -> list[str]:
    """Find SimPy races made by hand: the loser of a tie is lost without a word."""
    found = []
    for node in _nodes(text):
        name = getattr(node, "attr", getattr(node, "id", ""))
        if isinstance(node, ast.Attribute | ast.Name) and name in {"any_of", "AnyOf"}:
            found.append(f"{node.lineno}: {name}")
        elif (
            isinstance(node, ast.BinOp)
            and isinstance(node.op, ast.BitOr)
            and any(getattr(part, "attr", "") == "timeout" for part in ast.walk(node))
        ):
            found.append(f"{node.lineno}: {ast.unparse(node)}")
    return found


def functions_are_short(text: str) -> list[str]:
    """Find functions of more than 70 lines."""
    found = []
    for node in _nodes(text):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                found.append(f"{node.lineno}: {node.name} has {lines} lines")
    return found


def file_is_short(text: str) -> list[str]:
    """Find a file of more than 600 lines."""
    lines = len(text.splitlines())
    return [f"1: {lines} lines"] if lines > FILE_LINES_MAX else []


def is_empty(text: str) -> list[str]:
    """Find content in an ``__init__`` file."""
    return ["1: not empty"] if text else []


def no_leftovers(text: str) -> list[str]:
    """Find notes to oneself."""
    return _lines_matching(text, _LEFTOVERS)


def no_stubs(text: str) -> list[str]:
    """Find code that only looks finished."""
    return _lines_matching(text, _STUBS)


def no_registry_host(text: str) -> list[str]:
    """Find the address of a package registry."""
    return _lines_matching(text, _HOSTS, re.IGNORECASE)


def no_machine_path(text: str) -> list[str]:
    """Find a path that exists on one machine only."""
    return _lines_matching(text, _MACHINE_PATHS)


def never_imported(sources: Mapping[str, str]) -> set[str]:
    """Return the modules of ``sources`` (dotted name → text) that no other of them imports.

    A module's name in a string counts: the application layer loads some modules by name.
    """
    known = set(sources)
    used: set[str] = set()
    for name, text in sources.items():
        used |= {other for other in _mentioned(text) if other in known and other != name}
    return known - used


def _mentioned(text: str) -> Iterable[str]:
    for node in _nodes(text):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value.partition(":")[0]


def unused_names(names: Iterable[str], texts: Iterable[str]) -> set[str]:
    """Return those of ``names`` that stand in none of ``texts`` as whole words."""
    together = "\n".join(texts)
    return {n for n in names if not re.search(rf"(?<![\w-]){re.escape(n)}(?![\w-])", together)}
