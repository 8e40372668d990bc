"""The digests two runs share, from bytes spelled out: to change them is to change the contract."""

from __future__ import annotations

import hashlib

from vpg.rating.charges import ChargeRow, charges_digest
from vpg.rating.hourly import NAMES, HourlyRow, digest

HOURLY_COLUMNS = (
    "vpg_id hour_start_us config_seq vpg_exists type size peering_peak vif_peak vpn_peak"
    " junction_on inspection_on lines_inspected fixed_ip_sets one_off sessions_start"
    " sessions_created sessions_deleted sessions_end attach_attempts sessions_refused"
    " attach_rejected_other lines_peak ghosts_peak sessions_flagged attach_peak_per_s"
    " messages_offered messages_delivered lost_tries lost_deadline lost_buffer lost_cancelled"
    " pending_start pending_end"
    " attempts_beam accepted_beam throttled_beam no_session_beam failed_upstream_beam"
    " attempts_funnel accepted_funnel throttled_funnel no_session_funnel failed_upstream_funnel"
    " attempts_funk accepted_funk throttled_funk no_session_funk failed_upstream_funk"
    " attempts_ip accepted_ip throttled_ip no_session_ip failed_upstream_ip"
    " requests_flagged rate_peak_per_s bytes_up bytes_down bytes_mirrored mirror_dropped"
    " delay_us_p50 delay_us_p99 delay_us_max"
)

HOUR = 1_775_001_600_000_000
FIRST = HourlyRow(
    vpg_id="a", hour_start_us=HOUR, config_seq=0, vpg_exists=1, type="C", size="small", bytes_up=70
)
SECOND = HourlyRow(
    vpg_id="b",
    hour_start_us=HOUR,
    config_seq=0,
    vpg_exists=1,
    type="F2",
    one_off="contract_fee_f2",
    delay_us_max=9,
)
# 62 cells a row, spelled out here and not computed from the code: 14 of state, then counters.
HOURLY_BYTES = (
    b"vpgsim-hourly-v1\n"
    b"a\t1775001600000000\t0\t1\tC\tsmall\t0\t0\t0\t0\t0\t0\t0\t"
    + b"\t0" * 41
    + b"\t70"
    + b"\t0" * 6
    + b"\n"
    b"b\t1775001600000000\t0\t1\tF2\t\t0\t0\t0\t0\t0\t0\t0\tcontract_fee_f2"
    + b"\t0" * 47
    + b"\t9\n"
)
HOURLY_SHA256 = "6fe1f5a58d42b1c1711a8574495f88992ab31574005c813aba2e0365c8903d94"

CHARGES = [
    ChargeRow(
        vpg_id="a",
        hour_start_us=HOUR,
        bill_item="vpg_c_small",
        quantity=1,
        unit_price_micro_yen=50_000_000,
        amount_micro_yen=50_000_000,
    ),
    ChargeRow(
        vpg_id="a",
        hour_start_us=HOUR,
        bill_item="junction_inspection",
        quantity=3,
        unit_price_micro_yen=100_000_000,
        amount_micro_yen=300_000_000,
    ),
    ChargeRow(
        vpg_id="b",
        hour_start_us=HOUR,
        bill_item="vpg_f2",
        quantity=1,
        unit_price_micro_yen=None,
        amount_micro_yen=None,
    ),
]
CHARGES_BYTES = (
    b"vpgsim-charges-v1\n"
    b"a\t1775001600000000\tjunction_inspection\t3\t100000000\t300000000\n"
    b"a\t1775001600000000\tvpg_c_small\t1\t50000000\t50000000\n"
    b"b\t1775001600000000\tvpg_f2\t1\t\t\n"
)
CHARGES_SHA256 = "fa1383738176e1ee4d609b45f1680061f962015882144230dad6c6bd09b3a652"


def test_the_hourly_columns_are_closed() -> None:
    assert tuple(HOURLY_COLUMNS.split()) == NAMES


def test_the_hourly_digest_is_of_these_bytes() -> None:
    assert hashlib.sha256(HOURLY_BYTES).hexdigest() == HOURLY_SHA256
    assert digest([SECOND, FIRST]) == digest([FIRST, SECOND]) == HOURLY_SHA256


def test_the_charges_digest_is_of_these_bytes() -> None:
    assert hashlib.sha256(CHARGES_BYTES).hexdigest() == CHARGES_SHA256
    assert charges_digest(CHARGES) == charges_digest(CHARGES[::-1]) == CHARGES_SHA256


def test_no_rows_have_a_digest_too() -> None:
    assert digest([]) == hashlib.sha256(b"vpgsim-hourly-v1\n").hexdigest()
    assert charges_digest([]) == hashlib.sha256(b"vpgsim-charges-v1\n").hexdigest()
