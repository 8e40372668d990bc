"""The rounds of a gate: who sends what to whom, in which order, and what is noted of it.

Owns: the shape of a job. All sides live at once, on one core with the one client; every few tens of
milliseconds another one is loaded, in an order drawn anew, so that whatever the machine does hits
all alike. Amounts are fixed and equal, rates too: what differs is what it took.
Does not own: how a revision becomes something to start (``revisions.py``), or verdicts.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from loadtests.gate.calls import counted_calls
from loadtests.gate.client import Measure, Measured, Order, Outcome
from loadtests.gate.service import ServiceError, ended, pin, started
from loadtests.gate.statistics import Draws
from loadtests.gate.values import Count, Reference, Restart, Round, Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from loadtests.gate.service import Launch, Service

ROOT: Final = Path(__file__).parent.parent.parent
TURNS: Final = 5
"""Times that each side is loaded in a round."""
SINGLES: Final = 320
BATCHES: Final = 8
BATCH: Final = 100
OPEN_S: Final = 0.08
"""Each turn: so many single requests, batches, and seconds at the fixed rate."""
CONNECTIONS: Final = 32
BATCH_CONNECTIONS: Final = 8
WARM_TURNS: Final = 4
EXACT_SINGLES: Final = 200
EXACT_BATCHES: Final = 20
FEW: Final = {1: 20, BATCH: 5}
"""Events of a request → requests over which system calls are counted, several times."""
TRACED: Final = 2
"""Restarts in which system calls are counted: a tracer takes its time to look."""
_ORDER_STREAM: Final = 1_000
"""Streams from here on shuffle; those below are the bootstrap's."""
_Answer = TypeVar("_Answer", Outcome, Measured)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How much is measured."""

    restarts: int
    rounds: int
    seed: int
    first: int = 0
    """Number of the first restart: more of them may follow later in the same job."""


def _now() -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Sender:
    """The client process."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        """Speak to ``process``; the reference workload keeps its file in ``folder``."""
        self._process = process
        self._folder = folder

    def reference(self) -> Reference:
        """Do the reference workload."""
        found = self._ask(Measure(folder=str(self._folder)), Measured)
        return Reference(cpu_us=found.cpu_us, wall_us=found.wall_us)

    def singles(
        self,
        service: Service,
        requests: int,
        *,
        rate_per_s: float = 0.0,
        connections: int = CONNECTIONS,
    ) -> Outcome:
        """Send single events: closed, or open at ``rate_per_s``."""
        order = Order(
            kind="open" if rate_per_s else "closed",
            port=service.port,
            at=_now(),
            first=service.singles,
            requests=requests,
            connections=connections,
            rate_per_s=rate_per_s,
        )
        service.singles += requests
        return self._ask(order, Outcome)

    def batches(
        self, service: Service, requests: int, *, connections: int = BATCH_CONNECTIONS
    ) -> Outcome:
        """Send batches, closed."""
        order = Order(
            kind="closed",
            port=service.port,
            at=_now(),
            first=service.batches,
            requests=requests,
            batch=BATCH,
            connections=connections,
        )
        service.batches += requests
        return self._ask(order, Outcome)

    def _ask(self, asked: Order | Measure, kind: type[_Answer]) -> _Answer:
        stdin, stdout = self._process.stdin, self._process.stdout
        line = b""
        if stdin is not None and stdout is not None:
            with contextlib.suppress(BrokenPipeError):
                stdin.write(msgspec.json.encode(asked) + b"\n")
                stdin.flush()
                line = stdout.readline()
        if not line:
            raise ServiceError("the client ended: a service hung up, or refused the connection")
        return msgspec.json.decode(line, type=kind)


@contextlib.contextmanager
def sender(folder: Path, core: int | None) -> Iterator[Sender]:
    """Run the client, pinned to ``core``."""
    process = subprocess.Popen(
        [sys.executable, "-m", "loadtests.gate.client"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    with ended(process):
        pin(process.pid, core)
        yield Sender(process, folder)


class Tally:
    """What the client knows of one service's events, over one of its lives."""

    def __init__(self) -> None:
        """Begin with none."""
        self.acknowledged = self.refused = self.unknown = 0

    def add(self, outcome: Outcome) -> Outcome:
        """Take ``outcome`` in, and return it."""
        self.acknowledged += outcome.acknowledged
        self.refused += outcome.refused
        self.unknown += outcome.unknown
        return outcome


class _Side:
    """One side in one restart."""

    def __init__(self, service: Service, send: Sender) -> None:
        self.service = service
        self.tally = Tally()
        self._send = send
        self._begin()

    def _begin(self) -> None:
        self._took_ns = [0, 0]
        self._events = [0, 0]
        self._cpu_ns = [0, 0]
        self._client_ns = 0
        self._latencies_us: list[int] = []
        self._late_us: list[int] = []

    def closed_turn(self) -> None:
        """Load it as fast as it answers: single events, then batches."""
        for kind in (0, 1):
            before = self.service.cpu_ns()
            if kind == 0:
                outcome = self._send.singles(self.service, SINGLES)
                self._client_ns += outcome.cpu_ns
            else:
                outcome = self._send.batches(self.service, BATCHES)
            self._cpu_ns[kind] += self.service.cpu_ns() - before
            self._took_ns[kind] += outcome.took_ns
            self._events[kind] += self.tally.add(outcome).acknowledged

    def open_turn(self, rate_per_s: float) -> None:
        """Load it at the fixed rate."""
        requests = max(20, round(rate_per_s * OPEN_S))
        outcome = self.tally.add(self._send.singles(self.service, requests, rate_per_s=rate_per_s))
        self._latencies_us += outcome.latencies_us
        self._late_us += outcome.late_us

    def per_s(self) -> float:
        """Return the single events a second since the last sample."""
        return self._events[0] / max(1, self._took_ns[0]) * 1e9

    def sample(self) -> Sample:
        """Return what was measured since the last one."""
        singles, batched = (max(1, events) for events in self._events)
        found = Sample(
            singles_per_s=self.per_s(),
            batched_per_s=self._events[1] / max(1, self._took_ns[1]) * 1e9,
            cpu_us_per_single=self._cpu_ns[0] / singles / 1e3,
            cpu_us_per_batched=self._cpu_ns[1] / batched / 1e3,
            latency_us_p50=quantile(self._latencies_us, 50),
            latency_us_p99=quantile(self._latencies_us, 99),
            memory_kib=self.service.memory_kib(),
            late_us_p99=quantile(self._late_us, 99),
            client_cpu_us=self._client_ns / singles / 1e3,
        )
        self._begin()
        return found

    def exact(self, folder: Path, *, with_calls: bool) -> dict[str, float]:
        """Return what 1,000 events sent one after the other spend, alone and in batches."""
        return {
            **self._spent("singles", EXACT_SINGLES, 1, folder, with_calls=with_calls),
            **self._spent("batches", EXACT_BATCHES, BATCH, folder, with_calls=with_calls),
        }

    def _spent(
        self, what: str, requests: int, each: int, folder: Path, *, with_calls: bool
    ) -> dict[str, float]:
        def send(count: int = requests) -> None:
            ask = self._send.singles if each == 1 else self._send.batches
            self.tally.add(ask(self.service, count, connections=1))

        service = self.service
        send()  # The connection is there, the code is warm.
        commits, written = service.commits(), service.written()
        send()
        written = service.written() - written
        found = {
            f"commits_{what}": float(service.commits() - commits),
            f"bytes_{what}": float(written),
        }
        few = FEW[each]
        calls = counted_calls(service.pid, lambda: send(few), folder) if with_calls else None
        if calls is not None:
            found[f"calls_{what}"] = calls * requests / few
        return {name: value * 1_000 / (requests * each) for name, value in found.items()}

    def count(self) -> Count:
        """Return what became of its events."""
        tally = self.tally
        return Count(
            acknowledged=tally.acknowledged,
            stored=self.service.stored(),
            refused=tally.refused,
            unknown=tally.unknown,
        )


def quantile(values: Sequence[int], percent: int) -> float:
    """Return that quantile of ``values`` by nearest rank, at least 1."""
    ranked = sorted(values)
    return float(max(1, ranked[(len(ranked) - 1) * percent // 100])) if ranked else 1.0


def restarts(
    launches: Mapping[str, Launch],
    shape: Shape,
    *,
    folder: Path,
    core: int | None,
    rate_per_s: float,
    progress: Callable[[], None],
) -> tuple[list[Restart], float]:
    """Measure every restart; return them and the rate of the latency rounds.

    ``rate_per_s`` 0: half of what the first side sustains, found in the first restart.
    ``progress`` is called after each round. Raises ``ServiceError``.
    """
    found = []
    for number in range(shape.first, shape.first + shape.restarts):
        draws = Draws(shape.seed, _ORDER_STREAM + number)
        names = list(launches)
        with contextlib.ExitStack() as stack:
            send = stack.enter_context(sender(folder, core))
            sides = {}
            for place in draws.order(len(names)):
                name = names[place]
                own = folder / f"{number}-{name}"
                service = stack.enter_context(started(launches[name], own, core))
                sides[name] = _Side(service, send)
            # First of all: the same events in the same order make the same pages.
            budgets = {
                name: side.exact(folder, with_calls=number < TRACED) for name, side in sides.items()
            }
            rate_per_s = _warm(sides, names[0], rate_per_s)
            rounds = []
            for _ in range(shape.rounds):
                rounds.append(_round(sides, send, draws, rate_per_s))
                progress()
            counts = {name: sides[name].count() for name in names}
        found.append(Restart(rounds=rounds, counts=counts, budgets=budgets))
    return found, rate_per_s


def _warm(sides: Mapping[str, _Side], first: str, rate_per_s: float) -> float:
    for name, side in sides.items():
        if not side.tally.acknowledged:
            raise ServiceError(f"{name}: none of {side.tally.refused} requests was accepted")
    for _ in range(WARM_TURNS):
        for side in sides.values():
            side.closed_turn()
    rate_per_s = rate_per_s or round(sides[first].per_s() / 2)
    for side in sides.values():
        side.open_turn(rate_per_s)
        side.sample()
    return rate_per_s


def _round(sides: Mapping[str, _Side], send: Sender, draws: Draws, rate_per_s: float) -> Round:
    every = list(sides.values())
    for _ in range(TURNS):
        for place in draws.order(len(every)):
            every[place].closed_turn()
        for place in draws.order(len(every)):
            every[place].open_turn(rate_per_s)
    reference = send.reference()
    samples = {name: side.sample() for name, side in sides.items()}
    return Round(samples=samples, reference=reference)
