"""How honest the gate is: rounds of the same code, and of code slowed by 10 %, decided 200 times.

One recording holds rounds of four services in turns: the base, its control, the same code once
more, and the code slowed by a switch. Gates are then drawn from it: restarts with replacement, then
rounds of each, decided as ``vpg gate`` does, with its second helping. A false alarm is a gate of
the same code that fails; found is a slowed one that fails by a figure of the clock (the exact
budgets are not asked). ``python -m tests.bench.gate FILE`` records anew.
"""

from __future__ import annotations

import datetime as dt
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from loadtests.gate import canaries, revisions, rounds
from loadtests.gate.decision import decide
from loadtests.gate.job import work_folder
from loadtests.gate.service import Launch, started
from loadtests.gate.slowed import PERCENT
from loadtests.gate.statistics import Draws
from loadtests.gate.values import (
    BASE,
    CONTROL,
    FIGURES,
    HEAD,
    Recording,
    Restart,
    check,
    chosen,
    decode,
    encode,
)
from tests.bench.figures import ROOT, Figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtests.gate.revisions import Side
    from tests.bench.figures import Options

SAME: Final = "same"
SLOWED: Final = "slowed"
SLOWED_PERCENT: Final = 10
RECORDED: Final = ROOT / "tests" / "data" / "gate" / "honesty.json"
"""The recording that ``make test`` decides."""
SHAPE: Final = rounds.Shape(restarts=10, rounds=6, seed=1)
SHORT: Final = rounds.Shape(restarts=1, rounds=3, seed=1)
GATES: Final = 200
FALSE_ALARMS_MAX: Final = 2
FOUND_MIN: Final = 190
SECONDS_MAX: Final = 360
GATE_RESTARTS: Final = 5
GATE_ROUNDS: Final = 6
_NAMES: Final = frozenset(figure.name for figure in FIGURES)
_STREAM: Final = 2_000


def sides() -> dict[str, Side]:
    """Return this checkout four times, once slowed."""
    head = revisions.head()
    plain = head.launch
    slowed = revisions.Side(
        revision=head.revision,
        launch=Launch(
            command=(plain.command[0], "-m", "loadtests.gate.slowed", "serve"),
            folder=plain.folder,
            environment={**plain.environment, PERCENT: str(SLOWED_PERCENT)},
        ),
    )
    return {BASE: head, CONTROL: head, SAME: head, SLOWED: slowed}


def record(shape: rounds.Shape) -> Recording:
    """Record rounds of all four."""
    found = sides()
    launches = {name: side.launch for name, side in found.items()}
    core, stolen = canaries.gate_core(), canaries.stolen()
    with tempfile.TemporaryDirectory(prefix="vpg-gate-", dir=work_folder()) as name:
        folder = Path(name)
        with started(launches[BASE], folder / "trial", core):
            pass
        before = canaries.canary(folder, core)
        restarts, rate = rounds.restarts(
            launches, shape, folder=folder, core=core, rate_per_s=0.0, progress=lambda: None
        )
        after = canaries.canary(folder, core)
    recording = Recording(
        date=dt.datetime.now(dt.UTC).date().isoformat(),
        seed=shape.seed,
        rate_per_s=rate,
        machine=canaries.machine(core, stolen),
        revisions={name: side.revision for name, side in found.items()},
        canaries=[before, after],
        restarts=restarts,
    )
    check(recording)
    return recording


def drawn(recording: Recording, seed: int, restarts: int) -> Recording:
    """Return a job drawn from ``recording``: restarts, then rounds of each, with replacement."""
    draws, found = Draws(seed, _STREAM), []
    for place in draws.places(len(recording.restarts), (restarts,)):
        whole = recording.restarts[int(place)]
        picked = draws.places(len(whole.rounds), (GATE_ROUNDS,))
        kept = [whole.rounds[int(one)] for one in picked]
        found.append(Restart(rounds=kept, counts=whole.counts, budgets=whole.budgets))
    return msgspec.structs.replace(recording, restarts=found, seed=seed)


def gate(recording: Recording, role: str, seed: int) -> str:
    """Return what one gate says of ``role``; ``fails`` only by a figure of the clock."""
    asked = chosen(recording, {BASE: BASE, CONTROL: CONTROL, HEAD: role})
    for restarts in (GATE_RESTARTS, 2 * GATE_RESTARTS):
        decision = decide(drawn(asked, seed, restarts))
        if decision.answer != "cannot_tell":
            break
    if decision.answer == "fails" and role == SLOWED and not _NAMES & set(decision.reasons):
        return "cannot_tell"
    return decision.answer


def gates(recording: Recording, role: str, count: int) -> Counter[str]:
    """Return how often ``count`` gates of ``role`` gave each answer."""
    return Counter(gate(recording, role, seed) for seed in range(count))


def honesty(options: Options) -> Iterator[Figure]:
    """Record, decide, and say how often the gate was right."""
    began = time.perf_counter()
    recording = record(SHORT if options.short else SHAPE)
    took = time.perf_counter() - began
    count = 2 if options.short else GATES
    same, slowed = (gates(recording, role, count) for role in (SAME, SLOWED))
    many = sum(len(restart.rounds) for restart in recording.restarts)
    goal = options.goal
    yield Figure(name="gate: interleaved rounds of each", value=many, unit="rounds", runs=1)
    yield Figure(name="gate: recorded in", value=took, unit="s", runs=1, at_most=goal(SECONDS_MAX))
    yield Figure(
        name="gate: false alarms, same code", value=same["fails"], unit="gates", runs=count,
        at_most=goal(FALSE_ALARMS_MAX),
    )  # fmt: skip
    yield Figure(
        name="gate: cannot tell, same code", value=same["cannot_tell"], unit="gates", runs=count
    )
    yield Figure(
        name="gate: found, code 10 % slower", value=slowed["fails"], unit="gates", runs=count,
        at_least=goal(FOUND_MIN),
    )  # fmt: skip


def main() -> None:
    """Record anew into the file named first, and say what 200 gates of it say."""
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else RECORDED
    file.parent.mkdir(parents=True, exist_ok=True)
    recording = record(SHAPE)
    file.write_bytes(encode(recording))
    for role in (SAME, SLOWED):
        print(role, dict(gates(decode(encode(recording)), role, GATES)))


if __name__ == "__main__":
    main()
