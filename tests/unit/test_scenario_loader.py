"""What a scenario file means: units, defaults, presets, times, events; and the traps of YAML."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios import model
from scenarios.build_retry import PRESETS
from scenarios.loader import load_scenario, variants
from scenarios.places import Composer
from scenarios.times import read_instant, read_moment
from tests.support_scenarios import SMALL, catalogue, codes, meant, problems, text
from vpg.text import LANGS, render
from vpg.timebase import DAY_US, HOUR_US, MINUTE_US, SECOND_US, iso_jst

if TYPE_CHECKING:
    from pathlib import Path

START_US = read_instant("2026-04-01T09:00:00+09:00")


def source(*lines: str) -> model.Source:
    """Return the one traffic source that the lines say."""
    block = "\n        ".join(lines)
    return meant(text(("kind: periodic\n        every_s: 60", block))).fleets[0].traffic[0]


def fleet(line: str) -> model.Fleet:
    return meant(text(("lines: 10", f"lines: 10\n    {line}"))).fleets[0]


def vpg(*lines: str) -> model.Vpg:
    return meant(text(("size: small", "\n    ".join(("size: small", *lines))))).vpgs[0]


def events(*lines: str, days: int = 1) -> tuple[model.Event, ...]:
    tail = "events:\n" + "".join(f"  - {line}\n" for line in lines)
    return meant(text(("duration_h: 2", f"duration_d: {days}"), tail=tail)).events


# ---- the smallest file --------------------------------------------------------------------------


def test_the_smallest_file_has_the_documented_defaults() -> None:
    scenario = meant(SMALL)
    assert (scenario.start_us, scenario.end_us) == (START_US, START_US + 2 * HOUR_US)
    assert (scenario.seed, scenario.title, scenario.variant, scenario.overrides) == (1, "", "", ())
    assert scenario.assumptions == model.Assumptions()
    assert scenario.vpgs[0] == model.Vpg(id="gate", type="C", size="small", created_at_us=START_US)
    nothing = model.Payload()
    assert scenario.fleets[0] == model.Fleet(
        name="meters",
        vpg_id="gate",
        lines=10,
        attach_retry=PRESETS["nas_standard"],
        retry=dataclasses.replace(PRESETS["exp_backoff_jitter"], tries_max=5),
        traffic=(
            model.Periodic(name="s0", service="beam", up=nothing, down=nothing, every_us=MINUTE_US),
        ),
    )


def test_a_file_and_its_text_mean_the_same(tmp_path: Path) -> None:
    path = tmp_path / "case.yaml"
    path.write_text(SMALL, encoding="utf-8")
    assert load_scenario(path, catalogue=catalogue()) == meant(SMALL)


def test_json_is_yaml_too() -> None:
    whole = (
        '{"vpgsim": 1, "name": "case", "start": "2026-04-01T09:00:00+09:00", "duration_h": 2,'
        '"vpgs": [{"id": "gate", "type": "C", "size": "small"}],'
        '"fleets": [{"name": "meters", "vpg": "gate", "lines": 10,'
        '"traffic": [{"kind": "periodic", "every_s": 60}]}]}'
    )
    assert meant(whole) == meant(SMALL)


# ---- numbers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "us"),
    [("33.4", 33_400_000), ("1e3", 1_000_000_000), ("0.000001", 1), ("017", 17_000_000),
     ("0x10", 16_000_000), ("1.50", 1_500_000), ("1E+2", 100_000_000)],
)  # fmt: skip
def test_seconds_are_exact(written: str, us: int) -> None:
    periodic = source("kind: periodic", f"every_s: {written}", "share_percent: 0.0001")
    assert isinstance(periodic, model.Periodic)
    assert periodic.every_us == us


@given(micro=st.integers(1, 34_560_000 * 10**6))
def test_every_microsecond_survives_its_decimal_form(micro: int) -> None:
    seconds, rest = divmod(micro, SECOND_US)
    every = f"every_s: {seconds}.{rest:06d}"
    periodic = source("kind: periodic", every, "share_percent: 0.0001")
    assert isinstance(periodic, model.Periodic)
    assert periodic.every_us == micro


def test_percents_become_parts_per_million() -> None:
    assert source("kind: periodic", "every_s: 60", "share_percent: 0.0001").share_ppm == 1
    assert vpg("upstream: {failure_percent: 12.5}").upstream.failure_ppm == 125_000


def test_kilobits_become_bytes_a_second() -> None:
    peers = vpg("junction: {mirroring: {peers: [{ip: 10.0.0.1, capacity_kbps: 0.008}]}}")
    assert peers.mirror_peers[0].capacity_bytes_per_s == 1


# ---- payloads, traffic --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "payload"),
    [
        ("7", model.Payload(low_bytes=7, high_bytes=7)),
        ("{uniform: [1, 9]}", model.Payload(kind="uniform", low_bytes=1, high_bytes=9)),
        ("{pareto: {shape: 2.5, min_bytes: 20, max_bytes: 200}}",
         model.Payload(kind="pareto", low_bytes=20, high_bytes=200, shape_milli=2500)),
        ("{choice: [{bytes: 9, weight: 2}, {bytes: 4}]}",
         model.Payload(kind="choice", low_bytes=4, high_bytes=9, choices=((9, 2), (4, 1)))),
    ],
)  # fmt: skip
def test_payloads(written: str, payload: model.Payload) -> None:
    both = source(
        "kind: periodic", "every_s: 60", f"payload_bytes: {written}", f"answer_bytes: {written}"
    )
    assert (both.up, both.down) == (payload, payload)


def test_periodic_has_a_phase_and_jitter() -> None:
    periodic = source("kind: periodic", "every_s: 60", "phase: clock", "offset_s: 5", "jitter_s: 2")
    assert isinstance(periodic, model.Periodic)
    assert (periodic.phase, periodic.offset_us, periodic.jitter_us) == (
        "clock",
        5 * SECOND_US,
        2 * SECOND_US,
    )


def test_poisson_counts_millionths() -> None:
    poisson = source("kind: poisson", "messages_per_hour: 0.25", "name: rare", "service: ip")
    assert isinstance(poisson, model.Poisson)
    assert (poisson.rate_micro_per_hour, poisson.name, poisson.service) == (250_000, "rare", "ip")


@pytest.mark.parametrize(("kind", "shape", "over_s"), [("1", "uniform", 60), ("2", "beta34", 10)])
def test_tr37868_has_its_published_lengths(kind: str, shape: str, over_s: int) -> None:
    burst = source(f"kind: tr37868_model{kind}", "at: +00:30:00", "repeat_s: 600")
    assert isinstance(burst, model.Burst)
    assert (burst.shape, burst.over_us, burst.repeat_us) == (
        shape,
        over_s * SECOND_US,
        600 * SECOND_US,
    )
    assert burst.at_us == START_US + 30 * MINUTE_US


def test_tr45820_has_its_published_mean() -> None:
    reporting = source("kind: tr45820")
    assert isinstance(reporting, model.Reporting)
    # 11.2 messages a day and line (derived in TR 45.820's figures: 1.296e-4 a second).
    per_day = sum(DAY_US // every_us * weight for every_us, weight in reporting.intervals)
    assert per_day == 1120
    assert (reporting.up.kind, reporting.up.low_bytes, reporting.up.high_bytes) == (
        "pareto",
        20,
        200,
    )


def test_a_keepalive_is_a_source_of_plain_ip() -> None:
    last = fleet("session: {keepalive_s: 1740, keepalive_bytes: 40}").traffic[-1]
    assert isinstance(last, model.Periodic)
    assert (last.name, last.service, last.every_us, last.up.low_bytes) == (
        "keepalive", "ip", 1740 * SECOND_US, 40,
    )  # fmt: skip


# ---- retries ------------------------------------------------------------------------------------


def waits(policy: model.RetryPolicy, count: int) -> list[int]:
    """Return the first waits in seconds, as the model's docstring reads the steps."""
    flat = [delay_us // SECOND_US for delay_us, times in policy.steps for _ in range(times)]
    if not flat:
        return []
    return [
        flat[n % len(flat)] if policy.cycle else flat[min(n, len(flat) - 1)] for n in range(count)
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("none", []),
        ("fixed_60s", [60] * 8),
        ("nas_standard", [10] * 5 + [720, 10, 10]),
        ("exp_backoff_jitter", [60, 120, 240, 480, 960, 1800, 1800, 1800]),
        ("rpm_limited", [10] * 8),
    ],
)
def test_presets(name: str, expected: list[int]) -> None:
    assert waits(fleet(f"retry: {name}").retry, 8) == expected


def test_rpm_limited_makes_sixty_tries_an_hour() -> None:
    cycle = waits(PRESETS["rpm_limited"], 60)
    assert sum(cycle) == 3600
    assert waits(PRESETS["rpm_limited"], 120) == cycle * 2


def test_a_preset_keeps_what_is_not_changed() -> None:
    changed = fleet(
        "retry: {preset: exp_backoff_jitter, tries_max: 3, deadline_s: 9, jitter_percent: 0}"
    )
    assert changed.retry == dataclasses.replace(
        PRESETS["exp_backoff_jitter"], tries_max=3, deadline_us=9 * SECOND_US, jitter_ppm=0
    )


def test_own_policies() -> None:
    steps = fleet(
        "retry: {steps: [{delay_s: 1, count: 2}, {delay_s: 5}], cycle: true, retry_after: false}"
    )
    assert waits(steps.retry, 7) == [1, 1, 5, 1, 1, 5, 1]
    assert not steps.retry.retry_after
    grown = fleet("attach_retry: {base_s: 2, factor: 3, cap_s: 20}")
    assert waits(grown.attach_retry, 5) == [2, 6, 18, 20, 20]


def test_exponential_growth_is_exact_and_bounded() -> None:
    policy = fleet("retry: {base_s: 0.001, factor: 1.01, cap_s: 34560000}").retry
    assert len(policy.steps) <= 1001
    assert policy.steps[-1] == (34_560_000 * SECOND_US, 1)


# ---- VPGs, sessions, assumptions ----------------------------------------------------------------


def test_a_vpg_in_full() -> None:
    whole = vpg(
        "created_at: +00:10:00",
        "deleted_at: 2026-04-01T10:30:00+09:00",
        "limiter: {above: queue, burst_requests: 5, queue_deadline_s: 2.5, queue_requests_max: 7}",
        "connections: {peering: 2}",
        "junction: {redirection: {delay_ms: 1.5}, inspection: true}",
        "upstream: {delay_ms: 20, timeout_s: 3}",
        "fixed_ip_sets: 1",
        "contract_fee: false",
    )
    assert (whole.created_at_us, whole.deleted_at_us) == (
        START_US + 10 * MINUTE_US, START_US + 90 * MINUTE_US,
    )  # fmt: skip
    assert whole.limiter == model.Limiter(
        above="queue", burst_requests=5, queue_deadline_us=2_500_000, queue_requests_max=7
    )
    assert (whole.peering, whole.redirection, whole.redirection_delay_us) == (2, True, 1500)
    assert (whole.inspection, whole.mirroring, whole.contract_fee) == (True, False, False)
    assert whole.upstream == model.Upstream(delay_us=20_000, timeout_us=3_000_000)


def test_a_type_without_sizes_has_an_empty_size() -> None:
    assert meant(text(("type: C\n    size: small", "type: F2"))).vpgs[0].size == ""


def test_session_lengths() -> None:
    assert fleet("session: {duration: {fixed_s: 5}}").session == model.Session(
        duration="fixed", duration_us=5 * SECOND_US
    )
    assert fleet("session: {duration: {exponential_mean_s: 7}}").session == model.Session(
        duration="exponential", duration_us=7 * SECOND_US
    )
    assert fleet("session: {duration: idle, notice_s: 0}").session == model.Session(notice_us=0)


def test_every_assumption_reaches_the_model() -> None:
    lines = (
        "line_cap: assigned_sims", "above_line_cap: evict_longest_idle", "above_rate: reset",
        "rate_shared: each", "beam_legs: both", "included_connection: one_of_each",
        "inspection: first_10000", "junction_inspection: inspection_only",
        "size_change: in_place_free", "rounding: per_day", "idle_timeout_s: 0",
        "ghosts: not_replaced", "session_setup_per_s: 9", "cut_after_s: 8", "cut_after_bytes: 7",
        "resize_hour: dearer", "mirror_throttled: false",
    )  # fmt: skip
    assumed = meant(
        text(tail="assumptions:\n" + "".join(f"  {line}\n" for line in lines))
    ).assumptions
    defaults = model.Assumptions()
    for field in dataclasses.fields(model.Assumptions):
        assert getattr(assumed, field.name) != getattr(defaults, field.name), field.name


# ---- times and events ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    ["2026-04-01T09:00:00+09:00", "2026-04-01 09:00+09:00", "2026-04-01T00:00Z",
     '"2026-03-31T19:00:00.000000-05:00"', "2026-04-01T09:00:00+0900"],
)  # fmt: skip
def test_a_time_may_be_written_in_several_ways(written: str) -> None:
    assert meant(text(("2026-04-01T09:00:00+09:00", written))).start_us == START_US


@given(at_us=st.integers(read_instant("2000-01-01T00:00Z"), read_instant("2100-12-31T00:00Z")))
def test_what_iso_jst_writes_is_read_back(at_us: int) -> None:
    assert read_instant(iso_jst(at_us)) == at_us


@given(offset_us=st.integers(0, 400 * DAY_US))
def test_an_offset_is_read_back(offset_us: int) -> None:
    seconds, micro = divmod(offset_us, SECOND_US)
    clock = f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{micro:06d}"
    assert read_moment(f"+{clock}", 5) == 5 + offset_us


def test_events_come_in_the_order_of_time_then_of_the_file() -> None:
    kinds = [type(event).__name__ for event in events(
        "{kind: forced_cut, at: +02:00:00}",
        "{kind: power_cut, at: +01:00:00, for_s: 60}",
        "{kind: attach_lines, at: 2026-04-01T10:00:00+09:00}",
    )]  # fmt: skip
    assert kinds == ["PowerCut", "AttachLines", "ForcedCut"]


def test_an_outage_of_everyone() -> None:
    assert events(
        "{kind: carrier_outage, at: +01:00:00, until: +1d 02:00:00, sessions: ghost,"
        " share_percent: 50, release: {shape: beta34, over_s: 9}}"
    ) == (
        model.CarrierOutage(
            at_us=START_US + HOUR_US,
            until_us=START_US + 26 * HOUR_US,
            fleets=("meters",),
            share_ppm=500_000,
            sessions="ghost",
            release=model.Ramp(shape="beta34", over_us=9 * SECOND_US),
        ),
    )


def test_a_recreated_vpg_keeps_what_the_event_leaves_out() -> None:
    first, second = events(
        "{kind: recreate, at: +02:00:00, vpg: gate, type: D}",
        "{kind: recreate, at: +01:00:00, vpg: gate, size: large}",
    )
    assert isinstance(first, model.Recreate)
    assert isinstance(second, model.Recreate)
    assert (first.type, first.size, second.type, second.size) == ("C", "large", "D", "large")


def test_a_feature_is_judged_by_the_type_it_has_by_then() -> None:
    vif = "{kind: connection, at: +03:00:00, vpg: gate, connection: vif, change: 1}"
    assert len(events("{kind: recreate, at: +02:00:00, vpg: gate, type: D}", vif)) == 2
    tail = f"events:\n  - {vif}\n"
    assert codes(text(("duration_h: 2", "duration_d: 1"), tail=tail)) == ["VPG1262"]


def test_monthly_growth_follows_rating_months() -> None:
    grown = events(
        "{kind: growth, at: 2026-04-30T12:00:00+09:00, fleet: meters, lines: 5, repeat: monthly,"
        " count: 3}",
        days=100,
    )
    # 29 days and 3 hours into April; May has as many days, June too.
    assert [iso_jst(event.at_us) for event in grown] == [
        "2026-04-30T12:00:00+09:00", "2026-05-30T12:00:00+09:00", "2026-06-30T12:00:00+09:00",
    ]  # fmt: skip


def test_lines_grown_by_then_may_change() -> None:
    grow = "{kind: growth, at: +01:00:00, fleet: meters, lines: 5}"
    last = (
        "{kind: line_change, at: +02:00:00, fleet: meters, first_line: 14, lines: 1,"
        " status: suspended}"
    )
    assert len(events(grow, last)) == 2
    tail = f"events:\n  - {last}\n"
    assert codes(text(("duration_h: 2", "duration_d: 1"), tail=tail)) == ["VPG1282"]


# ---- objectives ---------------------------------------------------------------------------------


def test_objectives_in_the_units_of_the_model() -> None:
    tail = "objectives:\n  - {accepted_percent_min: 99.9}\n  - {delay_s_p99_max: 1.5, vpg: gate}\n"
    assert meant(text(tail=tail)).objectives == (
        model.Objective(kind="accepted_ppm_min", limit=999_000),
        model.Objective(kind="delay_us_p99_max", limit=1_500_000, vpg_id="gate"),
    )


# ---- overrides, variants, --set -----------------------------------------------------------------

VARIANTS = """\
overrides:
  more: {fleets.meters.lines: 20, seed: 5}
  queue: {"vpgs[0].limiter": {above: queue}}
variants:
  big: [more, queue]
"""


def test_precedence_is_set_then_variant_then_file() -> None:
    whole = text(tail=VARIANTS)
    assert (meant(whole).fleets[0].lines, meant(whole).seed) == (10, 1)
    big = meant(whole, "fleets.meters.lines=30", "title=検針 テスト", variant="big")
    assert (big.fleets[0].lines, big.seed, big.vpgs[0].limiter.above) == (30, 5, "queue")
    assert (big.variant, big.title) == ("big", "検針 テスト")
    assert big.overrides == (
        "variant big: fleets.meters.lines=20",
        "variant big: seed=5",
        "variant big: vpgs[0].limiter={above: queue}",
        "--set fleets.meters.lines=30",
        "--set title=検針 テスト",
    )


def test_a_title_is_one_text_or_one_for_each_language() -> None:
    both = meant(text(("name: case\n", "name: case\ntitle: {ja: 検針, en: Meters}\n")))
    assert (both.title, both.title_ja) == ("Meters", "検針")
    assert [both.title_in(lang) for lang in ("en", "ja")] == ["Meters", "検針"]
    one = meant(text(("name: case\n", "name: case\ntitle: 検針\n")))
    assert [one.title_in(lang) for lang in ("en", "ja")] == ["検針", "検針"]
    assert meant(SMALL, "title={ja: 一日, en: A day}").title_in("ja") == "一日"


@pytest.mark.parametrize(
    ("title", "found"),
    [
        ("{ja: 検針}", ("VPG1202", "title.en")),
        ("{ja: 検針, en: a, fr: b}", ("VPG1201", "title.fr")),
        ("{ja: 検針, en: 5}", ("VPG1204", "title.en")),
        ("5", ("VPG1204", "title")),
        ("[a, b]", ("VPG1204", "title")),
    ],
)
def test_a_bad_title_is_explained(title: str, found: tuple[str, str]) -> None:
    (problem,) = problems(text(("name: case\n", f"name: case\ntitle: {title}\n")))
    assert (problem.code, problem.path) == found
    assert all(render(problem, lang) for lang in LANGS)


def test_variants_are_listed_in_file_order(tmp_path: Path) -> None:
    path = tmp_path / "case.yaml"
    path.write_text(text(tail=VARIANTS), encoding="utf-8")
    assert variants(path) == variants(text(tail=VARIANTS)) == ("big",)


def test_set_adds_what_the_file_leaves_out() -> None:
    assert (
        meant(SMALL, "vpgs.gate.limiter.kind=fixed_window").vpgs[0].limiter.kind == "fixed_window"
    )
    assert (
        meant(SMALL, "fleets.0.traffic.0.payload_bytes={uniform: [1, 2]}")
        .fleets[0]
        .traffic[0]
        .up.high_bytes
        == 2
    )
    assert meant(SMALL, "duration_h=", "duration_d=3").end_us == START_US + 3 * DAY_US


@pytest.mark.parametrize(
    ("option", "code", "hint"),
    [
        ("fleets.metres.lines=3", "VPG1223", "meters"),
        ("fleets.9.lines=3", "VPG1223", ""),
        ("fleets.meters.line=3", "VPG1201", "lines"),
        ("flets.meters.lines=3", "VPG1201", "fleets"),
        ("duration_h.x=3", "VPG1227", ""),
        ("duration_h=.nan", "VPG1213", ""),
        ("seed", "VPG1224", ""),
        ("=3", "VPG1224", ""),
        ("seed=three", "VPG1209", ""),
        ("seed=[", "VPG1238", ""),
        ("seed=!!python/name:os.system x", "VPG1243", ""),
        ("vpgs.gate.size=larg", "VPG1203", "large"),
        ("start=2026-04-01T09:00", "VPG1251", "2026-04-01T09:00:00+09:00"),
    ],
)
def test_a_bad_set_option_is_explained(option: str, code: str, hint: str) -> None:
    found = problems(SMALL, option)
    assert found[0].code == code
    assert found[0].values.get("hint", "") == hint
    assert found[0].place is not None
    assert found[0].place.file.startswith("--set ")


def test_an_unknown_variant_is_explained() -> None:
    found = problems(text(tail=VARIANTS), variant="bigg")
    assert [(p.code, p.values["hint"]) for p in found] == [("VPG1225", "big")]


# ---- all at once, and where ---------------------------------------------------------------------


def test_mistakes_come_once_each_and_in_file_order() -> None:
    found = problems(
        text(("size: small", "size: smal"), ("vpg: gate", "vpg: gat"), ("10", "-1"), ("60", "0"))
    )
    places = [(p.place.line, p.place.column) for p in found if p.place is not None]
    assert [p.code for p in found] == ["VPG1203", "VPG1228", "VPG1211", "VPG1211"]
    assert places == sorted(places)
    assert [p.path for p in found] == [
        "vpgs[0].size", "fleets[0].vpg", "fleets[0].lines", "fleets[0].traffic[0].every_s",
    ]  # fmt: skip


def test_a_directory_is_refused(tmp_path: Path) -> None:
    assert codes(tmp_path) == ["VPG1231"]


def test_a_device_is_refused_unread() -> None:
    from pathlib import Path

    assert codes(Path("/dev/zero")) == ["VPG1232"]


def test_a_path_that_cannot_be_is_refused(tmp_path: Path) -> None:
    assert codes(tmp_path / "absent.yaml") == ["VPG1230"]
    assert codes(tmp_path / ("x" * 300)) == ["VPG1234"]
    (tmp_path / "file").write_text("x", encoding="utf-8")
    assert codes(tmp_path / "file" / "below.yaml") == ["VPG1234"]


# ---- places -------------------------------------------------------------------------------------


@given(
    st.recursive(
        st.integers(-5, 5)
        | st.booleans()
        | st.none()
        | st.from_regex(r"[a-z]{1,4}", fullmatch=True),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.from_regex(r"[a-z]{1,3}", fullmatch=True), inner, max_size=3)
        ),
        max_leaves=12,
    )
)
def test_values_read_as_another_yaml_reader_reads_them(value: object) -> None:
    from io import StringIO

    from ruamel.yaml import YAML

    out = StringIO()
    YAML(typ="safe", pure=True).dump({"top": value}, out)
    root = Composer("x").compose(out.getvalue())

    def as_lists(part: object) -> object:
        if isinstance(part, tuple):
            return [as_lists(item) for item in part]
        return {k: as_lists(v) for k, v in part.items()} if isinstance(part, dict) else part

    assert as_lists(root.plain()) == {"top": value}


def test_a_place_is_of_the_key() -> None:
    root = Composer("x").compose("a:\n  - b: {c: 1}\n")
    assert str(root.place_of(("a", 0, "b", "c"))) == "x:2:9"
    assert str(root.place_of(("a", 0, "b", "absent"))) == "x:2:5"
    assert str(root.place_of(("a", 7))) == "x:1:1"
