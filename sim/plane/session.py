"""A line's sessions: what the device believes, what the VPG holds, and how the two part.

Owns: attaching, timers of a session, ghosts, noticing, and what events do to a line. Does not own:
messages (``line``) and what the VPG decides (``gateway``). Times: ``SimUs``.

What the device believes: IDLE (it has no session and knows), ATTACHING (its messages wait) or
ATTACHED. The VPG's side: a session, a ghost (a session whose device is off or out of radio), or
nothing. ATTACHED without a session is how ``no_session`` comes about: the device has not noticed
yet.
"""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Final

from sim.plane import alarm as orders
from sim.plane import gateway as gw
from sim.plane.alarm import Alarm
from sim.traffic.draws import Purpose, place
from sim.traffic.laws import exponential

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scenarios.model import LineStatus
    from sim.plane.alarm import Clock
    from sim.plane.fleet import FleetState
    from sim.plane.gateway import Gateway

IDLE: Final = 0
ATTACHING: Final = 1
ATTACHED: Final = 2

_ATTACH_PLACE = place(Purpose.ATTACH_RETRY)
_LENGTH_PLACE = place(Purpose.SESSION_LENGTH)


class SessionSide(abc.ABC):
    """The session half of a line."""

    __slots__ = (
        "assigned_before",
        "attach_began_us",
        "attach_no",
        "attach_tries",
        "attaches_itself",
        "clock",
        "draws",
        "evicted",
        "fleet",
        "gateway",
        "gave_up",
        "ghost",
        "index",
        "inspected_hour",
        "last_activity_us",
        "power_cuts",
        "radio_cuts",
        "rank",
        "sending",
        "session",
        "session_bytes",
        "session_seq",
        "state",
        "status",
    )

    def __init__(self, *, fleet: FleetState, index: int, rank: int, status: LineStatus) -> None:
        """Create line ``index`` of ``fleet``; ``rank`` orders all lines of the run."""
        self.fleet = fleet
        self.gateway: Gateway = fleet.gateway
        self.clock: Clock = fleet.clock
        self.draws = fleet.draws
        self.index = index
        self.rank = rank
        self.status: LineStatus = status
        self.assigned_before = 0
        self.state = IDLE
        self.session = False
        self.ghost = False
        self.session_seq = 0
        """Changes whenever a session begins, ends or becomes a ghost: outdated timers see it."""
        self.session_bytes = 0
        self.last_activity_us = 0
        self.attaches_itself = fleet.attaches_on_report
        """An ``on_event`` line waits for its event the first time; then it knows how."""
        self.attach_no = 0
        self.attach_tries = 0
        self.attach_began_us = 0
        self.evicted = False
        """The last session went to make room for another line's (A-02 evict_longest_idle)."""
        self.gave_up = False
        self.power_cuts = 0
        """Power cuts in force; 0: the device is on."""
        self.radio_cuts = 0
        """Outages in force; 0: the radio works."""
        self.inspected_hour = -1
        self.sending = False
        self.refresh_sending()

    # ---- what the message half does ------------------------------------------------------------

    @abc.abstractmethod
    def submit_parked(self) -> None:
        """Try every message that waited for a session."""

    @abc.abstractmethod
    def release(self) -> None:
        """Submit held messages while the line is free."""

    @abc.abstractmethod
    def cancel_all(self) -> None:
        """Lose every open message."""

    # ---- attaching -----------------------------------------------------------------------------

    def refresh_sending(self) -> None:
        """Recompute whether the device creates messages."""
        alive = self.status not in {"suspended", "terminated"}
        self.sending = alive and not self.power_cuts and self.gateway.exists

    def _timer(self, kind: int) -> int:
        return (self.rank << orders.LINE_SHIFT) | kind

    def start_attach(self, delay_us: int = 0) -> None:
        """Begin a new attach procedure, its first try after ``delay_us``."""
        self.attach_no += 1
        self.attach_tries = 0
        self.attach_began_us = self.clock.now + delay_us
        self.gave_up = False
        self.state = ATTACHING
        if delay_us:
            at_us = self.clock.now + delay_us
            Alarm(self.clock, self._attach_due).set(
                at_us, self._timer(orders.ATTACH), self.attach_no
            )
        else:
            self._try_attach()

    def _attach_due(self, alarm: Alarm) -> None:
        if alarm.note == self.attach_no and self.state == ATTACHING:
            self._try_attach()
            self.release()

    def _try_attach(self) -> None:
        if self.radio_cuts or not self.gateway.exists:
            return
        decision = self.gateway.attach(self, self.clock.now)
        if decision == gw.CREATED:
            self._attached()
        else:
            self._refused(for_good=decision == gw.REJECTED_FOR_GOOD)

    def _refused(self, *, for_good: bool) -> None:
        backoff = self.fleet.attach_backoff
        self.attach_tries += 1
        delay_us = -1
        if not for_good:
            delay_us = backoff.delay_us(self.attach_tries, 0, self._attach_word)
        at_us = self.clock.now + delay_us
        late = (
            backoff.deadline_us is not None and at_us > self.attach_began_us + backoff.deadline_us
        )
        if delay_us < 0 or late:
            self._give_up()
            return
        Alarm(self.clock, self._attach_due).set(at_us, self._timer(orders.ATTACH), self.attach_no)

    def _attach_word(self, nth: int) -> int:
        return self.draws.words(self.index, _ATTACH_PLACE, self.attach_no, nth)[0]

    def _give_up(self) -> None:
        self.state = IDLE
        self.gave_up = True
        self.submit_parked()

    def _attached(self) -> None:
        now_us = self.clock.now
        self.state = ATTACHED
        self.session = True
        self.attaches_itself = True
        self.evicted = False
        self.session_seq += 1
        self.session_bytes = 0
        self.last_activity_us = now_us
        for at_us, action in self._session_ends(now_us):
            Alarm(self.clock, action).set(at_us, self._timer(orders.SESSION_END), self.session_seq)
        self.submit_parked()

    # ---- losing sessions -----------------------------------------------------------------------

    def lose_session(self) -> None:
        """Let the platform delete the session (or ghost); the device does not know."""
        if self.ghost:
            self.ghost = False
            self.gateway.forget_session(self.clock.now, ghost=True)
            return
        if not self.session:
            return
        self.session = False
        self.session_seq += 1
        self.gateway.forget_session(self.clock.now, ghost=False)
        self._notice_later()

    def _notice_later(self) -> None:
        notice_us = self.fleet.fleet.session.notice_us
        if notice_us is None or self.state != ATTACHED:
            return
        at_us = self.clock.now + notice_us
        Alarm(self.clock, self._notice_due).set(
            at_us, self._timer(orders.NOTICE), (self.session_seq, self.attach_no)
        )

    def _notice_due(self, alarm: Alarm) -> None:
        still_fooled = self.state == ATTACHED and (not self.session or self.radio_cuts)
        if still_fooled and alarm.note == (self.session_seq, self.attach_no):
            self.notice()
            self.release()

    def notice(self) -> None:
        """Let the device learn that its session is of no use, and begin to attach."""
        self.state = IDLE
        if self.evicted:
            # As good as refused: or lines that notice at once would evict each other for ever.
            self.attach_no += 1
            self.attach_tries = 0
            self.attach_began_us = self.clock.now
            self.state = ATTACHING
            self._refused(for_good=False)
        else:
            self.start_attach()

    def end_session(self) -> None:
        """Session ends with the device's knowledge (timeout, planned length)."""
        if not self.session:
            return
        self.session = False
        self.session_seq += 1
        self.gateway.forget_session(self.clock.now, ghost=False)
        if self.state == ATTACHED:
            self.state = IDLE

    def become_ghost(self) -> None:
        """Let the device go without detaching; the VPG keeps the session until its timeout."""
        if not self.session:
            return
        self.session = False
        self.ghost = True
        self.session_seq += 1
        self.gateway.note_ghost()
        if self.gateway.idle_timeout_us:
            at_us = max(self.last_activity_us + self.gateway.idle_timeout_us, self.clock.now)
            Alarm(self.clock, self._ghost_ends).set(
                at_us, self._timer(orders.SESSION_END), self.session_seq
            )

    def _ghost_ends(self, alarm: Alarm) -> None:
        if self.ghost and alarm.note == self.session_seq:
            self.ghost = False
            self.gateway.forget_session(self.clock.now, ghost=True)

    def disown_ghost(self) -> None:
        """Leave the ghost to its timeout although the line attaches anew (A-17 not_replaced)."""
        self.ghost = False
        self.gateway.orphans += 1
        if self.gateway.idle_timeout_us:
            at_us = max(self.last_activity_us + self.gateway.idle_timeout_us, self.clock.now)
            Alarm(self.clock, self._orphan_ends).set(
                at_us, self._timer(orders.SESSION_END), self.gateway.orphan_epoch
            )

    def _orphan_ends(self, alarm: Alarm) -> None:
        gateway = self.gateway
        if gateway.exists and alarm.note == gateway.orphan_epoch:
            gateway.orphans -= 1
            gateway.forget_session(self.clock.now, ghost=True)

    # ---- how a session may end by itself -------------------------------------------------------

    def _session_ends(self, now_us: int) -> Iterator[tuple[int, Callable[[Alarm], None]]]:
        """Return when and how a session that begins now may end."""
        session = self.fleet.fleet.session
        if session.duration == "fixed":
            yield now_us + session.duration_us, self._length_over
        elif session.duration == "exponential":
            words = self.draws.words(self.index, _LENGTH_PLACE, self.session_seq)
            length_us = exponential(words[0], words[1], session.duration_us)
            yield now_us + max(1, length_us), self._length_over
        elif self.gateway.idle_timeout_us:
            yield now_us + self.gateway.idle_timeout_us, self._idle_check
        if session.reattach_every_us is not None:
            yield now_us + session.reattach_every_us, self._reattach
        if self.fleet.cut_after_us is not None:
            yield now_us + self.fleet.cut_after_us, self._too_long

    def _has_still(self, alarm: Alarm) -> bool:
        """Return whether the session that the timer was set for is still there."""
        return self.session and self.session_seq == alarm.note

    def _idle_check(self, alarm: Alarm) -> None:
        if not self._has_still(alarm):
            return
        due_us = self.last_activity_us + self.gateway.idle_timeout_us
        if self.clock.now >= due_us:
            self.end_session()
        else:
            # There was traffic since: look again when its timeout would be over.
            alarm.set(due_us, self._timer(orders.SESSION_END), alarm.note)

    def _length_over(self, alarm: Alarm) -> None:
        if self._has_still(alarm):
            self.end_session()

    def _reattach(self, alarm: Alarm) -> None:
        if self._has_still(alarm):
            self.end_session()
            self.start_attach()
            self.release()

    def _too_long(self, alarm: Alarm) -> None:
        if self._has_still(alarm):
            self.lose_session()

    # ---- what events do to a line --------------------------------------------------------------

    def radio_lost(self, *, ghost: bool) -> None:
        """Lose the carrier: the session is cut or stays as a ghost; the device has to notice."""
        self.radio_cuts += 1
        if not ghost:
            self.lose_session()
        elif self.session:
            self.become_ghost()
            self._notice_later()

    def radio_back(self, ramp_us: int) -> None:
        """Regain the carrier: whoever had or wants a session attaches anew ``ramp_us`` later."""
        self.radio_cuts -= 1
        wants = self.state != IDLE or self.fleet.fleet.session.attach == "at_start"
        if self.sending and wants and not self.radio_cuts:
            self.start_attach(ramp_us)
            self.release()

    def power_lost(self) -> None:
        """Switch the device off: nothing pending survives, its session becomes a ghost."""
        self.power_cuts += 1
        self.become_ghost()
        self.silence()

    def power_back(self, ramp_us: int) -> None:
        """Switch the device on ``ramp_us`` from now; as devices do, it attaches."""
        if ramp_us:
            at_us = self.clock.now + ramp_us
            Alarm(self.clock, self._power_on).set(at_us, self._timer(orders.ATTACH))
        else:
            self._power_on(None)

    def _power_on(self, _alarm: Alarm | None) -> None:
        self.power_cuts -= 1
        self.refresh_sending()
        if self.sending and self.attaches_itself:
            self.start_attach()
            self.release()

    def change_status(self, status: LineStatus) -> None:
        """Change the line's status; one that may not be used loses its session and its messages."""
        before, self.status = self.status, status
        if status in {"suspended", "terminated", "inactive"}:
            had_session = self.session
            self.lose_session()
            if status != "inactive":
                self.silence()
            if had_session:
                # The modem tries to come back, and is refused for now or for good.
                self.start_attach()
                self.release()
            return
        self.refresh_sending()
        at_start = self.fleet.fleet.session.attach == "at_start"
        if before != status and self.sending and at_start and not self.session:
            self.start_attach()
            self.release()

    def silence(self) -> None:
        """Make the line silent (off, or not to be used): nothing pending, nothing believed."""
        self.cancel_all()
        self.state = IDLE
        self.attach_no += 1
        self.refresh_sending()
