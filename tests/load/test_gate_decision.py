"""The gate's rules on made-up rounds of known noise: false alarms, finds, and what is certain."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.gate.decision import Verdict, believed, decide, verdict_of
from loadtests.gate.statistics import Draws, Interval, paired, unpaired
from loadtests.gate.values import (
    BASE,
    BUDGETS,
    CONTROL,
    FIGURES,
    HEAD,
    Count,
    Recording,
    RecordingError,
    chosen,
    decode,
    encode,
)
from tests.support_gate import made

ROLES = (BASE, CONTROL, HEAD)


def test_the_same_rounds_and_seed_give_the_same_interval() -> None:
    values = np.random.default_rng(1).normal(0, 1, (5, 6)).tolist()
    assert paired(values, seed=1, stream=2) == paired(values, seed=1, stream=2)
    assert paired(values, seed=1, stream=2) != paired(values, seed=2, stream=2)
    assert paired(values, seed=1, stream=2) != paired(values, seed=1, stream=3)


@given(st.floats(-1, 1), st.integers(2, 6), st.integers(2, 6))
def test_without_noise_the_interval_is_the_value(value: float, restarts: int, rounds: int) -> None:
    found = paired([[value] * rounds] * restarts, seed=1, stream=0)
    assert (found.estimate, found.low, found.high) == pytest.approx((value,) * 3)


@given(st.integers(0, 2**32), st.integers(1, 50))
def test_an_order_is_a_permutation(seed: int, count: int) -> None:
    assert sorted(Draws(seed, 7).order(count)) == list(range(count))


def test_one_disturbed_round_does_not_move_the_estimate() -> None:
    calm = [[0.0, 0.001, -0.001, 0.002, -0.002]] * 3
    disturbed = [[5.0, 0.001, -0.001, 0.002, -0.002], *calm[1:]]
    assert abs(paired(disturbed, seed=1, stream=0).estimate) < 0.001


def test_a_restart_that_is_off_widens_the_interval() -> None:
    calm = paired([[0.0, 0.001, -0.001]] * 5, seed=1, stream=0)
    off = paired([[0.1, 0.101, 0.099], *[[0.0, 0.001, -0.001]] * 4], seed=1, stream=0)
    assert off.high - off.low > 10 * (calm.high - calm.low)


def test_the_interval_covers_the_truth() -> None:
    rng, missed = np.random.default_rng(5), 0
    for trial in range(200):
        values = 0.03 + rng.normal(0, 0.01, (5, 1)) + rng.normal(0, 0.03, (5, 6))
        found = paired(values.tolist(), seed=trial, stream=0)
        missed += not found.low <= 0.03 <= found.high
    assert missed <= 200 * 0.08, "a bootstrap of few restarts may be short, not blind"


def test_unpaired_sees_the_difference_of_two_jobs() -> None:
    rng = np.random.default_rng(6)
    head, base = (rng.normal(mean, 0.01, (5, 6)).tolist() for mean in (0.2, 0.1))
    found = unpaired(head, base, seed=1, stream=0)
    assert found.low < 0.1 < found.high
    assert found.low > 0.05


@pytest.mark.parametrize(
    ("estimate", "low", "high", "verdict"),
    [
        (0.0, -0.03, 0.03, "no_change"),
        (0.10, 0.05, 0.15, "slower"),
        (0.06, 0.01, 0.11, "slower"),
        (0.06, -0.01, 0.13, "cannot_tell"),
        (0.03, 0.01, 0.06, "cannot_tell"),
        (-0.10, -0.15, -0.05, "faster"),
        (0.0, -0.2, 0.2, "cannot_tell"),
    ],
)
def test_verdicts(estimate: float, low: float, high: float, verdict: str) -> None:
    interval = Interval(estimate=estimate, low=low, high=high)
    assert verdict_of(interval, 0.04, more_is_better=False) == verdict
    mirrored = Interval(estimate=-estimate, low=-high, high=-low)
    assert verdict_of(mirrored, 0.04, more_is_better=True) == verdict


def test_a_verdict_is_believed_where_control_and_canaries_let_it() -> None:
    def of(change: Verdict, control: Verdict, *, clear: bool = False, off: bool = False) -> Verdict:
        return believed(change, control, is_clear=clear, is_disturbed=off)

    assert of("slower", "no_change") == of("slower", "no_change", off=True) == "slower"
    assert of("no_change", "no_change") == "no_change"
    assert of("no_change", "no_change", off=True) == "cannot_tell"
    assert of("slower", "cannot_tell") == "cannot_tell"
    assert of("slower", "cannot_tell", clear=True) == "slower"
    assert of("faster", "cannot_tell", clear=True) == "cannot_tell"
    controls: tuple[Verdict, ...] = ("slower", "faster")
    for control in controls:
        assert of("slower", control, clear=True) == "cannot_tell"


# ---- whole decisions -----------------------------------------------------------------------------


def test_quiet_rounds_of_the_same_code_pass() -> None:
    found = decide(made(ROLES, seed=1))
    assert (found.answer, found.reasons) == ("passes", [])
    assert {row.verdict for row in found.figures} == {"no_change"}


@pytest.mark.parametrize("figure", [one.name for one in FIGURES])
def test_each_figure_alone_can_fail_the_gate(figure: str) -> None:
    one = next(one for one in FIGURES if one.name == figure)
    factor = 1 + 2 * one.band
    worse = 1 / factor if one.more_is_better else factor
    found = decide(made(ROLES, seed=2, changes={HEAD: {figure: worse}}))
    assert (found.answer, found.reasons) == ("fails", [figure])
    better = decide(made(ROLES, seed=2, changes={HEAD: {figure: 1 / worse}}))
    assert better.answer == "passes"
    assert {row.name: row.verdict for row in better.figures}[figure] == "faster"


def test_a_control_that_differs_makes_nothing_believable() -> None:
    changes = {CONTROL: {"cpu_us_per_single": 1.5}, HEAD: {"cpu_us_per_single": 1.5}}
    found = decide(made(ROLES, seed=3, changes=changes))
    assert (found.answer, found.reasons) == ("cannot_tell", ["cpu_us_per_single"])


def test_noise_makes_it_say_that_it_cannot_tell() -> None:
    found = decide(made(ROLES, seed=4, noise=0.4))
    assert found.answer == "cannot_tell"


def test_false_alarms_and_finds_over_many_jobs_of_known_noise() -> None:
    """Rounds as noisy as those of a shared machine: 3 % each, starts off by 0.5 %."""
    slow = {"cpu_us_per_single": 1.10, "cpu_us_per_batched": 1.10, "singles_per_s": 0.94}
    same = [decide(made(ROLES, seed=seed, noise=0.03)).answer for seed in range(60)]
    slowed = [
        decide(made(ROLES, seed=seed, noise=0.03, changes={HEAD: slow})).answer
        for seed in range(60)
    ]
    assert same.count("fails") <= 1
    assert slowed.count("fails") >= 57


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("stored", "reason"), [(9_999, "lost"), (10_001, "doubled")])
def test_an_event_lost_or_counted_twice_always_fails(role: str, stored: int, reason: str) -> None:
    count = Count(acknowledged=10_000, stored=stored, refused=0, unknown=0)
    found = decide(made(ROLES, seed=1, noise=0.4, counts={role: count}))
    assert (found.answer, found.reasons) == ("fails", [f"{reason} {role}"])


def test_unknown_events_may_be_stored_or_not_but_are_told() -> None:
    for stored in (10_000, 10_003):
        count = Count(acknowledged=10_000, stored=stored, refused=0, unknown=3)
        assert (count.lost, count.doubled) == (0, 0)
    assert Count(acknowledged=10_000, stored=10_004, refused=0, unknown=3).doubled == 1


def test_requests_refused_by_the_head_alone_fail_and_by_all_cannot_be_told() -> None:
    refused = Count(acknowledged=10_000, stored=10_000, refused=5, unknown=0)
    alone = decide(made(ROLES, seed=1, counts={HEAD: refused}))
    assert (alone.answer, alone.reasons) == ("fails", ["refused head"])
    both = decide(made(ROLES, seed=1, counts={HEAD: refused, BASE: refused}))
    assert both.answer == "cannot_tell"


@pytest.mark.parametrize("name", BUDGETS)
def test_a_budget_exceeded_fails_by_the_least_of_all_restarts(name: str) -> None:
    more = decide(made(ROLES, seed=1, budgets={HEAD: {name: 1.1}}))
    assert (more.answer, more.reasons) == ("fails", [f"budget {name}"])
    less = decide(made(ROLES, seed=1, budgets={HEAD: {name: 0.5}}))
    assert less.answer == "passes"
    uncounted = made(ROLES, seed=1)
    for restart in uncounted.restarts:
        del restart.budgets[HEAD][name]
    assert name not in {row.name for row in decide(uncounted).budgets}


def test_a_commit_more_is_one_too_many() -> None:
    found = decide(made(ROLES, seed=1, budgets={HEAD: {"commits_singles": 1.001}}))
    assert found.answer == "fails"


def test_another_machine_after_than_before_lets_nothing_pass() -> None:
    calm = made(ROLES, seed=1)
    before, after = calm.canaries
    drifted = msgspec.structs.replace(
        calm, canaries=[before, msgspec.structs.replace(after, cpu_us=2 * after.cpu_us)]
    )
    found = decide(drifted)
    assert (found.answer, found.disturbed) == ("cannot_tell", ["cpu"])
    stolen = msgspec.structs.replace(calm, machine=msgspec.structs.replace(calm.machine, steal=0.3))
    assert decide(stolen).disturbed == ["steal"]


# ---- a stored baseline ---------------------------------------------------------------------------


def test_a_baseline_of_a_machine_half_as_fast_compares_by_the_reference_workload() -> None:
    roles = (HEAD, CONTROL)
    now, then = made(roles, seed=1), made(roles, seed=2, slowness=2.0)
    found = decide(now, then)
    assert (found.answer, found.against) == ("passes", "baseline")
    slower = made(roles, seed=1, changes={role: {"cpu_us_per_single": 1.4} for role in roles})
    assert decide(slower, then).reasons == ["cpu_us_per_single"]


# ---- the file ------------------------------------------------------------------------------------


def test_a_recording_survives_its_file_and_is_decided_alike() -> None:
    recording = made(ROLES, seed=1)
    again = decode(encode(recording))
    assert encode(again) == encode(recording)
    assert decide(again).answer == decide(recording).answer
    for one, other in zip(decide(again).figures, decide(recording).figures, strict=True):
        assert math.isclose(one.change.ratio, other.change.ratio, rel_tol=1e-5)


def broken(recording: Recording, kind: str) -> bytes:
    plain = msgspec.to_builtins(recording)
    if kind == "schema":
        plain["schema_version"] = "vpgsim-gate-recording-v0"
    elif kind == "unknown key":
        plain["mood"] = "good"
    elif kind == "no restarts":
        plain["restarts"] = []
    elif kind == "uneven":
        del plain["restarts"][0]["rounds"][0]
    elif kind == "missing side":
        del plain["restarts"][1]["rounds"][1]["samples"][HEAD]
    elif kind == "zero":
        plain["restarts"][0]["rounds"][0]["samples"][HEAD]["memory_kib"] = 0
    elif kind == "one canary":
        del plain["canaries"][0]
    return b"[" if kind == "no json" else msgspec.json.encode(plain)


@pytest.mark.parametrize(
    "kind",
    [
        *("schema", "unknown key", "no restarts", "uneven", "missing side", "zero"),
        *("one canary", "no json"),
    ],
)
def test_what_is_no_recording_is_refused(kind: str) -> None:
    with pytest.raises(RecordingError):
        decode(broken(made(ROLES, seed=1), kind))


def test_sides_can_be_renamed() -> None:
    recording = made((*ROLES, "slow"), seed=1, changes={"slow": {"cpu_us_per_single": 1.3}})
    found = decide(chosen(recording, {BASE: BASE, CONTROL: CONTROL, HEAD: "slow"}))
    assert found.reasons == ["cpu_us_per_single"]
