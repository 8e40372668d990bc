"""The sessions of one VPG: created, ended, become ghosts, run out, pushed out.

Owns: who holds a session and when it ends by itself (idle timeout A-16, length A-28). Does not own:
whether one more may be created (``vpg``). Times: ``SimUs``.

What may end is in a heap by the instant at which it would if nothing more came. Traffic does not
touch the heap: whatever comes up is looked at again then. A session that ends by itself ends at its
own instant, however late that is noticed; every call about the VPG notices first.
"""

from __future__ import annotations

import heapq
import itertools
from typing import TYPE_CHECKING, Final

from vpg.service.gateway.lines import NOBODY, Session

if TYPE_CHECKING:
    from vpg.service.gateway.lines import Line, Place
    from vpg.service.gateway.telling import Voice
    from vpg.service.values import Rules

NEVER_US: Final = 1 << 62
_SPARE: Final = 64
Entry = tuple[int, "Place", int, Session]
"""(instant, place of the line, number that makes it unique, session)."""


class SessionBook:
    """Every session of one VPG."""

    __slots__ = (
        "_cut_us",
        "_evicts",
        "_idle_us",
        "_numbers",
        "_oldest",
        "_voice",
        "count",
        "ghosts",
        "heap",
        "holders",
    )

    def __init__(self, rules: Rules, voice: Voice) -> None:
        """Begin with none."""
        self._voice = voice
        self._idle_us = rules.idle_timeout_us
        self._cut_us = rules.cut_after_us
        self._evicts = rules.above_line_cap == "evict_longest_idle"
        self._numbers = itertools.count()
        self.count = 0
        """Sessions, ghosts included."""
        self.ghosts = 0
        self.holders: dict[Session, None] = {}
        self.heap: list[Entry] = []
        """What may end, each at its instant or later."""
        self._oldest: list[Entry] = []
        """By last activity, each at its instant or later; kept only where sessions are evicted."""

    # ---- beginning -----------------------------------------------------------------------------

    def create(self, line: Line, now_us: int, *, flagged: bool, attaches: int) -> None:
        """Give ``line`` a session."""
        self._begin(Session(line, now_us, now_us))
        self._voice.created(
            line.entry.sim_id,
            now_us,
            sessions=self.count,
            ghosts=self.ghosts,
            flagged=int(flagged),
            attaches=attaches,
        )

    def restore(self, line: Line, *, created_us: int, now_us: int, ghost: bool) -> None:
        """Know a session of an earlier life of the gateway, active until now as far as known."""
        old = line.session
        if old is not None and old.ghost:
            self.disown(line)
        session = Session(line, created_us, now_us)
        if ghost:
            session.ghost_us = now_us
            self.ghosts += 1
        self._begin(session)

    def _begin(self, session: Session) -> None:
        session.line.session = session
        self.count += 1
        self.holders[session] = None
        self._watch(session)
        if self._evicts:
            self._push(self._oldest, session.last_us, session)

    # ---- ending --------------------------------------------------------------------------------

    def end(self, session: Session, at_us: int) -> None:
        """Delete a session or ghost at ``at_us``."""
        session.alive = False
        if not session.orphan:
            session.line.session = None
        del self.holders[session]
        self.count -= 1
        self.ghosts -= session.ghost
        self._voice.deleted(
            session.line.entry.sim_id,
            at_us,
            sessions=self.count,
            ghosts=self.ghosts,
            was_ghost=session.ghost,
        )

    def end_all(self, at_us: int) -> None:
        """Delete every session."""
        for session in tuple(self.holders):
            self.end(session, at_us)

    def become_ghost(self, session: Session, now_us: int) -> None:
        """Let the device of a session be gone; the session stays until its idle timeout."""
        session.ghost_us = now_us
        self.ghosts += 1
        self._voice.became_ghost(
            session.line.entry.sim_id, now_us, sessions=self.count, ghosts=self.ghosts
        )
        self._watch(session)

    @staticmethod
    def disown(line: Line) -> None:
        """Leave the ghost of ``line`` to its timeout although the line attaches anew (A-17)."""
        if line.session is not None:
            line.session.orphan = True
            line.session = None

    def evict(self, now_us: int) -> bool:
        """Delete the session longest idle, if there is any that a line holds."""
        oldest = self._oldest
        while oldest:
            last_us, _, _, session = oldest[0]
            if session.alive and not session.orphan and session.last_us == last_us:
                self.end(session, now_us)
                return True
            heapq.heappop(oldest)
            if session.alive and not session.orphan:
                self._push(oldest, session.last_us, session)
        return False

    # ---- ending by themselves ------------------------------------------------------------------

    def due_us(self, session: Session) -> int:
        """Return when a session ends by itself if nothing more comes; else ``NEVER_US``."""
        idle_us = session.last_us + self._idle_us if self._idle_us else NEVER_US
        if session.ghost:
            return max(idle_us, session.ghost_us)
        if session.line.entry.keeps_alive:
            idle_us = NEVER_US
        return idle_us if self._cut_us is None else min(idle_us, session.created_us + self._cut_us)

    def expire(self, now_us: int, place: Place = NOBODY) -> None:
        """End what was due before ``now_us``, or at it for lines up to ``place``."""
        heap = self.heap
        while heap and heap[0][:2] <= (now_us, place):
            entry_us, _, _, session = heapq.heappop(heap)
            if not session.alive or session.due_entry_us != entry_us:
                continue
            session.due_entry_us = -1
            due_us = self.due_us(session)
            if due_us <= entry_us:
                self.end(session, due_us)
            else:
                self._watch(session)

    def expire_own(self, line: Line, now_us: int) -> None:
        """End the session of ``line`` if it is due: at its very instant a request is too late."""
        session = line.session
        if session is not None:
            due_us = self.due_us(session)
            if due_us <= now_us:
                self.end(session, due_us)

    def next_due_us(self) -> int:
        """Return the first instant at which a session may end by itself; else ``NEVER_US``."""
        return self.heap[0][0] if self.heap else NEVER_US

    def _watch(self, session: Session) -> None:
        due_us = self.due_us(session)
        if due_us < NEVER_US and (session.due_entry_us < 0 or due_us < session.due_entry_us):
            session.due_entry_us = due_us
            self._push(self.heap, due_us, session)

    def _push(self, heap: list[Entry], at_us: int, session: Session) -> None:
        if len(heap) > 2 * self.count + _SPARE:
            # A line that comes and goes must not fill the heap with sessions that are gone.
            heap[:] = [entry for entry in heap if entry[3].alive]
            heapq.heapify(heap)
        heapq.heappush(heap, (at_us, session.line.place, next(self._numbers), session))
