"""The provider's own exports: Air usage (bytes and packets) and Beam statistics (requests)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scenarios.importers.air import import_air
from scenarios.importers.beam import import_beam
from scenarios.importers.options import AirOptions, BeamOptions
from scenarios.model import Periodic, Poisson
from tests.support_import import AIR_HEADER, DATA, check_counts, loaded, told
from vpg.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

BEAM_HEADER = "imsi,date,soracomBeamType,count"


def air(*rows: str, header: str = AIR_HEADER) -> bytes:
    return "\n".join([header, *rows]).encode()


def beam(*rows: str) -> bytes:
    return "\n".join([BEAM_HEADER, *rows]).encode()


def test_air_fleets_move_the_bytes_of_each_direction(tmp_path: Path) -> None:
    data = air(
        "1,20260401,s1.fast,2400,480,4800,9",
        "1,20260402,s1.fast,0,0,0,0",
        "2,20260402,s1.fast,2400,480,4800,9",
        "3,20260401,s1.slow,7200,1440,0,0",
    )
    imported = import_air(data, AirOptions())
    fleets = {fleet.name: fleet for fleet in loaded(imported, tmp_path).fleets}
    got = {}
    for name, fleet in fleets.items():
        (source,) = fleet.traffic
        assert isinstance(source, Periodic)
        per_day = 86_400_000_000 // source.every_us
        got[name] = (
            fleet.lines,
            per_day,
            per_day * source.up.low_bytes,
            per_day * source.down.low_bytes,
        )
    # 480 packets a line in two days, ten to a message: 24 messages a day.
    assert got == {
        "s1-fast-light": (2, 24, 1200, 2400),
        "s1-slow-light": (1, 72, 3600, 0),
    }
    assert imported.counts["error_ppm"] == 0
    assert imported.counts["days"] == 2


def test_air_columns_are_found_by_name_among_others(tmp_path: Path) -> None:
    plain = import_air(air("1,20260401,s1.fast,2400,480,4800,9"), AirOptions())
    mixed = import_air(
        air(
            'meter 1,20260401,"a,b",1,s1.fast,480,2400,9,4800',
            header=(
                "tag.name,date,tag.x,imsi,type,uploadPacketCountTotal,uploadByteSizeTotal,"
                "downloadPacketCountTotal,downloadByteSizeTotal"
            ),
        ),
        AirOptions(),
    )
    assert mixed.scenario_yaml == plain.scenario_yaml
    absent = import_air(b"1,20260401,s1.fast,2400,480,4800,9", AirOptions(header="absent"))
    assert absent.scenario_yaml == plain.scenario_yaml
    assert loaded(plain, tmp_path).fleets[0].lines == 1


def test_a_header_without_the_columns_names_each_and_the_nearest() -> None:
    wrong = AIR_HEADER.replace("imsi", "imsi,imsi").replace(
        "uploadPacketCountTotal", "uploadPacketSizeTotal"
    )
    with pytest.raises(InputError) as caught:
        import_air(air("x", header=wrong), AirOptions())
    assert told(caught.value.problems) == [("VPG1309", 1), ("VPG1309", 1)]
    values = [(p.values["column"], p.values["hint"]) for p in caught.value.problems]
    assert values == [("imsi", "-"), ("uploadPacketCountTotal", "uploadPacketSizeTotal")]


def test_beam_counts_in_legs_and_reports_out_legs(tmp_path: Path) -> None:
    data = beam(
        "1,20260401,inHttp,96",
        "1,20260401,outHttps,96",
        "1,20260402,inHttp,0",
        "2,20260402,inMqtt,24",
        "2,20260402,inUdp,5000",
        "3,20260402,outTcp,7",
    )
    imported = import_beam(data, BeamOptions(payload_bytes=100, answer_bytes=10))
    fleets = {fleet.name: fleet for fleet in loaded(imported, tmp_path).fleets}
    rates = {
        name: {s.name: s.rate_micro_per_hour for s in fleet.traffic if isinstance(s, Poisson)}
        for name, fleet in fleets.items()
    }
    # 96 in 48 hours; 24 and 5,000 in 48 hours; nothing of its own.
    assert rates == {
        "inHttp-minutely": {"inHttp": 2_000_000},
        "inMqtt-inUdp-faster": {"inMqtt": 500_000, "inUdp": 104_166_667},
        "no-in-leg-silent": {},
    }
    assert imported.counts["requests_in"] == 5120
    assert imported.counts["requests_out"] == 103
    assert imported.counts["rows_of_out_legs"] == 2
    assert imported.counts["error_ppm"] <= 1
    check_counts(imported.counts)


def test_the_rates_of_beam_add_up_to_the_file(tmp_path: Path) -> None:
    imported = import_beam(DATA / "demo_beam.csv", BeamOptions())
    a_day_micro = sum(
        source.rate_micro_per_hour * fleet.lines * 24
        for fleet in loaded(imported, tmp_path).fleets
        for source in fleet.traffic
        if isinstance(source, Poisson)
    )
    assert a_day_micro == pytest.approx(imported.counts["requests_in"] / 2 * 1e6, rel=1e-6)


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (",20260401,inHttp,1", "VPG1327"),
        ("9,2026-13-01,inHttp,1", "VPG1320"),
        ("9,20260401,inhttp,1", "VPG1323"),
        ("9,20260401,inHttp,-1", "VPG1321"),
        ("9,20260401,inHttp,1.5", "VPG1321"),
        ("9,20260401,inHttp", "VPG1310"),
        ("1,20260401,inHttp,5", "VPG1328"),
    ],
)
def test_a_bad_beam_row_is_told_counted_and_left_out(row: str, code: str) -> None:
    imported = import_beam(beam("1,20260401,inHttp,5", "", row), BeamOptions())
    assert told(imported.problems) == [(code, 4)]
    assert imported.counts["rows_blank"] == 1
    assert imported.counts["requests_in"] == 5
    check_counts(imported.counts)


def test_no_imsi_reaches_the_scenario() -> None:
    for imported in (
        import_beam(DATA / "demo_beam.csv", BeamOptions()),
        import_air(DATA / "demo_air.csv", AirOptions()),
    ):
        assert "4401" not in imported.scenario_yaml
