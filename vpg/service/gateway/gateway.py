"""Every live VPG and line of one service process: sans-io, synchronous, told the time.

Owns: who is known (VPGs, lines), changes asked for by administrators and whether they make sense,
and the order of facts in ``outbox``. Does not own: what one VPG decides (``vpg``), sockets, the
store. Times: every ``now_us`` is ``SimUs`` of service time, from call to call never smaller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpg.catalogue.items import vpg_kinds
from vpg.errors import InputError, Problem, ensure
from vpg.gateway import connections
from vpg.service.gateway.answers import AttachAnswer, Verdict
from vpg.service.gateway.lines import NOBODY, Line
from vpg.service.gateway.vpg import LiveVpg
from vpg.service.keys import Keys

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Protocol

    from vpg.catalogue.model import Catalogue, Limits
    from vpg.rating.events import ServiceName, UsageEvent
    from vpg.service.gateway.answers import Copy, Snapshot
    from vpg.service.gateway.lines import Place
    from vpg.service.ports import Chance
    from vpg.service.values import LineEntry, LineStatus, Rules, VpgOrder

    class RestoredSession(Protocol):
        """A session that an earlier life of the gateway had."""

        @property
        def sim_id(self) -> str:
            """Whose."""

        @property
        def created_us(self) -> int:
            """Since when."""

        @property
        def ghost(self) -> bool:
            """Whether its device was gone."""


FEATURES: Final = {
    "mirroring": "junction",
    "redirection": "junction",
    "inspection": "junction",
    "fixed_ip": "fixed_ip",
}
"""What can be switched → the catalogue's feature that the type must have."""
FIXED_IP_SETS_MAX: Final = 10_000
CONNECTIONS_MAX: Final = 10_000
_LAST: Final[Place] = ("\U0010ffff", 1 << 62)
"""The place behind every line's."""
_FAR_US: Final = 253_402_300_800_000_000
"""The year 10000."""


class Gateway:
    """The gateway half of one service process."""

    def __init__(
        self,
        *,
        orders: Iterable[VpgOrder],
        lines: Iterable[LineEntry],
        rules: Rules,
        catalogue: Catalogue,
        now_us: int,
        life: int,
        chance: Chance,
        restored: Iterable[RestoredSession] = (),
    ) -> None:
        """Know VPGs that exist already (their configuration is told already), lines, sessions.

        VPGs that begin to exist now are for ``create_vpg``. ``life`` counts the gateway's starts:
        no two lives give an event the same id.
        """
        self.outbox: list[UsageEvent] = []
        """Facts in order, each to be counted; whoever sends them takes them out from the front."""
        self._rules = rules
        self._catalogue = catalogue
        self._chance = chance
        self._keys = Keys(life)
        self._vpgs: dict[str, LiveVpg] = {}
        self._lines: dict[str, Line] = {}
        self._by_imsi: dict[str, Line] = {}
        self._by_address: dict[str, Line] = {}
        self._group_sizes: dict[str, int] = {}
        self._limit_changes = catalogue.limit_changes(now_us, _FAR_US)
        self._next_change = 0
        for order in orders:
            self._put(order, now_us)
        self.add_lines(lines)
        for session in restored:
            line = self._lines.get(session.sim_id)
            if line is not None and line.vpg is not None:
                line.vpg.book.restore(
                    line, created_us=session.created_us, now_us=now_us, ghost=session.ghost
                )

    # ---- what there is -------------------------------------------------------------------------

    def line_at(self, address: str) -> Line | None:
        """Return the line with this source address."""
        return self._by_address.get(address)

    def line_named(self, name: str) -> Line | None:
        """Return the line with this ``simId`` or ``imsi``."""
        return self._lines.get(name) or self._by_imsi.get(name)

    @property
    def vpgs(self) -> tuple[LiveVpg, ...]:
        """Every VPG that exists."""
        return tuple(vpg for vpg in self._vpgs.values() if vpg.exists)

    @property
    def lines(self) -> Iterable[Line]:
        """Every line, in the order in which they were added."""
        return self._lines.values()

    def vpg(self, vpg_id: str) -> LiveVpg:
        """Return a VPG that exists; raises ``InputError``."""
        found = self._vpgs.get(vpg_id)
        if found is None or not found.exists:
            raise InputError([Problem(code="VPG1820", path="vpgId", values={"vpg": vpg_id})])
        return found

    def add_lines(self, entries: Iterable[LineEntry]) -> list[Line]:
        """Know more lines; raises ``InputError`` for names that are taken, and adds none then."""
        wanted = list(entries)
        problems = self._taken(wanted)
        if problems:
            raise InputError(problems)
        added = []
        for entry in wanted:
            number = self._group_sizes.get(entry.group_id, 0)
            self._group_sizes[entry.group_id] = number + 1
            line = Line(entry, (entry.group_id, number))
            self._lines[entry.sim_id] = line
            self._by_imsi[entry.imsi] = line
            if entry.address:
                self._by_address[entry.address] = line
            vpg = self._vpgs.get(entry.vpg_id)
            if vpg is not None and vpg.exists:
                vpg.join(line)
            added.append(line)
        return added

    def _taken(self, entries: list[LineEntry]) -> list[Problem]:
        problems = []
        seen: set[str] = set()
        for place, entry in enumerate(entries):
            names = [entry.sim_id, entry.imsi, *filter(None, [entry.address])]
            for name in names:
                if name in seen or self.line_named(name) or self.line_at(name):
                    values = {"name": name}
                    problems.append(Problem(code="VPG1821", path=f"lines[{place}]", values=values))
            seen.update(names)
        return problems

    # ---- sessions and requests -----------------------------------------------------------------

    def attach(self, line: Line, now_us: int) -> AttachAnswer:
        """Decide on an attach of ``line``."""
        if line.vpg is None:
            return AttachAnswer(decision="rejected_for_good", reason="no_vpg")
        self._follow_catalogue(now_us)
        return line.vpg.attach(line, now_us)

    def detach(self, line: Line, now_us: int) -> bool:
        """Let the device end its session; return whether there was one."""
        return line.vpg is not None and line.vpg.detach(line, now_us)

    def lost(self, line: Line, now_us: int) -> bool:
        """Let the device be gone without a word: a ghost stays. Return whether it had a session."""
        return line.vpg is not None and line.vpg.lost(line, now_us)

    def cut(self, line: Line, now_us: int) -> bool:
        """Let the platform delete the session or ghost; return whether there was one."""
        return line.vpg is not None and line.vpg.cut(line, now_us)

    def set_status(self, line: Line, status: LineStatus, now_us: int) -> None:
        """Change a line's status; one that may not be used any more loses its session."""
        if line.vpg is None:
            line.status = status
        else:
            line.vpg.set_status(line, status, now_us)

    def request(
        self, line: Line, service: str, now_us: int, *, attach_first: bool = False
    ) -> Verdict:
        """Decide on a request of ``line``: session, then limiter, then the emulated upstream.

        ``attach_first``: a line without a session attaches first, as devices do.
        """
        vpg = line.vpg
        if vpg is None:
            return Verdict(outcome="no_session", reason="no_vpg")
        if self._next_change < len(self._limit_changes):
            self._follow_catalogue(now_us)
        return vpg.request(line, service, now_us, attach_first=attach_first)

    def queued(self, verdict: Verdict, now_us: int) -> Verdict:
        """Decide on a request whose verdict was ``waiting``, once its ``wait_us`` is over."""
        line = verdict.line
        ensure(line is not None and line.vpg is not None, "only what waits is asked about again")
        if line is None or line.vpg is None:
            return verdict
        return line.vpg.queued(verdict, now_us)

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
        delay_us: int | None = None,
        flagged: bool = False,
    ) -> UsageEvent:
        """Return the event that counts an admitted request; answer only when it is counted."""
        vpg = line.vpg
        if vpg is None:
            msg = "only requests of a VPG are admitted"
            raise LookupError(msg)
        return vpg.finish(
            line,
            service,
            admitted_us,
            now_us,
            delivered=delivered,
            bytes_up=bytes_up,
            bytes_down=bytes_down,
            delay_us=delay_us,
            flagged=flagged,
        )

    def mirrored(
        self,
        line: Line,
        now_us: int,
        *,
        request_bytes: int,
        answer_bytes: int | None,
        throttled: bool = False,
    ) -> list[Copy]:
        """Return the packets to send to mirroring peers for one request, counted.

        ``answer_bytes``: None where nothing was answered (failed upstream).
        """
        if line.vpg is None:
            return []
        return line.vpg.mirrored(
            line,
            now_us,
            request_bytes=request_bytes,
            answer_bytes=answer_bytes,
            throttled=throttled,
        )

    def tick(self, now_us: int, place: Place = _LAST) -> None:
        """Do what time alone does until ``now_us``: ends of sessions and of seconds, new limits.

        ``place``: of what is due at this very microsecond, only lines up to this one (simulated
        time has an order within it).
        """
        self._follow_catalogue(now_us)
        for vpg in self._vpgs.values():
            vpg.tick(now_us, place)

    def flush(self, now_us: int) -> None:
        """Tell what the running seconds have counted so far: the gateway's life ends."""
        self.tick(now_us, NOBODY)
        for vpg in self.vpgs:
            vpg.seconds.flush(now_us)

    def _follow_catalogue(self, now_us: int) -> None:
        """Give VPGs the limits of the day; sessions stay."""
        changes = self._limit_changes
        while self._next_change < len(changes) and changes[self._next_change] <= now_us:
            at_us = changes[self._next_change]
            self._next_change += 1
            for vpg in self.vpgs:
                limits = self._limits_of(vpg.state.type, vpg.state.size, at_us)
                if limits is not None:
                    vpg.set_limits(limits, at_us)

    def _limits_of(self, vpg_type: str, size: str, at_us: int) -> Limits | None:
        try:
            return self._catalogue.limits(vpg_type, size, at_us)
        except InputError:
            # A table that has ended: a VPG that exists keeps what it had.
            return None

    # ---- administration ------------------------------------------------------------------------

    def _put(self, order: VpgOrder, now_us: int) -> LiveVpg:
        state = order.state
        vpg = LiveVpg(
            order=order,
            limits=self._catalogue.limits(state.type, state.size, now_us),
            rules=self._rules,
            keys=self._keys,
            chance=self._chance,
            outbox=self.outbox,
            now_us=now_us,
        )
        self._vpgs[order.id] = vpg
        return vpg

    def create_vpg(self, order: VpgOrder, now_us: int) -> LiveVpg:
        """Let a VPG exist from now on; lines that wait for it are its own then.

        Raises ``InputError``: its id is taken for ever, or its type may not be what it should.
        """
        self._follow_catalogue(now_us)
        if order.id in self._vpgs:
            raise InputError([Problem(code="VPG1822", path="vpgId", values={"vpg": order.id})])
        problems = self._shape_problems(order.state.type, order.state.size)
        if problems:
            raise InputError(problems)
        state = order.state
        wanted = {"junction": state.mirroring or state.redirection or state.inspection}
        wanted |= {kind: getattr(state, kind) > 0 for kind in connections.KINDS}
        wanted["fixed_ip"] = state.fixed_ip_sets > 0
        problems = [
            problem
            for feature, there in wanted.items()
            if there
            for problem in self._feature_problems(state.type, feature)
        ]
        if problems:
            raise InputError(problems)
        vpg = self._put(order, now_us)
        vpg.begin(now_us)
        for line in self._lines.values():
            if line.entry.vpg_id == order.id:
                vpg.join(line)
        return vpg

    def resize(self, vpg_id: str, vpg_type: str, size: str, now_us: int) -> None:
        """Change type or size of a VPG (A-13); raises ``InputError``."""
        self._follow_catalogue(now_us)
        vpg = self.vpg(vpg_id)
        problems = self._shape_problems(vpg_type, size)
        if problems:
            raise InputError(problems)
        vpg.resize(vpg_type, size, self._catalogue.limits(vpg_type, size, now_us), now_us)

    def switch(self, vpg_id: str, feature: str, value: int, now_us: int) -> None:
        """Switch mirroring, redirection or inspection (0, 1), or set the number of fixed IP sets.

        Raises ``InputError``.
        """
        vpg = self.vpg(vpg_id)
        most = FIXED_IP_SETS_MAX if feature == "fixed_ip" else 1
        if feature not in FEATURES:
            values = {"value": feature, "allowed": ", ".join(FEATURES)}
            raise InputError([Problem(code="VPG1823", path="feature", values=values)])
        if not 0 <= value <= most:
            values = {"value": str(value), "allowed": f"0 … {most}"}
            raise InputError([Problem(code="VPG1823", path=feature, values=values)])
        problems = self._feature_problems(vpg.state.type, FEATURES[feature]) if value else []
        if problems:
            raise InputError(problems)
        vpg.switch(feature, value, now_us)

    def connections(self, vpg_id: str, kind: str, change: int, now_us: int) -> None:
        """Add (positive) or remove Peering, VIF or VPN connections; raises ``InputError``."""
        vpg = self.vpg(vpg_id)
        if kind not in connections.KINDS:
            values = {"value": kind, "allowed": ", ".join(connections.KINDS)}
            raise InputError([Problem(code="VPG1823", path="kind", values=values)])
        if connections.changed(getattr(vpg.state, kind), change) > CONNECTIONS_MAX:
            values = {"value": str(change), "allowed": f"… {CONNECTIONS_MAX}"}
            raise InputError([Problem(code="VPG1823", path=kind, values=values)])
        problems = self._feature_problems(vpg.state.type, kind) if change > 0 else []
        if problems:
            raise InputError(problems)
        vpg.connect(kind, change, now_us)

    def end_vpg(self, vpg_id: str, now_us: int) -> None:
        """End a VPG and all its sessions; raises ``InputError``."""
        self.vpg(vpg_id).end(now_us)

    def snapshot(self, vpg_id: str, now_us: int) -> Snapshot:
        """Return the figures of a VPG now; raises ``InputError``."""
        vpg = self.vpg(vpg_id)
        vpg.tick(now_us, _LAST)
        return vpg.snapshot(now_us)

    def _shape_problems(self, vpg_type: str, size: str) -> list[Problem]:
        if (vpg_type, size) in vpg_kinds():
            return []
        allowed = ", ".join(" ".join(kind).strip() for kind in vpg_kinds())
        values = {"value": f"{vpg_type} {size}".strip(), "allowed": allowed}
        return [Problem(code="VPG1823", path="type", values=values)]

    def _feature_problems(self, vpg_type: str, feature: str) -> list[Problem]:
        if self._catalogue.allows(vpg_type, feature):
            return []
        return [Problem(code="VPG1824", path=feature, values={"type": vpg_type, "what": feature})]
