"""The ledger of a VPG's billing state: what each row says of connections, features and fees."""

from __future__ import annotations

import pytest

from tests.support_service_store import T0
from vpg.errors import EnsureError
from vpg.rating.ledger import BillingState, VpgLedger
from vpg.timebase import HOUR_US

STATE = BillingState(type="D", size="small", peering=1, mirroring=True, fixed_ip_sets=2)


def ledger(*, contract_fee: bool = False) -> VpgLedger:
    return VpgLedger(vpg_id="v", state=STATE, now_us=T0 + 5, contract_fee=contract_fee)


def test_it_says_what_there_is_now() -> None:
    one = ledger()
    one.change_connections(T0 + 6, "vpn", 2)
    one.switch(T0 + 7, "inspection", 1)
    assert [one.connections(kind) for kind in ("peering", "vif", "vpn")] == [1, 0, 2]
    features = ("mirroring", "redirection", "inspection", "fixed_ip")
    assert [one.feature(name) for name in features] == [1, 0, 1, 2]


def test_a_row_holds_the_peaks_of_its_time_and_the_next_begins_with_what_is() -> None:
    one = ledger(contract_fee=True)
    one.change_connections(T0 + 6, "peering", 2)
    one.change_connections(T0 + 7, "peering", -3)
    first = one.close_row(T0 + HOUR_US, {"bytes_up": 7}, {5: 1})
    assert (first.peering_peak, first.one_off, first.junction_on) == (3, "contract_fee_d", 1)
    assert (first.bytes_up, first.delay_us_p50, first.hour_start_us) == (7, 5, T0)
    second = one.close_row(T0 + 2 * HOUR_US, {}, {})
    assert (second.peering_peak, second.one_off) == (0, "")


def test_what_ends_on_the_hour_was_not_there_in_the_next() -> None:
    one = ledger()
    one.close_row(T0 + HOUR_US, {}, {})
    one.change_connections(T0 + HOUR_US, "peering", -1)
    one.switch(T0 + HOUR_US, "mirroring", 0)
    row = one.close_row(T0 + 2 * HOUR_US, {}, {})
    assert (row.peering_peak, row.junction_on) == (0, 0)


def test_a_change_of_size_counts_its_rows() -> None:
    one = ledger()
    assert not one.is_fresh(T0 + 9)
    one.close_row(T0 + 9, {}, {})
    assert one.is_fresh(T0 + 9)
    one.owe("change_fee_d")
    one.reconfigure("D", "large")
    row = one.close_row(T0 + HOUR_US, {}, {})
    assert (row.config_seq, row.size, row.one_off) == (1, "large", "change_fee_d")


def test_no_row_is_longer_than_its_hour() -> None:
    with pytest.raises(EnsureError):
        ledger().close_row(T0 + HOUR_US + 1, {}, {})
