"""What every locustfile of ours shares: one user a process, who walks its share of a schedule.

Owns: the meeting of Locust (runners, messages, its own table) and ``loadtests.walk``. Does not own:
what is sent. Imported by Locust only: importing Locust makes this process's sockets and threads
cooperative, which ``loadtests.pool`` relies on.

The master (or the one process) has the plan. A worker asks it for the plan, takes every N-th send
by its number, and hands its result back; the master writes all results when the last is in.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from locust import User, events, task
from locust.exception import StopUser
from locust.runners import MasterRunner, WorkerRunner

from loadtests import plan as plans
from loadtests.planning import plain_plan
from loadtests.result import Result, latencies, merged
from loadtests.schedule import Schedule, unpacked
from loadtests.walk import Walk

if TYPE_CHECKING:
    from pathlib import Path

    from locust.argument_parser import LocustArgumentParser
    from locust.env import Environment

    from loadtests.plan import LoadPlan

PARENT = "VPG_LOAD_PARENT"
"""Environment variable: the process without which this one must end."""
_WAIT_S = 30.0
_WATCH_S = 0.5
_WANT, _PLAN, _BEGAN, _RESULT = "vpg_want", "vpg_plan", "vpg_began", "vpg_result"
_log = logging.getLogger(__name__)


class Driver:
    """Part of the load that is this process's."""

    def __init__(self) -> None:
        """Begin without a plan."""
        self.kind: plans.Kind = "rating"
        self.environment: Environment | None = None
        self.folder: Path | None = None
        self.taken = False
        self._plan: tuple[LoadPlan, Schedule] | None = None
        self._got_plan = threading.Event()
        self._results: dict[int, Result] = {}

    # ---- wiring ----------------------------------------------------------------------------------

    def begin(self, environment: Environment) -> None:
        """Take the plan that was given, or make one; listen to the other processes."""
        self.environment = environment
        runner = environment.runner
        threading.Thread(target=self._watch_parent, daemon=True).start()
        if isinstance(runner, WorkerRunner):
            runner.register_message(_PLAN, self._plan_came)
            return
        self._plan = self._given(environment.parsed_options)
        if isinstance(runner, MasterRunner):
            runner.register_message(_WANT, self._plan_wanted)
            runner.register_message(_BEGAN, self._one_began)
            runner.register_message(_RESULT, self._result_came)

    def _given(self, options: Any) -> tuple[LoadPlan, Schedule]:  # noqa: ANN401 - Locust's
        from pathlib import Path  # noqa: PLC0415 - before Locust patches the rest

        if options.vpg_plan:
            path = Path(options.vpg_plan)
            self.folder = path.parent
            return plans.read(path)
        workers = options.expect_workers if options.master else 1
        return plain_plan(self.kind, options, processes=workers)

    def _plan_wanted(self, environment: Environment, msg: Any, **_: Any) -> None:  # noqa: ANN401
        plan, schedule = self._known()
        data = {"plan": msgspec.json.encode(plan), "schedule": schedule.packed()}
        _master(environment).send_message(_PLAN, data, msg.node_id)

    def _plan_came(self, environment: Environment, msg: Any, **_: Any) -> None:  # noqa: ANN401
        del environment
        self._plan = plans.decoded(msg.data["plan"]), unpacked(msg.data["schedule"])
        self._got_plan.set()

    def _one_began(self, environment: Environment, msg: Any, **_: Any) -> None:  # noqa: ANN401
        del environment, msg
        self._note_began()

    def _result_came(self, environment: Environment, msg: Any, **_: Any) -> None:  # noqa: ANN401
        del environment
        self._keep(msgspec.json.decode(msg.data, type=Result))

    def _known(self) -> tuple[LoadPlan, Schedule]:
        if self._plan is None:
            raise RuntimeError("no plan came from the master")
        return self._plan

    # ---- the load --------------------------------------------------------------------------------

    def walk(self) -> None:
        """Send this process's share and hand over the result."""
        environment = self.environment
        runner = environment.runner if environment is not None else None
        if environment is None or runner is None:
            raise RuntimeError("Locust has no runner")
        is_worker = isinstance(runner, WorkerRunner)
        if is_worker:
            runner.send_message(_WANT)
            self._got_plan.wait(_WAIT_S)
        plan, schedule = self._known()
        index = runner.worker_index if isinstance(runner, WorkerRunner) else 0
        if index >= plan.processes:
            _log.error("one worker too many: the plan is for %d", plan.processes)
            return
        walk = Walk(plan, schedule, index, self._told)
        environment.events.quitting.add_listener(lambda **_: walk.end())  # type: ignore[no-untyped-call]
        result = walk.run(lambda: runner.send_message(_BEGAN) if is_worker else self._note_began())
        if is_worker:
            runner.send_message(_RESULT, msgspec.json.encode(result))
        else:
            self._keep(result)

    def _told(self, name: str, ms: float, size: int, failed: str) -> None:
        if self.environment is not None:
            self.environment.events.request.fire(  # type: ignore[no-untyped-call]
                request_type="",
                name=name,
                response_time=ms,
                response_length=size,
                exception=RuntimeError(failed) if failed else None,
                context={},
            )

    def _note_began(self) -> None:
        if self.folder is not None:
            (self.folder / plans.STARTED_FILE).touch()

    def _keep(self, result: Result) -> None:
        self._results[result.index] = result
        plan, _ = self._known()
        if len(self._results) < plan.processes or self.environment is None:
            return
        results = [self._results[index] for index in sorted(self._results)]
        data = msgspec.json.encode(results)
        if self.folder is not None:
            partial = self.folder / f".{plans.RESULTS_FILE}"
            partial.write_bytes(data)
            partial.rename(self.folder / plans.RESULTS_FILE)
        else:
            _tell(results)
        runner = self.environment.runner
        if runner is not None:
            threading.Thread(target=runner.quit, daemon=True).start()

    def _watch_parent(self) -> None:
        parent = int(os.environ.get(PARENT, "0"))
        while parent:
            time.sleep(_WATCH_S)
            try:
                os.kill(parent, 0)
            except ProcessLookupError:
                os._exit(1)


def _master(environment: Environment) -> MasterRunner:
    runner = environment.runner
    if not isinstance(runner, MasterRunner):
        raise TypeError("only a master is asked for the plan")
    return runner


def _tell(results: list[Result]) -> None:
    """Say what was measured from the intended time, where nobody else will."""
    spread = latencies(results).spread()
    measured = merged(results)
    figures = {
        "intended": measured.intended,
        "sent": measured.sent,
        "answers": measured.answers,
        "latency_from_intended_us": msgspec.to_builtins(spread),
    }
    sys.stdout.write(f"{msgspec.json.encode(figures).decode()}\n")


DRIVER = Driver()


class OpenUser(User):
    """The one user of a process; a second one does nothing."""

    abstract = True
    kind: ClassVar[plans.Kind]

    @task
    def walk(self) -> None:
        """Walk the schedule once, then stop."""
        if not DRIVER.taken:
            DRIVER.taken = True
            DRIVER.walk()
        raise StopUser


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def _options(parser: LocustArgumentParser) -> None:
    group = parser.add_argument_group("VPG load (see docs/load.md)")
    group.add_argument("--vpg-plan", default="", help="Plan of vpg load; all else from there")
    group.add_argument("--vpg-rate", type=int, default=50, help="Requests a second")
    group.add_argument("--vpg-for-s", type=int, default=10, help="Seconds")
    group.add_argument("--vpg-batch", type=int, default=1, help="Usage events of a request")
    group.add_argument("--vpg-seed", type=int, default=1, help="Seed of its draws")


@events.init.add_listener  # type: ignore[untyped-decorator]
def _init(environment: Environment, **_: Any) -> None:  # noqa: ANN401 - Locust's
    DRIVER.kind = next(
        one.kind for one in environment.user_classes or () if issubclass(one, OpenUser)
    )
    DRIVER.begin(environment)
