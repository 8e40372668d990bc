"""The house's own lint over every committed file, and a planted violation for each rule."""

from __future__ import annotations

import functools
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests import tidy
from tests.support import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGES = ("vpg", "scenarios", "sim", "loadtests", "reports")
COUNTED = ("vpg/rating/", "vpg/billing/")
MONEY = ("vpg/rating/", "vpg/billing/", "vpg/catalogue/")
TEXT = (".py", ".md", ".toml", ".yaml", ".yml", ".json", ".txt", ".csv", ".cfg", ".sh")

WALL_CLOCK_ALLOWED = {
    "vpg/cli/clock.py": "names and manifests of run directories say when; no result does",
    "vpg/service/clock.py": "the live service runs on this machine's time; all else is handed it",
}
RACES_ALLOWED: dict[str, str] = {}
NOT_IMPORTED_ALLOWED = {
    "loadtests.gate.slowed": "a program of its own: what the gate must find, and nobody ships",
}


@functools.cache
def committed() -> tuple[str, ...]:
    """Every file of the clone that git knows and that is there, in order."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return tuple(sorted(name for name in listed.stdout.split("\0") if (ROOT / name).is_file()))


def read(name: str) -> str:
    """Return a file's text; data in another encoding is looked at as far as it can be."""
    return (ROOT / name).read_text(encoding="utf-8", errors="replace")


def python(*starts: str) -> list[str]:
    return [name for name in committed() if name.endswith(".py") and name.startswith(starts)]


def shipped() -> list[str]:
    return python(*(f"{package}/" for package in PACKAGES))


def texts() -> list[str]:
    """Every text that a person wrote; data and pins apart."""
    return [
        name
        for name in committed()
        if (name.endswith(TEXT) or name in {"Makefile", ".ci/run"}) and name != "constraints.txt"
    ]


RULES: dict[tidy.Rule, tuple[Callable[[], list[str]], dict[str, str]]] = {
    tidy.no_float: (lambda: python(*MONEY), {}),
    tidy.no_true_division: (lambda: python(*MONEY, "vpg/gateway/"), {}),
    tidy.no_division: (lambda: python(*COUNTED), {}),
    tidy.no_float_maker: (lambda: python(*COUNTED), {}),
    tidy.no_wall_clock: (lambda: python("vpg/", "scenarios/", "sim/"), WALL_CLOCK_ALLOWED),
    tidy.no_global_random: (lambda: python("vpg/", "scenarios/", "sim/"), {}),
    tidy.no_raw_race: (lambda: python("sim/"), RACES_ALLOWED),
    tidy.no_assert: (shipped, {}),
    tidy.functions_are_short: (lambda: python(""), {}),
    tidy.file_is_short: (lambda: python(""), {}),
    tidy.is_empty: (lambda: [n for n in python("") if n.endswith("__init__.py")], {}),
    tidy.no_leftovers: (texts, {}),
    tidy.no_stubs: (lambda: python(""), {}),
    tidy.no_registry_host: (lambda: [*texts(), "constraints.txt"], {}),
    tidy.no_machine_path: (texts, {}),
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_committed_file_keeps(rule: tidy.Rule) -> None:
    names, allowed = RULES[rule]
    checked = names()
    assert checked, "the rule looks at nothing"
    broken = {name for name in checked if rule(read(name))}
    assert [f"{n}:{f}" for n in checked if n not in allowed for f in rule(read(n))] == []
    assert set(allowed) <= broken, "an exception that nothing needs any more"


def plant(text: str) -> str:
    """Return ``text`` without its dots: this file must not hold what it plants."""
    return text.replace("·", "")


PLANTED: dict[tidy.Rule, tuple[list[str], list[str]]] = {
    tidy.no_float: (
        ["yen = 1.5", "yen = float(x)", "def f(yen: float) -> int: ...", "f(1e6)"],
        ["yen = 15", "yen = Decimal('1.5')", "# float", "text = 'float 1.5'"],
    ),
    tidy.no_true_division: (
        ["yen = a / b", "yen /= 2", "x = f(a) / 3"],
        ["yen = a // b", "step = Decimal(1) / scale", "x = folder / 'a.csv'", "x = root / name"],
    ),
    tidy.no_division: (
        ["yen = a / b", "yen /= 2", "step = Decimal(1) / scale"],
        ["yen = -(-a // b)", "text = 'a / b'"],
    ),
    tidy.no_float_maker: (
        [
            "yen = 2j",
            "import statistics",
            "from statistics import mean",
            "from math import sqrt",
            "from operator import truediv",
            "yen = math.fsum(x)",
            "late = (end - begin).total_seconds()",
            "x = column.mean()",
            "x = column.astype(np.float64)",
            "x = 10 ** -n",
            "x = 10 ** -2",
            "x **= n",
            "x = np.zeros(3)",
            "x = np.full(3, 1)",
            "x = np.array([])",
            "x = np.bincount(places, weights=yen)",
        ],
        [
            "from math import ceil, isqrt",
            "import math",
            "yen = math.ceil(Fraction(1, 3))",
            "x = 10**6",
            "x = np.zeros(3, np.int64)",
            "x = np.full(3, 1, np.int64)",
            "x = np.array([], dtype=np.int64)",
            "x = np.arange(3)",
            "x = np.bincount(places)",
            "x = other.zeros(3)",
            "x = zeros(3)",
        ],
    ),
    tidy.no_wall_clock: (
        [
            "dt.datetime.now(dt.UTC)",
            "datetime.now()",
            "date.today()",
            "time.time()",
            "from time import time_ns",
            "uuid.uuid4()",
        ],
        ["env.now", "self.now()", "dt.time(9, 0)", "time.perf_counter()", "time.monotonic_ns()"],
    ),
    tidy.no_global_random: (
        [
            "import random",
            "from random import Random",
            "import numpy.random",
            "from numpy import random",
            "np.random.default_rng(1)",
            "import secrets",
        ],
        [
            "np.random.Philox(key=key)",
            "from sim.traffic import draws",
            "draws.random_us(1)",
            "import numpy as np",
        ],
    ),
    tidy.no_raw_race: (
        ["yield env.any_of([a, b])", "AnyOf(env, [a])", "yield store.get() | env.timeout(3)"],
        ["yield env.timeout(3)", "flags = a | b"],
    ),
    tidy.no_assert: (["assert x"], ["ensure(x, 'fact')"]),
    tidy.functions_are_short: (
        ["def f():\n" + "    x = 1\n" * 70, "class A:\n  async def f():\n" + "    x = 1\n" * 70],
        ["def f():\n" + "    x = 1\n" * 69],
    ),
    tidy.file_is_short: (["\n" * 601], ["\n" * 600]),
    tidy.is_empty: (["x = 1\n", "\n"], [""]),
    tidy.no_leftovers: ([plant("x = 1  # TO·DO: more"), plant("FIX·ME")], ["todos = 1"]),
    tidy.no_stubs: (
        [
            plant("raise NotImplemented·Error"),
            plant("assert· True"),
            plant("@pytest.mark.skip·()"),
            plant("if x:  # pragma: no· cover"),
        ],
        ["return NotImplemented", "pytest.skip('needs a font')"],
    ),
    tidy.no_registry_host: (
        [
            plant("see https://py·pi.org/project/x"),
            plant("--index·-url http://localhost"),
            plant("http://a/sim·ple/"),
            plant("https://a.example/x-1.w·hl"),
        ],
        ["simple/", "https://example.com/index.html"],
    ),
    tidy.no_machine_path: (
        [
            plant("cd /wo·rk/main"),
            plant("x = '/tm·p/x'"),
            plant("/ho·me/me/x"),
            plant("(/ro·ot/.x)"),
            plant("fa·rm-tool"),
        ],
        ["runs/work/x", "https://a.example/home/", "~/work/", "farm", "a/tmp/b"],
    ),
}


def test_every_rule_has_planted_violations() -> None:
    assert set(PLANTED) == set(RULES)


@pytest.mark.parametrize(
    ("rule", "text"), [(rule, text) for rule, (bad, _) in PLANTED.items() for text in bad]
)
def test_a_planted_violation_is_found(rule: tidy.Rule, text: str) -> None:
    assert rule(text) != []


@pytest.mark.parametrize(
    ("rule", "text"), [(rule, text) for rule, (_, good) in PLANTED.items() for text in good]
)
def test_what_is_allowed_is_not_found(rule: tidy.Rule, text: str) -> None:
    assert rule(text) == []


def _modules() -> dict[str, str]:
    return {
        name.removesuffix(".py").replace("/", "."): read(name)
        for name in shipped()
        if not name.endswith("__init__.py")
    }


def test_every_module_is_imported_or_an_entry_point() -> None:
    assert tidy.never_imported(_modules()) == set(NOT_IMPORTED_ALLOWED)


def test_a_module_that_nobody_imports_is_found() -> None:
    main = "from a import b\nload('a.c:run')"
    sources = {"a.main": main, "a.b": "", "a.c": "", "a.d": "import a.d"}
    assert tidy.never_imported(sources) == {"a.main", "a.d"}


def test_every_ready_made_scenario_is_used_in_a_test() -> None:
    ready = [p.stem for p in (ROOT / "scenarios" / "ready").glob("*.yaml")]
    assert ready
    used = [read(n) for n in committed() if n.startswith("tests/")]
    assert tidy.unused_names(ready, used) == set()


def test_a_ready_made_scenario_that_no_test_uses_is_found() -> None:
    assert tidy.unused_names(["a-b", "a"], ["run('a-b')"]) == {"a"}
