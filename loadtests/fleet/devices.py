"""The simulator's devices, whose VPG is a live service.

Owns: where a device asks the service instead of the simulated VPG, and which of its books go on by
themselves. Does not own: what a device believes, when it sends, attaches and tries again: that is
``sim.plane``, unchanged. Times: ``SimUs`` of service time.

Told are only what a device or the platform does. What the service finds by itself (idle timeouts,
ends of ghosts, lengths and bytes of A-28, sessions cut by a change) is never told: the device's own
books follow the same rule at the same time.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from loadtests.fleet.link import LineName, Told
from sim.plane import gateway as gw
from sim.plane.fleet import FleetState
from sim.plane.gateway import Gateway
from sim.plane.line import Line
from sim.plane.session import ATTACHED, ATTACHING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtests.fleet.link import Decision, Link
    from loadtests.fleet.wire import Lane
    from scenarios.model import Assumptions, LineStatus, Vpg
    from sim.plane.alarm import Alarm
    from sim.plane.message import Message, Origin
    from sim.plane.session import SessionSide
    from vpg.catalogue.model import Limits

_NEVER_US = 1 << 62
_OUTCOMES = {
    "accepted": gw.ACCEPTED,
    "failed_upstream": gw.ACCEPTED,  # admitted; ``pass_on`` says that it failed
    "throttled": gw.THROTTLED,
    "no_session": gw.NO_SESSION,
}


class LiveGateway(Gateway):
    """What the devices take for their VPG: keeps their own books, decides nothing."""

    def __init__(
        self, *, vpg: Vpg, limits: Limits, assumptions: Assumptions, now_us: int, link: Link
    ) -> None:
        """Stand for ``vpg`` behind ``link``."""
        super().__init__(vpg=vpg, limits=limits, assumptions=assumptions, now_us=now_us)
        self.link = link
        self.second_end_us = _NEVER_US
        self.answer = Told(outcome="accepted")
        """The answer that a device is just taking in."""
        self.found = False
        """Whether the service finds by itself what is happening."""
        self.ended_us = _NEVER_US

    @contextmanager
    def found_by_service(self) -> Iterator[None]:
        """Let sessions end without telling."""
        before, self.found = self.found, True
        yield
        self.found = before

    def refresh_path(self) -> None:
        """Know nothing of what lies behind the VPG: every request is asked for."""
        super().refresh_path()
        self.plain_path = False

    def pass_on(
        self, line: SessionSide, origin: Origin, number: int, attempt: int
    ) -> tuple[bool, int]:
        """Return what the answer said; it has taken its time already."""
        del line, origin, number, attempt
        return self.answer.outcome == "accepted", 0

    def retry_after_us(self, service: int, now_us: int) -> int:
        """Return what the answer asked the device to wait."""
        del service, now_us
        return self.answer.asked_us

    def cut_all(self, now_us: int) -> None:
        """Let every session go, as the service does by itself."""
        with self.found_by_service():
            super().cut_all(now_us)

    def resize(self, limits: Limits, now_us: int) -> None:
        """Do nothing: limits are the service's."""

    def forget_session(self, now_us: int, *, ghost: bool) -> None:
        """Do nothing: sessions are counted by the service."""

    def note_ghost(self) -> None:
        """Do nothing, likewise."""

    def turn(self, now_us: int) -> None:
        """Do nothing: seconds are the service's."""

    def take_row(self, now_us: int) -> tuple[dict[str, int], dict[int, int]]:
        """Close the devices' row, and tell what became of messages in it."""
        row, delays = super().take_row(now_us)
        self.link.tell_messages(self.vpg.id, row, min(now_us, self.ended_us) - 1)
        return row, delays


class LiveFleet(FleetState):
    """A fleet of live lines."""

    def _new_line(self, index: int, rank: int, status: LineStatus) -> Line:
        return LiveLine(fleet=self, index=index, rank=rank, status=status)


class LiveLine(Line):
    """A device whose VPG is the service."""

    __slots__ = ("lanes", "name")
    gateway: LiveGateway

    def __init__(self, *, fleet: FleetState, index: int, rank: int, status: LineStatus) -> None:
        """Be line ``index`` of ``fleet``, as the service knows it."""
        super().__init__(fleet=fleet, index=index, rank=rank, status=status)
        self.name: LineName = self.gateway.link.name_of(fleet.fleet.name, index)
        self.lanes: dict[str, Lane] = {}

    # ---- attaching -----------------------------------------------------------------------------

    def _try_attach(self) -> None:
        if not self.radio_cuts and self.gateway.exists:
            self.gateway.link.attach(self, self.attach_no)

    def attach_told(self, attach_no: int, decision: Decision) -> None:
        """Take in what the service said to an attach."""
        self.gateway.tally.attach_attempts += 1
        has_session = decision in {"created", "kept"}
        if has_session or decision == "refused":
            self.ghost = False
        if attach_no != self.attach_no or self.state != ATTACHING:
            if has_session and (self.power_cuts or self.radio_cuts):
                # The answer reached nobody: what it created is a ghost.
                self.gateway.link.detach(self, "lost")
            return
        if has_session:
            self._attached()
        else:
            self._refused(for_good=decision == "rejected_for_good")
        self.release()

    # ---- requests ------------------------------------------------------------------------------

    def _try(self, message: Message) -> None:
        message.tries += 1
        if self.state == ATTACHED and self.session and not self.radio_cuts:
            self.last_activity_us = self.clock.now
        self.gateway.link.request(self, message)

    def told(self, message: Message, attempt: int, told: Told) -> None:
        """Take in what became of one try."""
        if not message.open or message.tries != attempt:
            return
        self.gateway.answer = told
        if told.outcome == "not_taken":
            self._fail(message, told.asked_us, 0)
        else:
            self._decide(message, _OUTCOMES[told.outcome])
        self.release()

    def _fail(self, message: Message, asked_us: int, path_us: int) -> None:
        silent_us = self.gateway.answer.silent_us
        if silent_us:
            # Silence means throttled: the wait for an answer is part of the wait for the retry.
            delay_us = self.fleet.backoff.delay_us(
                message.tries, asked_us, partial(self._word, message)
            )
            path_us -= min(silent_us, max(0, delay_us))
        super()._fail(message, asked_us, path_us)

    def _mirror(self, message: Message, answer_bytes: int | None, *, throttled: bool) -> None:
        """Do nothing: the service copies by itself."""

    # ---- what is told --------------------------------------------------------------------------

    def lose_session(self) -> None:
        """Let the platform delete the session."""
        if not self.gateway.found and (self.session or self.ghost):
            self.gateway.link.detach(self, "cut")
        super().lose_session()

    def end_session(self) -> None:
        """Let the session end with the device's knowledge."""
        if self.session and not self.gateway.found:
            self.gateway.link.detach(self)
        super().end_session()

    def become_ghost(self) -> None:
        """Let the device go without detaching."""
        if self.session:
            self.gateway.link.detach(self, "lost")
        super().become_ghost()

    def change_status(self, status: LineStatus) -> None:
        """Let the administrator change the line."""
        self.gateway.link.change_status(self, status)
        with self.gateway.found_by_service():
            super().change_status(status)

    # ---- what the service finds by itself ------------------------------------------------------

    def _idle_check(self, alarm: Alarm) -> None:
        with self.gateway.found_by_service():
            super()._idle_check(alarm)

    def _too_long(self, alarm: Alarm) -> None:
        with self.gateway.found_by_service():
            super()._too_long(alarm)

    def _count_bytes(self, size_bytes: int) -> None:
        with self.gateway.found_by_service():
            super()._count_bytes(size_bytes)
