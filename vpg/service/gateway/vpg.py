"""One live VPG: what it decides about attaches and requests, and what it counts.

Owns: the order of checks (session, limiter, upstream), the line cap, changes of the VPG itself.
Does not own: the device's side, real upstreams, the wire. The model is that of the simulator's
reference plane, seen from the server. Times: ``now_us`` is ``SimUs`` of service time and never
steps back.

At one microsecond: what was due before it has ended; what is due at it ends when its own line comes
or time goes on.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final

import msgspec

from vpg.gateway import connections, lines
from vpg.gateway.limiter import retry_after_s
from vpg.rating.events import REQUEST, Data, UsageEvent, config_of
from vpg.rating.hourly import SERVICES
from vpg.rating.ledger import change_fee
from vpg.service.gateway import limits as rate
from vpg.service.gateway.answers import AttachAnswer, Copy, Snapshot, Verdict
from vpg.service.gateway.limits import LiveLimiter
from vpg.service.gateway.path import Mirror, Upstream
from vpg.service.gateway.seconds import Seconds
from vpg.service.gateway.sessions import SessionBook
from vpg.service.gateway.telling import Voice
from vpg.timebase import HOUR_US, SECOND_US, hour_start

if TYPE_CHECKING:
    from vpg.catalogue.model import Limits
    from vpg.rating.events import ServiceName
    from vpg.rating.ledger import BillingState
    from vpg.service.gateway.answers import Reason
    from vpg.service.gateway.lines import Line, Place, Session
    from vpg.service.keys import Keys
    from vpg.service.ports import Chance
    from vpg.service.values import LineStatus, Rules, VpgOrder

SERVICE_INDEX: Final = {name: index for index, name in enumerate(SERVICES)}
IP: Final = SERVICE_INDEX["ip"]
_KEPT: Final = AttachAnswer(decision="kept")
_CREATED: Final = AttachAnswer(decision="created")
_NO_VPG: Final = AttachAnswer(decision="rejected_for_good", reason="no_vpg")
_GONE: Final = Verdict(outcome="no_session", reason="no_vpg")
_NO_SESSION: Final = Verdict(outcome="no_session", reason="no_session")
_CAP_WAIT_US: Final = 60 * SECOND_US
"""What a refusal by the line cap asks to wait at most: nobody knows who detaches when."""


class LiveVpg:
    """A VPG while it exists."""

    def __init__(
        self,
        *,
        order: VpgOrder,
        limits: Limits,
        rules: Rules,
        keys: Keys,
        chance: Chance,
        outbox: list[UsageEvent],
        now_us: int,
    ) -> None:
        """Exist from ``now_us`` on, its buckets full."""
        self.id = order.id
        self.order = order
        self.exists = True
        self.lines: list[Line] = []
        self.assigned = 0
        """Lines that are not terminated."""
        self.voice = Voice(
            vpg_id=order.id,
            operator_id=order.operator_id,
            keys=keys,
            outbox=outbox,
            now_us=now_us,
        )
        self.seconds = Seconds(self.voice)
        self.book = SessionBook(rules, self.voice)
        self.limiter = LiveLimiter(order.limiter, rules, limits.rate_per_s, now_us)
        self.upstream = Upstream(order, chance)
        self.mirror = Mirror(order, chance, self.seconds)
        self.inspecting = order.state.inspection
        self._rules = rules
        self._limits = limits
        self._cap_policy = lines.POLICY_CODES[rules.above_line_cap]
        self._by_assignment = rules.line_cap == "assigned_sims"
        self._row_us = now_us
        """When the newest row began that did not begin at a clock hour."""
        self.second_end_us = now_us - now_us % SECOND_US + SECOND_US

    @property
    def state(self) -> BillingState:
        """What its bill depends on now."""
        return self.order.state

    # ---- time ----------------------------------------------------------------------------------

    def turn(self, now_us: int) -> None:
        """Move on to the UTC second of ``now_us``, telling what the one before has counted."""
        ended_us = self.second_end_us
        self.seconds.flush(ended_us - 1)
        self.seconds.begin(following=now_us < ended_us + SECOND_US)
        self.second_end_us = now_us - now_us % SECOND_US + SECOND_US
        if (ended_us - 1) // HOUR_US != now_us // HOUR_US:
            self.seconds.begin_row()

    def tick(self, now_us: int, place: Place) -> None:
        """Do what time alone does, up to ``now_us`` and ``place`` in its order of lines."""
        if self.exists:
            self.book.expire(now_us, place)
            if now_us >= self.second_end_us:
                self.turn(now_us)

    def _catch_up(self, now_us: int) -> None:
        heap = self.book.heap
        if heap and heap[0][0] < now_us:
            self.book.expire(now_us)
        if now_us >= self.second_end_us:
            self.turn(now_us)

    def stamp(self, now_us: int) -> int:
        """Return the instant at which what happens now is told."""
        return max(now_us, self.voice.floor_us)

    # ---- lines ---------------------------------------------------------------------------------

    def join(self, line: Line) -> None:
        """Let ``line`` be one of this VPG's."""
        line.vpg = self
        line.assigned_before = self.assigned
        self.assigned += line.status != "terminated"
        self.lines.append(line)

    def set_status(self, line: Line, status: LineStatus, now_us: int) -> None:
        """Change a line's status; one that may not be used loses its session."""
        self._catch_up(now_us)
        self.assigned += (status != "terminated") - (line.status != "terminated")
        line.status = status
        if status in {"suspended", "terminated", "inactive"}:
            self.cut(line, now_us)

    # ---- sessions ------------------------------------------------------------------------------

    def attach(self, line: Line, now_us: int) -> AttachAnswer:
        """Decide on an attach of ``line``."""
        if not self.exists:
            return _NO_VPG
        self._catch_up(now_us)
        session = line.session
        if session is not None and not session.ghost:
            session.last_us = now_us
            return _KEPT
        seconds = self.seconds
        seconds.attaches += 1
        status = line.status
        if status in {"suspended", "terminated"}:
            seconds.refused_other += 1
            reason: Reason = "suspended" if status == "suspended" else "terminated"
            return AttachAnswer(decision="rejected_for_good", reason=reason)
        if status == "inactive":
            seconds.refused_other += 1
            return AttachAnswer(decision="rejected", reason="inactive")
        wait_us = self.limiter.setup_wait_us(now_us)
        if wait_us:
            seconds.refused_other += 1
            return AttachAnswer(
                decision="rejected", reason="setup_rate", retry_after_us=_whole_seconds(wait_us)
            )
        return self._admit(line, session, now_us)

    def _admit(self, line: Line, ghost: Session | None, now_us: int) -> AttachAnswer:
        book, seconds = self.book, self.seconds
        if ghost is not None and self._rules.ghosts_replaced:
            book.end(ghost, now_us)
            book.create(line, now_us, flagged=False, attaches=seconds.attached())
            return _CREATED
        book.disown(line)
        most = lines.NO_CAP if self._limits.lines_max is None else self._limits.lines_max
        decision = (
            lines.admit_assigned(line.assigned_before, most, self._cap_policy)
            if self._by_assignment
            else lines.admit_session(book.count, most, self._cap_policy)
        )
        refused = decision == lines.REFUSED
        if refused or (decision == lines.CREATED_EVICT and not book.evict(now_us)):
            seconds.refused_cap += 1
            wait_us = min(max(book.next_due_us() - now_us, 1), _CAP_WAIT_US)
            return AttachAnswer(
                decision="refused", reason="line_cap", retry_after_us=_whole_seconds(wait_us)
            )
        flagged = decision == lines.CREATED_FLAGGED
        book.create(line, now_us, flagged=flagged, attaches=seconds.attached())
        return _CREATED

    def detach(self, line: Line, now_us: int) -> bool:
        """Let the device end its session; return whether there was one."""
        return self.cut(line, now_us)

    def cut(self, line: Line, now_us: int) -> bool:
        """Delete the session or ghost of ``line``; return whether there was one."""
        self._catch_up(now_us)
        if line.session is None:
            return False
        self.book.end(line.session, now_us)
        return True

    def lost(self, line: Line, now_us: int) -> bool:
        """Let the device of ``line`` be gone without a word; return whether it had a session."""
        self._catch_up(now_us)
        session = line.session
        if session is None or session.ghost:
            return False
        self.book.become_ghost(session, now_us)
        return True

    # ---- requests ------------------------------------------------------------------------------

    def request(self, line: Line, service: str, now_us: int, *, attach_first: bool) -> Verdict:
        """Decide on a request of ``line``."""
        if not self.exists:
            return _GONE
        heap = self.book.heap
        if heap and heap[0][0] <= now_us:
            self.book.expire(now_us)
            self.book.expire_own(line, now_us)
        if now_us >= self.second_end_us:
            self.turn(now_us)
        session = line.session
        if session is None or session.ghost_us >= 0:
            refused = self._attach_first(line, now_us) if attach_first else _NO_SESSION
            if refused is not None:
                self.seconds.no_session[SERVICE_INDEX[service]] += 1
                return refused
        else:
            session.last_us = now_us
        if self.inspecting:
            self._inspect(line, now_us)
        return self._ask(line, service, now_us)

    def _ask(self, line: Line, service: str, now_us: int) -> Verdict:
        """Decide on a request of a line that has a session."""
        index = SERVICE_INDEX[service]
        if index == IP:
            return self._admitted(line, index, now_us, flagged=False)
        self.seconds.attempts += 1
        if not self.limiter.rate:
            return self._admitted(line, index, now_us, flagged=False)
        decision, wait_us = self.limiter.ask(index, now_us)
        if decision <= rate.FLAGGED:
            return self._admitted(line, index, now_us, flagged=decision == rate.FLAGGED)
        if decision >= rate.WAITS:
            expires = decision == rate.EXPIRES
            return Verdict(
                outcome="waiting", wait_us=wait_us, line=line, service=service, expires=expires
            )
        return self._throttled(index, now_us, "queue_full" if decision == rate.FULL else "rate")

    def _attach_first(self, line: Line, now_us: int) -> Verdict | None:
        """Attach ``line`` because it has something to send; return what to say if refused."""
        answer = self.attach(line, now_us)
        if answer.decision in {"created", "kept"}:
            return None
        return Verdict(
            outcome="no_session", reason=answer.reason, retry_after_us=answer.retry_after_us
        )

    def queued(self, verdict: Verdict, now_us: int) -> Verdict:
        """Decide on a request that has waited in the limiter's queue for its ``wait_us``."""
        line = verdict.line
        if line is None or not self.exists:
            return _GONE
        self._catch_up(now_us)
        index = SERVICE_INDEX[verdict.service]
        if verdict.expires:
            return self._throttled(index, now_us, "queue_deadline")
        return self._admitted(line, index, now_us, flagged=False)

    def _admitted(self, line: Line, index: int, now_us: int, *, flagged: bool) -> Verdict:
        at_us = max(now_us, self.voice.floor_us)
        if self.upstream.plain:
            return Verdict(outcome="admitted", admitted_us=at_us, flagged=flagged)
        fails, path_us = self.upstream.go(line, index)
        return Verdict(
            outcome="admitted", admitted_us=at_us, flagged=flagged, path_us=path_us, fails=fails
        )

    def _throttled(self, index: int, now_us: int, why: Reason) -> Verdict:
        self.seconds.throttled[index] += 1
        reset = self._rules.above_rate == "reset"
        return Verdict(
            outcome="throttled",
            reason="reset" if reset else why,
            retry_after_us=self.limiter.retry_after_us(index, now_us),
        )

    def _inspect(self, line: Line, now_us: int) -> None:
        hour = now_us // HOUR_US
        if line.inspected_hour != hour:
            line.inspected_hour = hour
            self.seconds.inspected.append(line.entry.sim_id)

    def finish(
        self,
        line: Line,
        service: ServiceName,
        admitted_us: int,
        now_us: int,
        *,
        delivered: bool,
        bytes_up: int,
        bytes_down: int,
        delay_us: int | None,
        flagged: bool,
    ) -> UsageEvent:
        """Return the event that counts an admitted request, now that its outcome is known."""
        hour = line.inspected_hour
        inspected: tuple[str, ...] = ()
        if hour >= 0 and line.told_hour != hour and hour == admitted_us // HOUR_US:
            # Told a second time with the request, so that a crash cannot lose it.
            line.told_hour = hour
            inspected = (line.entry.sim_id,)
        voice = self.voice
        data = Data(
            operatorId=voice.operator_id,
            vpgId=voice.vpg_id,
            service=service,
            outcome="accepted" if delivered else "failed_upstream",
            bytesUp=bytes_up if delivered else 0,
            bytesDown=bytes_down if delivered else 0,
            flagged=1 if flagged else 0,
            delayUs=delay_us,
            inspected=inspected,
        )
        session = line.session
        most_bytes = self._rules.cut_after_bytes
        if most_bytes and delivered and session is not None and not session.ghost:
            session.moved_bytes += bytes_up + bytes_down
            if session.moved_bytes > most_bytes:
                self.cut(line, now_us)
        return voice.make(REQUEST, admitted_us, data, line.entry.sim_id)

    def mirrored(
        self,
        line: Line,
        now_us: int,
        *,
        request_bytes: int,
        answer_bytes: int | None,
        throttled: bool,
    ) -> list[Copy]:
        """Return the packets of one request to send to peers, counted; the others are lost."""
        if not (self.mirror.on and self.exists) or (throttled and not self._rules.mirror_throttled):
            return []
        if now_us >= self.second_end_us:
            self.turn(now_us)
        return self.mirror.copy(line, now_us, request_bytes, 0 if throttled else answer_bytes)

    # ---- changes of the VPG itself -------------------------------------------------------------

    def begin(self, now_us: int) -> None:
        """Tell that it exists, with its contract fee if that is owed."""
        fee = (f"contract_fee_{self.state.type.lower()}",) if self.order.contract_fee else ()
        self.voice.state(self.state, now_us, one_off=fee)

    def _row_is_fresh(self, at_us: int) -> bool:
        return at_us == max(self._row_us, hour_start(at_us))

    def _cut_row(self, now_us: int) -> int:
        """End the row; return the instant at which the next one begins."""
        self._catch_up(now_us)
        at_us = self.stamp(now_us)
        if not self._row_is_fresh(at_us):
            after_us = max(at_us, self.voice.last_us + 1)
            # Better a figure in the next row than a row of the wrong hour.
            if after_us % HOUR_US:
                at_us = after_us
            self.seconds.flush(at_us - 1)
        self.seconds.begin_row()
        return at_us

    def resize(self, vpg_type: str, size: str, limits: Limits, now_us: int) -> None:
        """Change type or size (A-13): with a fee and without sessions, or in place."""
        at_us = self._cut_row(now_us)
        anew = self._rules.recreate_with_fee
        fee = (change_fee(self.state.type, vpg_type),) if anew else ()
        self._set_state(dataclasses.replace(self.state, type=vpg_type, size=size))
        self.voice.configured(config_of(self.state, resized=True, one_off=fee), at_us)
        self.voice.floor_us = at_us
        self._row_us = at_us
        self.set_limits(limits, now_us)
        if anew:
            self.book.end_all(at_us)

    def set_limits(self, limits: Limits, now_us: int) -> None:
        """Take new limits in place."""
        self._limits = limits
        self.limiter.resize(limits.rate_per_s, now_us)

    def _set_state(self, state: BillingState) -> None:
        self.order = dataclasses.replace(self.order, state=state)

    def switch(self, feature: str, value: int, now_us: int) -> None:
        """Switch a Junction function, or set the number of fixed IP sets."""
        self._catch_up(now_us)
        more: dict[str, Any] = {feature: bool(value)}
        if feature == "fixed_ip":
            more = {"fixed_ip_sets": value}
        self._set_state(dataclasses.replace(self.state, **more))
        self.voice.state(self.state, now_us)
        self.mirror.on = self.state.mirroring
        self.inspecting = self.state.inspection
        self.upstream.redirecting = self.state.redirection
        self.upstream.refresh()

    def connect(self, kind: str, change: int, now_us: int) -> None:
        """Add or remove connections."""
        self._catch_up(now_us)
        more: dict[str, Any] = {kind: connections.changed(getattr(self.state, kind), change)}
        self._set_state(dataclasses.replace(self.state, **more))
        self.voice.state(self.state, now_us)

    def end(self, now_us: int) -> None:
        """End the VPG and every session: what it was until then falls before ``now_us``."""
        self._catch_up(now_us)
        voice = self.voice
        at_us = max(now_us, voice.last_us + 1, voice.floor_us + 1)
        before_us = at_us - 1
        self.seconds.flush(before_us)
        self.book.end_all(before_us)
        config = config_of(self.state, resized=False, one_off=())
        voice.configured(msgspec.structs.replace(config, exists=False), at_us)
        self.exists = False

    def snapshot(self, now_us: int) -> Snapshot:
        """Return its figures now."""
        seconds, limiter = self.seconds, self.limiter
        return Snapshot(
            vpg_id=self.id,
            exists=self.exists,
            type=self.state.type,
            size=self.state.size,
            sessions=self.book.count,
            ghosts=self.book.ghosts,
            lines=self.assigned,
            lines_max=self._limits.lines_max,
            rate_per_s=limiter.rate or None,
            burst_requests=limiter.burst if limiter.rate else None,
            tokens_micro=limiter.tokens_micro(now_us),
            attempts=seconds.attempts if now_us < self.second_end_us else 0,
            attempts_before=seconds.attempts_before,
            attaches=seconds.attaches if now_us < self.second_end_us else 0,
        )


def _whole_seconds(wait_us: int) -> int:
    return retry_after_s(wait_us) * SECOND_US
