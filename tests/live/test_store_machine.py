"""Random lives of VPGs, sessions, changes, crashes and bills; totals equal an independent model.

The model knows the events and nothing else: it works every hour and every yen out anew, with the
account of ``tests.support_service_store`` and prices of its own by hour.
"""

from __future__ import annotations

import functools
import os
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.support_rating import table_file, utc_us
from tests.support_service_store import (
    OPERATOR,
    T0,
    account,
    configured,
    line,
    order,
    request,
    sums_anew,
    sums_kept,
    told,
    unlike,
    us,
)
from vpg.catalogue.load import load_catalogue
from vpg.rating.charges import ChargePolicy
from vpg.rating.events import CONFIG, Config
from vpg.rating.totals import conservation
from vpg.service.check import Checker
from vpg.service.ports import CONFLICT, COUNTED
from vpg.service.store.bills import ServiceBill, bill, months_of
from vpg.service.store.months import keys_kept_until_us
from vpg.service.store.sqlite import SqliteStore
from vpg.service.values import BillingRules, Rules
from vpg.timebase import DAY_US, HOUR_US, SECOND_US, month_start, next_month_start

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vpg.catalogue.model import Catalogue
    from vpg.rating.events import UsageEvent
    from vpg.rating.hourly import HourlyRow

VPGS = ("v0", "v1")
SIMS = tuple(f"8981{number:015d}" for number in range(6))
SIZES = ("small", "medium", "large")
CHANGE_US = utc_us(2026, 4, 19, 15)
"""2026-04-20 00:00 in Japan: the new tariff."""
TARIFF = """
id = "risen"
effective_from = 2026-04-20
replace = true
[[price]]
item = "vpg_c_medium"
value = 77.123456
unit = "yen/h"
[[price]]
item = "peering"
value = 9
unit = "yen/h"
[[usage]]
effective_from = 2026-04-01
item = "beam_requests"
value = 2
unit = "yen/request"
"""
SHIPPED = load_catalogue()
RULES = BillingRules(charges=ChargePolicy(), rounding="monthly_total")


@functools.cache
def catalogue() -> Catalogue:
    with tempfile.TemporaryDirectory() as folder:
        return load_catalogue([table_file(Path(folder), TARIFF)])


def owed(rows: Iterable[HourlyRow]) -> dict[int, Fraction]:
    """Return what each month owes in yen, tax excluded.

    The base, Peerings above the included one, one-off fees, requests that were admitted.
    """
    by_hour: dict[tuple[str, int], list[HourlyRow]] = {}
    for row in rows:
        by_hour.setdefault((row.vpg_id, row.hour_start_us), []).append(row)
    months: dict[int, Fraction] = {}
    for (_, hour_us), group in by_hour.items():
        items = {f"vpg_c_{row.size}": 1 for row in group}
        items["peering"] = max(0, max(row.peering_peak for row in group) - 1)
        for row in group:
            for item in filter(None, row.one_off.split(",")):
                items[item] = items.get(item, 0) + 1
        yen = Fraction(0) + sum(count * _price(item, hour_us) for item, count in items.items())
        yen += sum(2 * (row.accepted_beam + row.failed_upstream_beam) for row in group)
        month_us = month_start(hour_us)
        months[month_us] = months.get(month_us, Fraction()) + yen
    return months


def _price(item: str, hour_us: int) -> Fraction:
    if hour_us >= CHANGE_US and item in {"vpg_c_medium", "peering"}:
        return Fraction("77.123456") if item == "vpg_c_medium" else Fraction(9)
    micro = SHIPPED.price_micro_yen(item, T0)
    assert micro is not None
    return Fraction(micro, 10**6)


class Service(RuleBasedStateMachine):
    """A store, its checker, and what a client and the model know."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="vpg-machine-")
        self.path = Path(self.folder.name) / "s.db"
        self.now_us = T0
        self.names = 0
        self.counted: dict[str, UsageEvent] = {}
        self.closed: dict[str, ServiceBill] = {}
        self.configs: dict[str, Config] = {}
        self.sessions: dict[str, dict[str, bool]] = {vpg_id: {} for vpg_id in VPGS}
        self.open()

    def open(self) -> None:
        self.store = SqliteStore(self.path)
        self.store._writer.execute("PRAGMA synchronous = OFF")  # Crashes here are our own only.
        self.checker = Checker(store=self.store, rules=Rules())

    @initialize()
    def begin(self) -> None:
        self.store.put_vpgs([order(vpg_id) for vpg_id in VPGS])
        self.store.put_lines([line(sim, VPGS[0]) for sim in SIMS])
        for vpg_id in VPGS:
            config = Config(size="small", peering=1, oneOff=("contract_fee_c",))
            self.configs[vpg_id] = config
            self.send([configured(self.name(), self.now_us, config, vpg_id=vpg_id)], "ok")

    def name(self) -> str:
        self.names += 1
        return f"{self.names:08}"

    def send(self, events: Sequence[UsageEvent], fate: str) -> None:
        """Send until acknowledged, through whatever happens to the service meanwhile."""
        for one in events:
            assert self.checker.wrong(one, self.now_us) is None, one
        if fate == "crash before the commit":
            self.store.stage(events, self.now_us)
            self.crash()
        elif fate == "crash after the commit":
            self.store.commit(events, self.now_us)
            self.crash()
        assert set(self.store.commit(events, self.now_us)) <= {COUNTED}
        self.counted |= {one.id: one for one in events}

    def crash(self) -> None:
        self.store.close()
        self.open()

    # ---- what happens --------------------------------------------------------------------------

    fates = st.sampled_from(["ok"] * 6 + ["crash before the commit", "crash after the commit"])

    @rule(hours=st.integers(0, 30), us=st.sampled_from([0, 1, HOUR_US - 1, 17 * SECOND_US]))
    def time_goes_on(self, hours: int, us: int) -> None:
        self.now_us += hours * HOUR_US + us

    @precondition(lambda self: self.now_us < T0 + 70 * DAY_US)
    @rule(days=st.integers(-1, 9))
    def month_turns(self, days: int) -> None:
        """Go to about the turn of the month, or about the day when figures become final."""
        target_us = next_month_start(self.now_us) + days * DAY_US
        self.now_us = max(self.now_us, target_us)

    @rule(data=st.data(), fate=fates, vpg_id=st.sampled_from(VPGS), count=st.integers(1, 6))
    def meter(self, data: st.DataObject, fate: str, vpg_id: str, count: int) -> None:
        """Count a few requests, of now or of some time ago."""
        events = []
        for _ in range(count):
            ago_us = data.draw(st.sampled_from([0, 5, HOUR_US, 7 * DAY_US, 40 * DAY_US]))
            at_us = max(T0, self.now_us - ago_us)
            if keys_kept_until_us(at_us) <= self.now_us:
                continue
            figures: dict[str, Any] = {"requests": data.draw(st.integers(1, 9))}
            figures["inspected"] = tuple(data.draw(st.lists(st.sampled_from(SIMS), max_size=2)))
            outcome = data.draw(st.sampled_from(["accepted", "throttled", "failed_upstream"]))
            events.append(request(self.name(), at_us, vpg_id=vpg_id, outcome=outcome, **figures))
        if events:
            self.send(events, fate)

    @rule(fate=fates, vpg_id=st.sampled_from(VPGS), sim=st.sampled_from(SIMS))
    def attach_or_detach(self, fate: str, vpg_id: str, sim: str) -> None:
        live = self.sessions[vpg_id]
        if any(sim in other for name, other in self.sessions.items() if name != vpg_id):
            return
        what: Any = "session.deleted.v1" if sim in live else "session.created.v1"
        figures: dict[str, Any] = {"ghost": live.pop(sim)} if sim in live else {"attachPerS": 1}
        if what == "session.created.v1":
            live[sim] = False
        figures |= {"sessions": len(live), "ghosts": sum(live.values())}
        one = told(what, self.name(), self.now_us, vpg_id=vpg_id, subject=sim, **figures)
        self.send([one], fate)

    @rule(fate=fates, vpg_id=st.sampled_from(VPGS), sim=st.sampled_from(SIMS))
    def power_cut(self, fate: str, vpg_id: str, sim: str) -> None:
        live = self.sessions[vpg_id]
        if live.get(sim) is not False:
            return
        live[sim] = True
        figures: dict[str, Any] = {"sessions": len(live), "ghosts": sum(live.values())}
        one = told(
            "session.modified.v1",
            self.name(),
            self.now_us,
            vpg_id=vpg_id,
            subject=sim,
            ghost=True,
            **figures,
        )
        self.send([one], fate)

    @rule(
        fate=fates,
        vpg_id=st.sampled_from(VPGS),
        size=st.sampled_from(SIZES),
        peering=st.integers(0, 3),
        fee=st.booleans(),
        ahead=st.booleans(),
        ago_us=st.sampled_from([0, 0, 0, HOUR_US, 20 * DAY_US, 40 * DAY_US]),
    )
    def change(
        self,
        *,
        fate: str,
        vpg_id: str,
        size: str,
        peering: int,
        fee: bool,
        ahead: bool,
        ago_us: int,
    ) -> None:
        """Resize, or add and remove Peerings; told late, or after usage that was quicker."""
        before = self.configs[vpg_id]
        config = Config(
            size=size,  # type: ignore[arg-type]
            peering=peering,
            resized=size != before.size,
            oneOff=("contract_fee_c",) if fee else (),
        )
        newest_us = max(
            us(one)
            for one in self.counted.values()
            if one.data.vpgId == vpg_id and one.type == CONFIG
        )
        at_us = max(newest_us + 1, self.now_us - ago_us)
        self.now_us = max(self.now_us, at_us) + 10 * SECOND_US
        if keys_kept_until_us(at_us) <= self.now_us:
            return
        if ahead:
            early = request(self.name(), at_us + SECOND_US, vpg_id=vpg_id, ratePerS=9)
            self.send([early], "ok")
        self.send([configured(self.name(), at_us, config, vpg_id=vpg_id)], fate)
        self.configs[vpg_id] = config

    @precondition(lambda self: len(self.counted) > 2)
    @rule(data=st.data(), fate=fates)
    def send_again(self, data: st.DataObject, fate: str) -> None:
        """Send again: what was counted has the same answer for as long as its key is kept."""
        names = data.draw(st.lists(st.sampled_from(sorted(self.counted)), min_size=1, max_size=5))
        events = [self.counted[name] for name in names]
        kept = [one for one in events if keys_kept_until_us(us(one)) > self.now_us]
        kept = [one for one in kept if one.type != CONFIG]
        if kept:
            self.send(kept, fate)
            other = msgspec.structs.replace(kept[0], subject="another")
            assert self.store.commit([other], self.now_us) == [CONFLICT]

    @rule()
    def crash_at_rest(self) -> None:
        self.crash()

    @rule(steps=st.integers(1, 3))
    def forget(self, steps: int) -> None:
        self.store.forget(self.now_us, steps=steps)

    # ---- what must hold ------------------------------------------------------------------------

    @invariant()
    def sessions_are_those_that_live(self) -> None:
        if self.configs:
            found = {(one.sim_id, one.vpg_id, one.ghost) for one in self.store.sessions()}
            assert found == {
                (sim, vpg_id, ghost)
                for vpg_id, live in self.sessions.items()
                for sim, ghost in live.items()
            }

    @rule()
    def bill(self) -> None:
        """Hours, sums and bills are the model's; a closed month never changes."""
        self.now_us += 1
        hours = self.store.hourly(None, T0, self.now_us, self.now_us)
        rows, delays = account(self.counted.values(), self.now_us)
        assert unlike(hours.rows, rows) == []
        assert hours.delays == delays
        assert conservation(hours.rows) == []
        if not any(keys_kept_until_us(us(one)) <= self.now_us for one in self.counted.values()):
            assert sums_kept(self.store) == sums_anew(self.store)
        billed = Fraction()
        for month in months_of(self.store, self.now_us, operator_id=OPERATOR):
            one = bill(
                self.store,
                month,
                self.now_us,
                operator_id=OPERATOR,
                catalogue=catalogue(),
                rules=RULES,
            )
            if one.state == "closed":
                assert self.closed.setdefault(month, one) == one
            charges = [*one.charges, *(correction.charge for correction in one.corrections)]
            billed += sum(Fraction(row.amount_micro_yen or 0, 10**6) for row in charges)
            assert one.complete
        assert billed == sum(owed(rows).values())

    def teardown(self) -> None:
        self.bill()
        self.store.close()
        self.folder.cleanup()


def steps(examples: int, each: int) -> settings:
    known = settings.get_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
    return settings(known, max_examples=examples, stateful_step_count=each)


def test_a_few_hundred_steps() -> None:
    run_state_machine_as_test(Service, settings=steps(5, 50))


@pytest.mark.long
@pytest.mark.timeout(3_600)
def test_fifty_thousand_steps() -> None:
    run_state_machine_as_test(Service, settings=steps(500, 100))
