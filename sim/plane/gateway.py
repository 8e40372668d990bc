"""One VPG in the reference plane: its limiter, line cap, upstream, Junction and counters.

Owns: what the VPG decides about an attach or an attempt. Does not own: what the device does next
(``line``). The limiter, the cap and the packet arithmetic are those of ``vpg.gateway``. Times:
``SimUs``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scenarios.model import MILLION
from sim.plane.mirror import Mirror
from sim.plane.tally import IP, SERVICE_INDEX, Tally, figures
from sim.traffic.laws import below
from vpg.gateway import limiter, lines
from vpg.results import MinuteRow
from vpg.timebase import HOUR_US, MINUTE_US, SECOND_US

if TYPE_CHECKING:
    from scenarios.model import Assumptions, Vpg
    from sim.plane.message import Origin
    from sim.plane.session import SessionSide
    from vpg.catalogue.model import Limits

ACCEPTED: Final = 0
THROTTLED: Final = 1
NO_SESSION: Final = 2
FAILED: Final = 3
WAITING: Final = 4
"""In the limiter's queue: decided later."""
DECISION_EXPIRES: Final = 5
"""In the limiter's queue until its deadline: throttled then."""

CREATED: Final = 0
REFUSED: Final = 1
REJECTED: Final = 2
REJECTED_FOR_GOOD: Final = 3


class Bucket:
    """The state of one limiter instance; the rule is in ``vpg.gateway.limiter``."""

    __slots__ = ("a", "b")

    def __init__(self, a: int, b: int) -> None:
        """Token bucket: (tokens_micro, last_us). Fixed window: (window_s, used)."""
        self.a = a
        self.b = b


class Gateway:
    """A VPG while it exists."""

    def __init__(self, *, vpg: Vpg, limits: Limits, assumptions: Assumptions, now_us: int) -> None:
        """Create it at ``now_us``, its buckets full."""
        self.vpg = vpg
        self.assumptions = assumptions
        self.lines: list[SessionSide] = []
        self.exists = True
        self.sessions = 0
        self.ghosts = 0
        self.orphans = 0
        """Ghosts whose line has a newer session (A-17 not_replaced)."""
        self.orphan_epoch = 0
        self.pending = 0
        self._pending_since_us = now_us
        self._area_message_us = 0
        self.sojourn_message_us = 0
        """How long messages that are over were open, added up."""
        self.tally = Tally()
        self.minutes: list[MinuteRow] = []
        self.idle_timeout_us = assumptions.a16_idle_timeout_us
        self.mirror = Mirror(vpg)
        self.inspecting = vpg.inspection
        self.redirecting = vpg.redirection
        self.redirection_down = 0
        self.down = [0] * len(SERVICE_INDEX)
        self.slow_us = [0] * len(SERVICE_INDEX)
        both_legs = assumptions.a06_beam_legs == "both"
        self.cost = [2 if both_legs and name == "beam" else 1 for name in SERVICE_INDEX]
        self._flag = assumptions.a03_above_rate == "accept_and_flag"
        self._cap_policy = lines.POLICY_CODES[assumptions.a02_above_line_cap]
        self._by_assignment = assumptions.a01_line_cap == "assigned_sims"
        self._bucketed = vpg.limiter.kind == "token_bucket"
        self._queueing = vpg.limiter.above == "queue" and not self._flag
        self._queue_max = (
            -1 if vpg.limiter.queue_requests_max is None else vpg.limiter.queue_requests_max
        )
        self._set_limits(limits)
        state = (
            (limiter.bucket_full(self.burst), now_us) if self._bucketed else (limiter.NO_WINDOW, 0)
        )
        shared = Bucket(*state)
        each = assumptions.a05_rate_shared == "each"
        self.buckets = [Bucket(*state) if each else shared for _ in SERVICE_INDEX]
        setup = assumptions.a18_session_setup_per_s
        self._setup_rate = setup or 0
        self._setup = Bucket(limiter.bucket_full(self._setup_rate), now_us)
        self._start_clock(now_us)
        self.refresh_path()

    # ---- limits --------------------------------------------------------------------------------

    def _set_limits(self, limits: Limits) -> None:
        self.rate = limits.rate_per_s or 0
        """0: uncapped."""
        self.burst = self.vpg.limiter.burst_requests or self.rate
        self.lines_max = lines.NO_CAP if limits.lines_max is None else limits.lines_max

    def resize(self, limits: Limits, now_us: int) -> None:
        """Take new limits; tokens are kept, capped to the new burst."""
        old_rate, old_burst = self.rate, self.burst
        self._set_limits(limits)
        for bucket in {id(b): b for b in self.buckets}.values():
            if not self._bucketed:
                continue
            if old_rate and self.rate:
                bucket.a, bucket.b = limiter.bucket_resize(
                    bucket.a, bucket.b, now_us, old_rate, old_burst, self.rate, self.burst
                )
            else:
                bucket.a, bucket.b = limiter.bucket_full(self.burst), now_us

    # ---- open messages -------------------------------------------------------------------------

    def count_pending(self, change: int, now_us: int) -> None:
        """Count ``change`` more open messages from now on."""
        self._area_message_us += self.pending * (now_us - self._pending_since_us)
        self._pending_since_us = now_us
        self.pending += change

    def area_message_us(self, now_us: int) -> int:
        """Return the number of open messages, added up over the time until now."""
        return self._area_message_us + self.pending * (now_us - self._pending_since_us)

    # ---- the clock of seconds and minutes -----------------------------------------------------

    def _start_clock(self, now_us: int) -> None:
        self._second_us = now_us - now_us % SECOND_US
        self.second_end_us = self._second_us + SECOND_US
        self._minute_us = now_us - now_us % MINUTE_US
        self.second_attempts = 0
        self.second_attaches = 0
        self._minute_base = (0, 0, 0, 0, 0)
        self._minute_peak = 0
        self._minute_peak_at_us = self._minute_us
        self.minute_lines_peak = 0

    def _end_second(self) -> None:
        tally = self.tally
        tally.rate_peak_per_s = max(tally.rate_peak_per_s, self.second_attempts)
        tally.attach_peak_per_s = max(tally.attach_peak_per_s, self.second_attaches)
        if self.second_attempts > self._minute_peak:
            self._minute_peak = self.second_attempts
            self._minute_peak_at_us = self._second_us

    def turn(self, now_us: int) -> None:
        """Move on to the UTC second of ``now_us``, closing what has ended."""
        self._end_second()
        self.second_attempts = 0
        self.second_attaches = 0
        self._second_us = now_us - now_us % SECOND_US
        self.second_end_us = self._second_us + SECOND_US
        if now_us >= self._minute_us + MINUTE_US:
            self._end_minute()
            self._minute_us = now_us - now_us % MINUTE_US
            self._minute_peak = 0
            self._minute_peak_at_us = self._minute_us
            self.minute_lines_peak = self.sessions

    def _minute_sums(self) -> tuple[int, int, int, int, int]:
        attempts, accepted, throttled = self.tally.limited_sums()
        return (
            attempts,
            accepted,
            throttled,
            self.tally.attach_attempts,
            self.tally.sessions_refused,
        )

    def _end_minute(self) -> None:
        sums = self._minute_sums()
        attempts, accepted, throttled, attaches, refused = (
            now - before for now, before in zip(sums, self._minute_base, strict=True)
        )
        self._minute_base = sums
        if attempts or attaches or self._minute_peak:
            self.minutes.append(
                MinuteRow(
                    vpg_id=self.vpg.id,
                    minute_start_us=self._minute_us,
                    attempts=attempts,
                    accepted=accepted,
                    throttled=throttled,
                    busiest_second_us=self._minute_peak_at_us,
                    rate_peak_per_s=self._minute_peak,
                    attach_attempts=attaches,
                    sessions_refused=refused,
                    lines_peak=self.minute_lines_peak,
                )
            )

    def take_minutes(self, *, final: bool) -> list[MinuteRow]:
        """Return the minutes finished since the last call; ``final``: the running one too."""
        if final:
            self._end_minute()
        finished, self.minutes = self.minutes, []
        return finished

    def take_row(self, now_us: int) -> tuple[dict[str, int], dict[int, int]]:
        """Close the row at ``now_us``: return its figures and delays, and begin anew."""
        if now_us >= self.second_end_us:
            self.turn(now_us)
        else:
            self._end_second()
        tally = self.tally
        row = figures(tally, sessions_end=self.sessions, pending_end=self.pending)
        sums = self._minute_sums()
        self.tally = Tally(
            sessions_start=self.sessions,
            pending_start=self.pending,
            lines_peak=self.sessions,
            ghosts_peak=self.ghosts,
            # Distinct lines are counted by the clock hour, whatever rows it is cut into.
            lines_inspected=tally.lines_inspected if now_us % HOUR_US else 0,
        )
        # A row may end inside a minute: what the minute had counted so far stays its own.
        before = zip(self._minute_base, sums, strict=True)
        base = tuple(begun - counted for begun, counted in before)
        self._minute_base = (base[0], base[1], base[2], base[3], base[4])
        return row, tally.delays

    def events(self) -> int:
        """Return the attempts and attach attempts of the running row."""
        return sum(self.tally.attempts) + self.tally.attach_attempts

    # ---- sessions ------------------------------------------------------------------------------

    def attach(self, line: SessionSide, now_us: int) -> int:
        """Decide on an attach attempt of ``line``: CREATED (and counted), REFUSED or REJECTED."""
        if now_us >= self.second_end_us:
            self.turn(now_us)
        tally = self.tally
        tally.attach_attempts += 1
        self.second_attaches += 1
        if line.status in {"suspended", "terminated"}:
            tally.attach_rejected_other += 1
            return REJECTED_FOR_GOOD
        if line.status == "inactive" or not self._setup_has_room(now_us):
            tally.attach_rejected_other += 1
            return REJECTED
        if line.ghost:
            if self.assumptions.a17_ghosts == "replaced":
                line.ghost = False
                self.ghosts -= 1
                self.sessions -= 1
                tally.sessions_deleted += 1
                return self._create()
            # The old session stays until its timeout and is nobody's any more.
            line.disown_ghost()
        decision = (
            lines.admit_assigned(line.assigned_before, self.lines_max, self._cap_policy)
            if self._by_assignment
            else lines.admit_session(self.sessions, self.lines_max, self._cap_policy)
        )
        if decision == lines.REFUSED:
            tally.sessions_refused += 1
            return REFUSED
        if decision == lines.CREATED_FLAGGED:
            tally.sessions_flagged += 1
        if decision == lines.CREATED_EVICT and not self._evict_longest_idle():
            tally.sessions_refused += 1
            return REFUSED
        return self._create()

    def _create(self) -> int:
        tally = self.tally
        tally.sessions_created += 1
        self.sessions += 1
        tally.lines_peak = max(tally.lines_peak, self.sessions)
        self.minute_lines_peak = max(self.minute_lines_peak, self.sessions)
        return CREATED

    def _setup_has_room(self, now_us: int) -> bool:
        if not self._setup_rate:
            return True
        state = self._setup
        rate = self._setup_rate
        state.a, state.b, admitted = limiter.bucket_admit(state.a, state.b, now_us, rate, rate, 1)
        return bool(admitted)

    def _evict_longest_idle(self) -> bool:
        holders = [line for line in self.lines if line.session or line.ghost]
        if not holders:
            return False
        longest_idle = min(holders, key=lambda line: (line.last_activity_us, line.rank))
        longest_idle.evicted = True
        longest_idle.lose_session()
        return True

    def cut_all(self, now_us: int) -> None:
        """Delete every session; the devices do not know."""
        for line in self.lines:
            line.lose_session()
        for _ in range(self.orphans):
            self.forget_session(now_us, ghost=True)
        self.orphans = 0
        self.orphan_epoch += 1

    def forget_session(self, now_us: int, *, ghost: bool) -> None:
        """Count a session (or a ghost) as deleted."""
        if now_us >= self.second_end_us:
            # The minute's peak must see what there was before.
            self.turn(now_us)
        self.tally.sessions_deleted += 1
        self.sessions -= 1
        if ghost:
            self.ghosts -= 1

    def note_ghost(self) -> None:
        """Count a session as a ghost from now on."""
        self.ghosts += 1
        self.tally.ghosts_peak = max(self.tally.ghosts_peak, self.ghosts)

    # ---- the limiter ---------------------------------------------------------------------------

    def ask(self, service: int, now_us: int) -> tuple[int, int]:
        """Ask the limiter for one attempt; return (decision, µs until it stands).

        ACCEPTED here means admitted. Services outside the limiter are always admitted.
        """
        if service == IP:
            return ACCEPTED, 0
        if now_us >= self.second_end_us:
            self.turn(now_us)
        self.second_attempts += 1
        rate = self.rate
        if not rate:
            return ACCEPTED, 0
        bucket = self.buckets[service]
        cost = self.cost[service]
        if self._queueing:
            return self._ask_queue(bucket, cost, now_us)
        if self._bucketed:
            bucket.a, bucket.b, admitted = limiter.bucket_admit(
                bucket.a, bucket.b, now_us, rate, self.burst, cost
            )
        else:
            bucket.a, bucket.b, admitted = limiter.window_admit(
                bucket.a, bucket.b, now_us, rate, cost
            )
        if admitted:
            return ACCEPTED, 0
        if self._flag:
            self.tally.requests_flagged += 1
            return ACCEPTED, 0
        return THROTTLED, 0

    def _ask_queue(self, bucket: Bucket, cost: int, now_us: int) -> tuple[int, int]:
        deadline_us = self.vpg.limiter.queue_deadline_us
        if self._bucketed:
            bucket.a, bucket.b, wait_us = limiter.bucket_enqueue(
                bucket.a,
                bucket.b,
                now_us,
                self.rate,
                self.burst,
                cost,
                deadline_us,
                self._queue_max,
            )
        else:
            bucket.a, bucket.b, wait_us = limiter.window_enqueue(
                bucket.a, bucket.b, now_us, self.rate, cost, deadline_us, self._queue_max
            )
        if wait_us == 0:
            return ACCEPTED, 0
        if wait_us > 0:
            return WAITING, wait_us
        if wait_us == limiter.EXPIRES:
            return DECISION_EXPIRES, deadline_us
        return THROTTLED, 0

    def retry_after_us(self, service: int, now_us: int) -> int:
        """Return what the refusal just given asks the device to wait, in µs; 0: nothing said."""
        if self.assumptions.a03_above_rate == "reset" or service == IP or not self.rate:
            return 0
        bucket = self.buckets[service]
        if self._bucketed:
            wait_us = limiter.bucket_retry_after_us(bucket.a, self.rate, self.cost[service])
            # An attempt that expired in the queue hears of it later than the bucket's last change.
            wait_us = max(0, wait_us - (now_us - bucket.b))
        else:
            wait_us = limiter.window_retry_after_us(now_us)
        return limiter.retry_after_s(wait_us) * SECOND_US

    # ---- behind the limiter --------------------------------------------------------------------

    def refresh_path(self) -> None:
        """Recompute what an admitted attempt meets, after a change of the path."""
        upstream = self.vpg.upstream
        redirected_us = self.vpg.redirection_delay_us if self.redirecting else 0
        self.path_us = [upstream.delay_us + slow_us + redirected_us for slow_us in self.slow_us]
        broken = self.redirecting and self.redirection_down > 0
        self.path_down = [broken or count > 0 for count in self.down]
        self.plain_path = not (upstream.failure_ppm or any(self.path_us) or any(self.path_down))
        self.watching = self.mirror.on or self.inspecting

    def pass_on(
        self, line: SessionSide, origin: Origin, number: int, attempt: int
    ) -> tuple[bool, int]:
        """Send an admitted attempt upstream: (accepted, µs until the answer or the failure)."""
        service = origin.service
        if self.path_down[service]:
            return False, 0
        upstream = self.vpg.upstream
        delay_us = self.path_us[service]
        if delay_us > upstream.timeout_us:
            return False, upstream.timeout_us
        if upstream.failure_ppm:
            words = line.draws.words(line.index, origin.upstream_place, number, attempt)
            if below(words[0], MILLION) < upstream.failure_ppm:
                return False, delay_us
        return True, delay_us
