"""The SimPy control plane: the clock of the scenario, and everything that is not an attempt.

Owns: hour ticks, creation and deletion of VPGs, and every event of the scenario, each a SimPy
process. It drives a data plane (``sim.plane``) through ``advance`` between two of its instants.
Times: ``SimUs``.

At one microsecond: deletions first (what ended at ten did not exist after ten), then the hour tick,
ends of events, creations, begins of events in the order of the file, and only then attempts.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from scenarios import model
from scenarios.billing_state import billing_state
from sim.plane.alarm import Alarm, Clock
from vpg.rating.ledger import VpgLedger, change_fee
from vpg.results import ControlNote
from vpg.timebase import HOUR_US, hour_start

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    import simpy

    from sim.plane.protocol import Plane
    from vpg.catalogue.model import Catalogue
    from vpg.rating.hourly import HourlyRow
    from vpg.results import MinuteRow, RowKey

_DELETE, _TICK, _END, _CREATE, _BEGIN = 1, 2, 3, 4, 5
_CLASS_SHIFT = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is; ``events`` counts attempts and attach attempts."""

    at_us: int
    start_us: int
    end_us: int
    events: int


class Control:
    """One run's control plane."""

    def __init__(self, *, scenario: model.Scenario, catalogue: Catalogue, plane: Plane) -> None:
        """Put every control instant of ``scenario`` on the clock."""
        self._scenario = scenario
        self._catalogue = catalogue
        self._plane = plane
        self._clock = Clock(scenario.start_us)
        self._reached_us: int = scenario.start_us
        self._slice_us = plane.piece_us
        self._ledgers: dict[str, VpgLedger] = {}
        self.rows: list[HourlyRow] = []
        self.delays: dict[RowKey, dict[int, int]] = {}
        self.minutes: list[MinuteRow] = []
        self.notes: list[ControlNote] = []
        plane.foresee(self._instants())
        for position, vpg in enumerate(scenario.vpgs):
            self._clock.process(self._life_of(vpg, position))
        for position, event in enumerate(scenario.events):
            self._clock.process(self._course_of(event, position))
        for day_us in catalogue.limit_changes(scenario.start_us, scenario.end_us):
            self._clock.process(self._new_limits(day_us))
        self._clock.process(self._ticks())

    def _instants(self) -> Iterator[int]:
        """Yield every instant of this plane but the hour ticks."""
        scenario = self._scenario
        yield from self._catalogue.limit_changes(scenario.start_us, scenario.end_us)
        for vpg in scenario.vpgs:
            yield vpg.created_at_us
            if vpg.deleted_at_us is not None:
                yield vpg.deleted_at_us
        for event in scenario.events:
            yield event.at_us
            until_us: int | None = getattr(event, "until_us", None)
            if until_us is not None:
                yield until_us

    # ---- driving -------------------------------------------------------------------------------

    def run(
        self,
        progress: Callable[[Progress], None] | None,
        stop: Callable[[], bool] | None,
    ) -> int:
        """Run to the scenario's end, or until ``stop`` says so; return the instant reached."""
        end_us = self._scenario.end_us
        while True:
            next_us = int(min(self._clock.peek(), end_us))
            reached_us = self._advance(next_us, progress, stop)
            if reached_us < next_us or next_us == end_us:
                self._close_rows(reached_us, last=True)
                self.minutes += self._plane.take_minutes(final=True)
                return reached_us
            self._clock.step()

    def _advance(
        self,
        until_us: int,
        progress: Callable[[Progress], None] | None,
        stop: Callable[[], bool] | None,
    ) -> int:
        scenario = self._scenario
        at_us = self._reached_us
        while at_us < until_us:
            if stop is not None and stop():
                return at_us
            before = self._plane.events
            at_us = min(at_us + self._slice_us, until_us)
            self._plane.advance(at_us)
            self._reached_us = at_us
            done = self._plane.events - before
            if done > self._plane.piece_events:
                self._slice_us = max(1, self._slice_us // 2)
            else:
                self._slice_us = min(self._plane.piece_us, 2 * self._slice_us)
            if progress is not None:
                progress(
                    Progress(
                        at_us=at_us,
                        start_us=scenario.start_us,
                        end_us=scenario.end_us,
                        events=self._plane.events,
                    )
                )
        return at_us

    def _at(self, at_us: int, kind: int, position: int) -> Alarm:
        order = (kind << _CLASS_SHIFT) | position
        return Alarm(self._clock).set(max(at_us, self._scenario.start_us), order)

    @property
    def _now_us(self) -> int:
        return self._clock.now

    # ---- rows ----------------------------------------------------------------------------------

    def _ticks(self) -> Generator[simpy.Event, Any, None]:
        tick_us = hour_start(self._scenario.start_us) + HOUR_US
        while True:
            yield self._at(tick_us, _TICK, 0)
            self._close_rows(tick_us)
            tick_us += HOUR_US

    def _close_rows(self, now_us: int, *, last: bool = False) -> None:
        for vpg_id, ledger in self._ledgers.items():
            # A run stopped at an hour tick has not touched the hour that begins there.
            if ledger.open and not (last and ledger.is_fresh(now_us)):
                self._close_row(vpg_id, now_us)
                ledger.open = not ledger.ending
        self.minutes += self._plane.take_minutes()

    def _close_row(self, vpg_id: str, now_us: int) -> None:
        flow = self._plane.take_row(vpg_id)
        row = self._ledgers[vpg_id].close_row(now_us, flow.figures, flow.delays)
        self.rows.append(row)
        if flow.delays:
            self.delays[row.vpg_id, row.hour_start_us, row.config_seq] = dict(flow.delays)

    # ---- VPGs ----------------------------------------------------------------------------------

    def _life_of(self, vpg: model.Vpg, position: int) -> Generator[simpy.Event, Any, None]:
        yield self._at(vpg.created_at_us, _CREATE, position)
        now_us = self._now_us
        limits = self._catalogue.limits(vpg.type, vpg.size, now_us)
        self._ledgers[vpg.id] = _ledger(vpg, now_us)
        self._plane.create_vpg(vpg, limits)
        self._note("vpg_created", vpg.id, {"type": vpg.type, "size": vpg.size})
        if vpg.deleted_at_us is None:
            return
        yield self._at(vpg.deleted_at_us, _DELETE, position)
        self._ledgers[vpg.id].ending = True
        self._plane.delete_vpg(vpg.id)
        self._note("vpg_deleted", vpg.id, {})

    def _new_limits(self, day_us: int) -> Generator[simpy.Event, Any, None]:
        """Give VPGs that exist when the catalogue changes its new limits; sessions stay."""
        yield self._at(day_us, _CREATE, 0)
        for vpg_id, ledger in self._ledgers.items():
            if not ledger.ending:
                limits = self._catalogue.limits(ledger.type, ledger.size, day_us)
                self._plane.resize_vpg(vpg_id, limits, cut_sessions=False)
                self._note("catalogue_changed", vpg_id, {"lines_max": str(limits.lines_max)})

    def _exists(self, vpg_id: str) -> bool:
        ledger = self._ledgers.get(vpg_id)
        return ledger is not None and not ledger.ending

    # ---- events --------------------------------------------------------------------------------

    def _course_of(self, event: model.Event, position: int) -> Generator[simpy.Event, Any, None]:
        yield self._at(event.at_us, _BEGIN, position)
        vpg_id: str = getattr(event, "vpg_id", "")
        kind = EVENT_WORDS[type(event)]
        if vpg_id and not self._exists(vpg_id):
            self._note(f"{kind}_without_vpg", vpg_id, _details(event))
            return
        self._bill_side(event)
        self._plane.begin(event)
        self._note(kind, vpg_id, _details(event))
        until_us: int | None = getattr(event, "until_us", None)
        if until_us is None:
            return
        yield self._at(until_us, _END, position)
        if not vpg_id or self._exists(vpg_id):
            self._plane.end(event)
            self._note(f"{kind}_over", vpg_id, {})

    def _bill_side(self, event: model.Event) -> None:
        if isinstance(event, model.ConnectionChange):
            ledger = self._ledgers[event.vpg_id]
            ledger.change_connections(self._now_us, event.kind, event.change)
        elif isinstance(event, model.FeatureSwitch):
            self._ledgers[event.vpg_id].switch(self._now_us, event.feature, event.value)
        elif isinstance(event, model.Recreate):
            self._recreate(event)

    def _recreate(self, event: model.Recreate) -> None:
        ledger = self._ledgers[event.vpg_id]
        anew = self._scenario.assumptions.a13_size_change == "recreate_with_fee"
        limits = self._catalogue.limits(event.type, event.size, self._now_us)
        if not ledger.is_fresh(self._now_us):
            self._close_row(event.vpg_id, self._now_us)
        if anew:
            ledger.owe(change_fee(ledger.type, event.type))
        ledger.reconfigure(event.type, event.size)
        self._plane.resize_vpg(event.vpg_id, limits, cut_sessions=anew)

    def _note(self, kind: str, vpg_id: str, details: dict[str, str]) -> None:
        self.notes.append(
            ControlNote(
                at_us=self._now_us, kind=kind, vpg_id=vpg_id, details=tuple(details.items())
            )
        )


EVENT_WORDS: dict[type, str] = {
    model.CarrierOutage: "carrier_outage",
    model.PowerCut: "power_cut",
    model.ForcedCut: "forced_cut",
    model.AttachLines: "attach_lines",
    model.Recreate: "recreate",
    model.FeatureSwitch: "feature",
    model.ConnectionChange: "connection",
    model.UpstreamFault: "upstream_fault",
    model.MirrorPeerFault: "mirror_peer_fault",
    model.RedirectionFault: "redirection_fault",
    model.LineChange: "line_change",
    model.Growth: "growth",
}
"""The scenario file's own word for each kind of event."""


def _ledger(vpg: model.Vpg, now_us: int) -> VpgLedger:
    state = billing_state(vpg)
    return VpgLedger(vpg_id=vpg.id, state=state, now_us=now_us, contract_fee=vpg.contract_fee)


def _details(event: model.Event) -> dict[str, str]:
    shown = {}
    for item in fields(event):
        value = getattr(event, item.name)
        if item.name in {"at_us", "vpg_id"} or is_dataclass(value):
            continue
        shown[item.name] = ",".join(value) if isinstance(value, tuple) else str(value)
    return shown
