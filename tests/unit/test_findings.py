"""What is said to bind and to help: hand-known figures, every kind of advice by its own case."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.advice import BETA34_PEAK, spread_us
from reports.document import Advice, AdviceKind, Findings
from reports.findings import findings
from reports.terminal import advice_text
from reports.texts import table
from scenarios.model import (
    Assumptions,
    Burst,
    ForcedCut,
    Growth,
    Limiter,
    PowerCut,
    Recreate,
    RetryPolicy,
    Scenario,
)
from tests.support_reports import (
    NO_BYTES,
    START_US,
    Gateway,
    Minute,
    crowded,
    fleet,
    meters,
    on_the_clock,
    quiet,
    run,
    scenario,
    vpg,
)
from vpg.catalogue.load import load_catalogue
from vpg.rating.totals import totals
from vpg.timebase import MINUTE_US, SECOND_US, iso_jst

if TYPE_CHECKING:
    from vpg.results import RunResult

CATALOGUE = load_catalogue()
RETRY = RetryPolicy(name="fixed_60s", steps=((60 * SECOND_US, 1),), jitter_ppm=100_000)


def found(gateways: list[Gateway], hours: int = 24, **more: Any) -> Findings:
    story = scenario(gateways, hours, **more)
    return judged(story, run(story, gateways))


def judged(story: Scenario, result: RunResult) -> Findings:
    return findings(story, CATALOGUE, result, totals(result.rows, result.delays))


def advice(report: Findings, kind: str) -> Advice:
    (one,) = [one for one in report.advice if one.kind == kind]
    return one


def kinds(report: Findings) -> set[str]:
    return {one.kind for one in report.advice}


# ---- which limit binds ---------------------------------------------------------------------------


def test_a_synchronised_fleet_is_bound_by_the_request_limit() -> None:
    report = found([meters()])
    assert (report.binding, report.vpg_id) == ("request_rate", "tokyo")
    lines, rate, upstream = report.vpgs[0].limits
    assert (lines.peak, lines.cap, lines.share_ppm, lines.refused) == (1000, 1000, 1_000_000, 0)
    # 48 half hours; 1,000 + 970 + 940 + 910 tries, 30 taken each: 3,820 tries, 3,700 throttled.
    assert (rate.asked, rate.refused) == (48 * 3_820, 48 * 3_700)
    assert rate.refused_ppm == 3_700 * 1_000_000 // 3_820
    assert (rate.peak, rate.cap, rate.share_ppm) == (1000, 30, 33_333_333)
    assert (upstream.limit, upstream.refused) == ("upstream", 0)


def test_the_worst_minute_is_the_first_with_most_refusals() -> None:
    worst = found([meters()]).vpgs[0].worst_minute
    assert worst is not None
    assert worst.start_us == START_US
    assert worst.start == iso_jst(START_US)
    assert (worst.attempts, worst.throttled, worst.rate_peak_per_s) == (1000, 970, 1000)
    assert (worst.rate_per_s, worst.lines_max) == (30, 1000)


def test_throttled_requests_then_refused_attaches_then_the_busiest_second_make_a_minute_worst() -> (
    None
):
    def worst(*minutes: Minute) -> int:
        (one,) = found([Gateway(vpg=vpg(), minutes=dict(enumerate(minutes)))], 1).vpgs
        assert one.worst_minute is not None
        return (one.worst_minute.start_us - START_US) // MINUTE_US

    steady = Minute(attempts=500, peak_per_s=9)
    queued = Minute(attempts=300, peak_per_s=300)
    crowd = Minute(attempts=1, peak_per_s=1, attach=50, refused=50)
    throttled = Minute(attempts=2, peak_per_s=1, throttled=1)
    assert worst(steady, queued) == 1
    assert worst(steady, queued, crowd) == 2
    assert worst(steady, queued, crowd, throttled) == 3


@pytest.mark.parametrize("burst", [None, 1, 2])
def test_no_size_and_no_spread_helps_a_bucket_below_the_cost_of_a_request(
    burst: int | None,
) -> None:
    both = Assumptions(a06_beam_legs="both")
    gateway = meters(lines=60, limiter=Limiter(burst_requests=burst))
    report = found([gateway], assumptions=both, fleets=(fleet(lines=60),))
    sizes = {"larger_size", "split_vpgs", "spread_reports", "spread_minute", "retry_jitter"}
    if burst == 1:
        assert advice(report, "burst_below_cost").figures == {"burst": 1, "cost": 2}
        assert not kinds(report) & sizes
    else:
        assert "burst_below_cost" not in kinds(report)
        assert kinds(report) & sizes


def test_without_refusals_the_worst_minute_is_the_busiest() -> None:
    minutes = {5: Minute(attempts=9, peak_per_s=1), 7: Minute(attempts=9), 9: Minute(attempts=8)}
    worst = found([Gateway(vpg=vpg(), minutes=minutes)], 1).vpgs[0].worst_minute
    assert worst is not None
    assert worst.start_us == START_US + 5 * MINUTE_US


def test_refused_attaches_bind_the_line_cap_and_the_worst_vpg_is_named() -> None:
    report = found([quiet(), crowded()])
    assert (report.binding, report.vpg_id) == ("line_cap", "depot")
    assert [one.binding for one in report.vpgs] == ["none", "line_cap"]
    cap = report.vpgs[1].limits[0]
    assert (cap.asked, cap.refused, cap.refused_ppm) == (1200, 720, 600_000)


def test_the_limit_that_refuses_the_larger_share_binds() -> None:
    minute = Minute(attempts=100, throttled=10, failed=9, attach=100, refused=9, peak_per_s=90)
    (one,) = found([Gateway(vpg=vpg(), minutes={0: minute})], 1).vpgs
    # 10 of 100 throttled, 9 of 100 refused, 9 of 90 admitted failed: 10 % each but the cap's 9 %.
    assert one.binding == "request_rate"


def test_nothing_refused_means_nothing_binds_and_headroom_is_told() -> None:
    report = found([quiet()])
    assert (report.binding, report.vpg_id) == ("none", "")
    lines, rate, _ = report.vpgs[0].limits
    assert (lines.share_ppm, rate.share_ppm) == (400_000, 4 * 1_000_000 // 30)


def test_a_run_without_vpgs_or_traffic_has_nothing_to_say() -> None:
    empty = Gateway(vpg=vpg())
    report = found([empty], 1, fleets=())
    assert report.vpgs[0].worst_minute is None
    assert report.advice == []
    story = scenario([empty], 1)
    silent = replace(run(story, [empty]), rows=())
    assert judged(story, silent) == Findings(binding="none", vpg_id="", vpgs=[], advice=[])


# ---- what would help -----------------------------------------------------------------------------


def test_the_shortest_spread_is_the_fluid_limit() -> None:
    # Any size full: 33.3 s evenly, 69.1 s as Beta(3,4), rounded up to 0.1 s.
    assert spread_us(1_000, 30) == (33_400_000, 69_200_000)
    assert spread_us(900, 30) == (30_000_000, 62_300_000)  # 62.208


@given(st.integers(1, 10**7), st.integers(1, 10**6))
def test_no_shorter_spread_fits(messages: int, rate_per_s: int) -> None:
    numerator, denominator = BETA34_PEAK
    for us, num, den in zip(
        spread_us(messages, rate_per_s), (1, numerator), (1, denominator), strict=True
    ):
        assert us * rate_per_s * den >= messages * SECOND_US * num
        assert (us - SECOND_US // 10) * rate_per_s * den < messages * SECOND_US * num


def test_the_peak_of_beta34_is_the_peak_of_its_density() -> None:
    grid = [k / 10_000 for k in range(10_001)]
    peak = max(60 * x**2 * (1 - x) ** 3 for x in grid)
    assert peak == pytest.approx(BETA34_PEAK[0] / BETA34_PEAK[1])


def test_spread_reports() -> None:
    one = advice(found([meters()]), "spread_reports")
    assert one.basis == "estimate"
    assert one.figures == {
        "messages": 1000,
        "now_us": 0,
        "uniform_us": 33_400_000,
        "beta34_us": 69_200_000,
        "rate_per_s": 30,
    }


def test_sources_that_meet_are_spread_together_and_both_legs_count_twice() -> None:
    other = on_the_clock(60 * MINUTE_US, name="hourly", share_ppm=500_000)
    apart = on_the_clock(60 * MINUTE_US, name="apart", offset_us=MINUTE_US)
    plain_ip = on_the_clock(name="ip", service="ip")
    both = replace(fleet(), traffic=(on_the_clock(), other, apart, plain_ip))
    legs = Assumptions(a06_beam_legs="both")
    report = found([meters()], fleets=(both,), assumptions=legs)
    assert advice(report, "spread_reports").figures["messages"] == 2 * (1000 + 500)


def test_a_burst_already_spread_enough_is_not_spread_again() -> None:
    burst = Burst(
        name="alarm", service="beam", up=NO_BYTES, down=NO_BYTES, at_us=START_US,
        over_us=69_200_000, shape="beta34",
    )  # fmt: skip
    enough = found([meters()], fleets=(fleet(traffic=(burst,)),))
    assert "spread_reports" not in kinds(enough)
    assert advice(enough, "spread_minute").figures == {
        "attempts": 1000,
        "peak_per_s": 1000,
        "uniform_us": 33_400_000,
        "rate_per_s": 30,
    }
    tight = replace(burst, over_us=60_000_000)
    report = found([meters()], fleets=(fleet(traffic=(tight,)),))
    assert advice(report, "spread_reports").figures["now_us"] == 60_000_000 * 10_000 // 20_736


def test_load_above_the_rate_is_not_mended_by_spreading() -> None:
    often = replace(fleet(), traffic=(on_the_clock(30 * SECOND_US),))
    one = advice(found([meters()], fleets=(often,)), "load_above_rate")
    assert (one.figures["every_us"], one.figures["uniform_us"]) == (30_000_000, 33_400_000)


def test_larger_size_with_price_and_fee() -> None:
    one = advice(found([crowded()]), "larger_size")
    assert one.figures == {
        "type": "C",
        "size": "medium",
        "lines_max": 3000,
        "rate_per_s": 90,
        "more_yen_per_hour": "50",
        "fee_yen": "980",
    }
    free = Assumptions(a13_size_change="in_place_free")
    assert advice(found([crowded()], assumptions=free), "larger_size").figures["fee_yen"] == "0"
    dedicated = advice(found([crowded(type="D")]), "larger_size")
    assert dedicated.figures["more_yen_per_hour"] == "300"
    assert dedicated.figures["fee_yen"] == "9800"


def test_growth_counts_when_a_larger_size_is_chosen() -> None:
    more = Growth(at_us=START_US, fleet="meters-depot", lines=2_500)
    one = advice(found([crowded()], events=(more,)), "larger_size")
    assert one.figures["size"] == "large"


def test_split_when_no_size_is_enough() -> None:
    one = advice(found([meters(lines=900)]), "split_vpgs")
    assert (one.figures["count"], one.figures["size"]) == (3, "large")  # 900 / 300 in a second
    assert one.figures["more_yen_per_hour"] == str(3 * 300 - 50)
    assert (one.figures["lines"], one.figures["peak_per_s"]) == (900, 900)


@pytest.mark.parametrize("lines", [901, 1_000, 17_654])
def test_above_three_vpgs_only_spreading_is_advised(lines: int) -> None:
    told = kinds(found([meters(lines=lines)], fleets=(fleet(lines=lines),)))
    assert "spread_reports" in told
    assert told.isdisjoint({"split_vpgs", "larger_size", "larger_for_lines", "divide_lines"})


def test_a_peak_to_be_spread_does_not_hide_that_the_lines_need_room() -> None:
    storm = Minute(attempts=2_000, throttled=1_900, peak_per_s=1_500, attach=1_400, refused=1_400)
    gateway = Gateway(vpg=vpg(), minutes={0: storm})
    report = found([gateway], 1, fleets=(fleet(lines=2_400, traffic=()),))
    one = advice(report, "larger_for_lines")
    assert (one.figures["size"], one.figures["lines_max"]) == ("medium", 3_000)
    assert advice(report, "spread_minute").figures["uniform_us"] == 66_700_000
    many = found([gateway], 1, fleets=(fleet(lines=40_000, traffic=()),))
    lines = {"lines": 40_000, "type": "C", "size": "large", "lines_max": 10_000}
    assert advice(many, "divide_lines").figures == lines
    few = advice(found([crowded()], fleets=(fleet(vpg_id="depot", lines=25_000),)), "split_vpgs")
    assert (few.figures["count"], few.figures["peak_per_s"]) == (3, 6)


def test_smaller_size_when_nothing_was_refused() -> None:
    one = advice(found([quiet(size="large")]), "smaller_size")
    assert (one.figures["size"], one.figures["less_yen_per_hour"]) == ("small", "250")
    assert "smaller_size" not in kinds(found([quiet()]))
    story = scenario([quiet(size="large")], 24)
    cut = replace(run(story, [quiet(size="large")]), status="partial")
    assert "smaller_size" not in kinds(judged(story, cut))


def test_a_run_without_a_message_says_nothing_about_sizes() -> None:
    online = {0: Minute(attach=1, lines=1)}
    silent = Gateway(vpg=vpg(size="large"), minutes=online)
    assert kinds(found([silent], 1, fleets=(fleet(lines=90_000, traffic=()),))) == set()
    online[0].attempts = 1
    lone = Gateway(vpg=vpg(size="large"), minutes=online)
    one = advice(found([lone], 1, fleets=(fleet(lines=1),)), "smaller_size")
    assert "would clear 1 line and 0 requests in one second" in advice_text(one, "en")


def test_a_notable_share_of_pending_messages_is_told() -> None:
    def waiting(count: int, **more: Any) -> Findings:
        gateway = Gateway(
            vpg=vpg(), minutes={0: Minute(attempts=1)}, row={"messages_offered": 10_000, **more}
        )
        gateway.row["pending_end"] = count
        return found([gateway], 1, fleets=(fleet(lines=2_000),))

    one = advice(waiting(100), "pending_messages")
    assert one.basis == "measured"
    assert one.figures == {"pending": 100, "sent": 10_000, "share_ppm": 10_000}
    assert "pending_messages" not in kinds(waiting(99))
    # A tenth of the lines hold a message: told, however much the others send.
    assert "pending_messages" in kinds(waiting(200, messages_offered=1_000_000))
    assert "pending_messages" not in kinds(waiting(199, messages_offered=1_000_000))
    assert "pending_messages" not in kinds(waiting(0))


def test_each_way_of_losing_messages_is_told_with_its_count_and_remedy() -> None:
    lost = {"lost_tries": 60, "lost_deadline": 5, "lost_buffer": 20, "lost_cancelled": 15}
    row = {"messages_offered": 1_000, "no_session_beam": 83, **lost}
    gateway = Gateway(vpg=vpg(size="large"), minutes={0: Minute(attempts=900)}, row=row)
    cut = ForcedCut(at_us=START_US, fleets=("meters-tokyo",))
    off = PowerCut(at_us=START_US, until_us=START_US + 1, fleets=("meters-tokyo",))
    report = found([gateway], 1, events=(cut, off))
    assert [(one.kind, one.messages) for one in report.vpgs[0].losses] == [
        ("lost_tries", 60),
        ("lost_buffer", 20),
        ("lost_cancelled", 15),
        ("lost_deadline", 5),
    ]
    assert {one.kind: one.figures["lost"] for one in report.advice if one.kind in lost} == lost
    assert advice(report, "no_session").figures == {
        "attempts": 83,
        "share_ppm": 92_222,
        "events": "forced_cut",
        "fleet": "meters-tokyo",
        "policy": "none",
    }
    assert advice(report, "lost_tries").figures["sessionless"] == 83
    assert advice(report, "lost_cancelled").figures["events"] == "power_cut"
    assert "smaller_size" not in kinds(report)
    for one in report.advice:
        assert advice_text(one, "en")
        assert advice_text(one, "ja")


def test_tries_without_a_session_that_cost_nothing_are_told_from_a_share_on() -> None:
    def sessionless(count: int) -> Findings:
        gateway = Gateway(
            vpg=vpg(), minutes={0: Minute(attempts=1_000)}, row={"no_session_beam": count}
        )
        return found([gateway], 1, fleets=(fleet(retry=RETRY),))

    assert advice(sessionless(10), "no_session").figures["events"] == "A-16"
    assert "no_session" not in kinds(sessionless(9))


# ---- a VPG that changes --------------------------------------------------------------------------


def test_a_peak_is_held_against_the_limit_of_its_own_time() -> None:
    minutes = {0: Minute(attempts=1, lines=970), 60: Minute(attempts=1, lines=1_030)}
    change = Recreate(at_us=START_US + 60 * MINUTE_US, vpg_id="tokyo", type="C", size="medium")
    (one,) = found([Gateway(vpg=vpg(), minutes=minutes)], 2, events=(change,)).vpgs
    lines = one.limits[0]
    assert (lines.type, lines.size, lines.peak, lines.cap) == ("C", "small", 970, 1000)
    told = [(s.type, s.size, s.limits[0].peak, s.limits[0].cap) for s in one.sizes]
    assert told == [("C", "small", 970, 1_000), ("C", "medium", 1_030, 3_000)]


def test_what_binds_is_told_of_each_size_by_itself() -> None:
    minutes = {0: Minute(attach=9, refused=9), 60: Minute(attempts=9, throttled=3, peak_per_s=99)}
    change = Recreate(at_us=START_US + 60 * MINUTE_US, vpg_id="tokyo", type="C", size="medium")
    (one,) = found([Gateway(vpg=vpg(), minutes=minutes)], 2, events=(change,)).vpgs
    assert one.binding == "line_cap"
    assert [part.binding for part in one.sizes] == ["line_cap", "request_rate"]


def test_retry_jitter_when_retries_are_a_large_share() -> None:
    synchronised = replace(fleet(), retry=RETRY)
    one = advice(found([meters()], fleets=(synchronised,)), "retry_jitter")
    # The synthetic rows offer what they deliver: 120 messages for 3,820 tries a half hour.
    assert one.figures["retries_ppm"] == 3_700 * 1_000_000 // 3_820
    assert (one.figures["now_us"], one.figures["window_us"]) == (12_000_000, 33_400_000)
    spread = replace(RETRY, jitter_ppm=300_000)
    wide = found([meters()], fleets=(replace(fleet(), retry=spread),))
    assert "retry_jitter" not in kinds(wide)


def test_ramp_attach_when_a_storm_brings_the_requests() -> None:
    storm = {0: Minute(attempts=3000, throttled=2000, peak_per_s=900, attach=1000, lines=1000)}
    report = found([Gateway(vpg=vpg(), minutes=storm)], 1, fleets=())
    one = advice(report, "ramp_attach")
    assert one.figures == {
        "attaches": 1000,
        "attempts": 3000,
        "over_us": 100_000_000,
        "rate_per_s": 30,
    }
    assert "spread_minute" not in kinds(report)


def test_no_ramp_where_the_cap_has_no_room_for_all_lines() -> None:
    minute = Minute(attempts=1_379, throttled=372, peak_per_s=57, attach=7_138, lines=1_000)
    refused = replace(minute, attach=7_138, refused=7_138)
    joined = replace(minute, refused=3_000)  # half of the attaches succeed and bring requests
    for one in (refused, joined):
        gateway = Gateway(vpg=vpg(), minutes={0: one})
        report = found([gateway], 1, fleets=(fleet(lines=2_400, traffic=()),))
        assert kinds(report) >= {"spread_minute", "larger_size"}
        assert "ramp_attach" not in kinds(report)
    enough = found([Gateway(vpg=vpg(), minutes={0: joined})], 1, fleets=(fleet(lines=1_000),))
    assert "ramp_attach" in kinds(enough)
    setup = Gateway(
        vpg=vpg(),
        minutes={0: refused},
        row={"attach_rejected_other": 600, "attach_peak_per_s": 100},
    )
    slow = Assumptions(a18_session_setup_per_s=10)
    crammed = found([setup], 1, assumptions=slow, fleets=(fleet(lines=2_400),))
    assert "ramp_setup" not in kinds(crammed)


def test_ramp_setup_when_the_setup_rate_refuses() -> None:
    storm = {0: Minute(attach=1000, lines=400)}
    more = {"attach_rejected_other": 600, "attach_peak_per_s": 100}
    gateway = Gateway(vpg=vpg(), minutes=storm, row=more)
    slow = Assumptions(a18_session_setup_per_s=10)
    report = found([gateway], 1, assumptions=slow)
    assert report.binding == "session_setup"
    one = advice(report, "ramp_setup")
    assert one.figures == {"attaches": 1000, "over_us": 100_000_000, "setup_per_s": 10}
    assert "ramp_setup" not in kinds(found([gateway], 1))


def test_ghosts_are_named_where_the_cap_refuses() -> None:
    one = advice(found([crowded()]), "ghost_slots")
    assert (one.basis, one.figures["ghosts"], one.figures["lines_max"]) == ("measured", 120, 1000)


def test_more_lines_bound_than_the_cap_is_told_even_when_it_held() -> None:
    many = fleet(name="meters-osaka", vpg_id="osaka", lines=1_200)
    one = advice(found([quiet()], fleets=(many,)), "assigned_above_cap")
    assert one.figures == {"lines": 1200, "lines_max": 1000}


def test_upstream_failures_are_no_matter_of_size() -> None:
    report = found([Gateway(vpg=vpg(), minutes={0: Minute(attempts=10, failed=4)})], 1)
    assert report.binding == "upstream"
    assert advice(report, "upstream_failures").figures == {"failed": 4, "admitted": 10}


def test_lost_mirror_packets_are_told() -> None:
    lossy = Gateway(vpg=vpg(), row={"mirror_dropped": 7, "bytes_mirrored": 1_000})
    assert advice(found([lossy], 2), "mirror_dropped").figures == {
        "packets": 14,
        "sent_bytes": 2_000,
    }


def test_types_without_limit_or_price_are_reported_never_judged() -> None:
    report = found([quiet("e", type="E", size="", hours=6)], 6)
    assert kinds(report) == {"uncapped", "unpriced"}
    assert report.vpgs[0].limits[0].cap is None
    assert report.vpgs[0].limits[0].share_ppm is None
    assert report.vpgs[0].uncapped_types == ["E"]
    assert found([quiet()]).vpgs[0].uncapped_types == []


def test_every_kind_of_advice_has_a_case_here() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    assert [kind for kind in get_args(AdviceKind) if f'"{kind}"' not in source] == []


@pytest.mark.parametrize("lang", ["en", "ja"])
@pytest.mark.parametrize(
    "gateway", [meters(), crowded(), quiet(size="large")], ids=lambda g: g.vpg.id
)
def test_estimates_say_that_nobody_simulated_them(gateway: Gateway, lang: str) -> None:
    mark = table()["summary.estimate"][lang]
    report = found([gateway])
    assert report.advice
    for one in report.advice:
        words = advice_text(one, lang)
        assert (mark in words) == (one.basis == "estimate")
        assert gateway.vpg.id in words
