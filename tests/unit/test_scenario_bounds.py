"""What a file's shape allows and its run cannot use: stale tables, hopeless limits, the work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scenarios.doubts import warnings
from scenarios.loader import load_scenario
from scenarios.workload import expected_messages
from tests.support_scenarios import SMALL, catalogue, codes, meant, problems, text
from vpg.catalogue.load import load_catalogue
from vpg.errors import InputError
from vpg.text import LANGS, render

if TYPE_CHECKING:
    from pathlib import Path

    from vpg.catalogue.model import Catalogue

# ---- the catalogue over the whole period --------------------------------------------------------


def stale(folder: Path, item: str) -> Catalogue:
    """Return a catalogue whose ``item`` has no figure after March 2026."""
    table = folder / "ours.toml"
    table.write_text(
        'id = "ours"\neffective_from = 2026-01-01\nvalid_until = 2026-03-31\n'
        f'[[price]]\nitem = "{item}"\nvalue = 60\nunit = "yen/h"\nreplace = true\n',
        encoding="utf-8",
    )
    return load_catalogue([table])


@pytest.mark.parametrize(
    "whole",
    [
        text(),
        text(("2026-04-01T09", "2026-03-31T23")),
        text(
            ("size: small", "size: medium"),
            tail="events:\n  - {kind: recreate, at: +01:00:00, vpg: gate, size: small}\n",
        ),
    ],
    ids=["from-the-start", "ends-within", "recreated"],
)
def test_a_table_that_ended_is_an_error(whole: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_scenario(whole, catalogue=stale(tmp_path, "vpg_c_small"))
    (problem,) = caught.value.problems
    assert (problem.code, problem.path) == ("VPG1120", "vpg_c_small")
    assert problem.place is not None
    assert problem.place.line > 0
    assert "2026-03-31" in render(problem, "en")


def test_a_table_that_ended_for_another_size_or_later_is_none(tmp_path: Path) -> None:
    assert load_scenario(text(), catalogue=stale(tmp_path, "vpg_c_medium"))
    before = text(("2026-04-01T09", "2026-03-31T22"))
    assert load_scenario(before, catalogue=stale(tmp_path, "vpg_c_small"))


def test_a_run_before_the_first_table_is_an_error() -> None:
    found = problems(text(("2026-04-01", "2012-04-01")))
    assert {problem.code for problem in found} == {"VPG1121"}
    assert "lines_max_c_small" in {problem.path for problem in found}


# ---- limits that nothing can pass ---------------------------------------------------------------

BOTH = "assumptions: {beam_legs: both}\n"


def limiter(words: str, tail: str = BOTH, service: str = "beam") -> str:
    """Return the small file with a limiter and what its meters send through."""
    return text(
        ("size: small", f"size: small\n    limiter: {{{words}}}"),
        ("every_s: 60", f"every_s: 60\n        service: {service}"),
        tail=tail,
    )


def test_a_burst_below_the_cost_of_a_request_is_an_error() -> None:
    (problem,) = problems(limiter("burst_requests: 1"))
    assert (problem.code, problem.path) == ("VPG1602", "vpgs[0].limiter.burst_requests")
    assert "at least 2" in render(problem, "en")


@pytest.mark.parametrize(
    "whole",
    [
        limiter("burst_requests: 2"),
        limiter("burst_requests: 1", tail=""),
        limiter("burst_requests: 1", service="funnel"),
        limiter("burst_requests: 1", "assumptions: {beam_legs: both, above_rate: accept_and_flag}"),
    ],
    ids=["enough", "one-leg", "no-beam", "flagged-only"],
)
def test_a_burst_that_lets_requests_pass_is_fine(whole: str) -> None:
    assert meant(whole)


@pytest.mark.parametrize("words", ["kind: fixed_window", "kind: token_bucket"])
def test_a_rate_below_the_cost_of_a_request_is_an_error(words: str, tmp_path: Path) -> None:
    table = tmp_path / "ours.toml"
    table.write_text(
        'id = "ours"\neffective_from = 2026-01-01\n[[limit]]\nitem = "rate_per_s_c_small"\n'
        'value = 1\nunit = "requests/s"\nreplace = true\n',
        encoding="utf-8",
    )
    with pytest.raises(InputError) as caught:
        load_scenario(limiter(words), catalogue=load_catalogue([table]))
    assert [problem.code for problem in caught.value.problems] == ["VPG1603"]
    assert load_scenario(limiter(words, ""), catalogue=load_catalogue([table]))


# ---- the work of a run --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "messages"),
    [
        ("kind: periodic\n        every_s: 60", 1_200),
        ("kind: periodic\n        every_s: 60\n        share_percent: 25", 300),
        ("kind: poisson\n        messages_per_hour: 3", 60),
        ("kind: tr37868_model1\n        at: +00:30:00\n        over_s: 60", 10),
    ],
)
def test_the_estimate_is_what_the_sources_say(source: str, messages: int) -> None:
    scenario = meant(text(("kind: periodic\n        every_s: 60", source)))
    bounds = (scenario.start_us, scenario.end_us)
    assert expected_messages(scenario.fleets, scenario.events, *bounds) == messages


def test_lines_that_join_count_from_then_and_silent_ones_not() -> None:
    growth = "events:\n  - {kind: growth, at: +01:30:00, fleet: meters, lines: 20}\n"
    for change, messages in (("lines: 10", 1_800), ("lines: 10\n    status: suspended", 600)):
        scenario = meant(text(("lines: 10", change), tail=growth))
        bounds = (scenario.start_us, scenario.end_us)
        assert expected_messages(scenario.fleets, scenario.events, *bounds) == messages


def test_more_work_than_anybody_waits_for_is_an_error_and_much_a_warning() -> None:
    (problem,) = problems(SMALL, "fleets.meters.traffic.0.every_s=0.000003")
    assert problem.code == "VPG1601"
    assert "24,000,000,000" in render(problem, "en")
    slow = meant(SMALL, "fleets.meters.traffic.0.every_s=0.00002")
    found = warnings(slow, catalogue())
    assert [problem.code for problem in found] == ["VPG1604"]
    assert "3,600,000,000" in render(found[0], "en")
    assert "about 3 minutes" in render(found[0], "en")
    chance = (
        "kind: periodic\n        every_s: 60",
        "kind: poisson\n        messages_per_hour: 90000",
    )
    found = warnings(meant(text(chance, ("lines: 10", "lines: 1000"))), catalogue())
    assert "180,000,000" in render(found[0], "en")
    assert "about 3 minutes" in render(found[0], "en")


@pytest.mark.parametrize(
    "line",
    [
        "session: {reattach_every_s: 0.000001}",
        "session: {keepalive_s: 0.000999}",
        "retry: {steps: [{delay_s: 0.0001}]}",
        "attach_retry: {base_s: 0.0001, cap_s: 1}",
    ],
)
def test_what_repeats_takes_a_millisecond(line: str) -> None:
    (problem,) = problems(text(("lines: 10", f"lines: 10\n    {line}")))
    assert problem.code == "VPG1211"
    assert "0.001" in render(problem, "en")


# ---- contradictions, and how mistakes are told --------------------------------------------------


def test_queueing_and_flagging_exclude_each_other() -> None:
    tail = "assumptions: {above_rate: accept_and_flag}\n"
    (problem,) = problems(limiter("above: queue", tail))
    assert (problem.code, problem.path) == ("VPG1299", "vpgs[0].limiter.above")
    reset = meant(limiter("above: queue", "assumptions: {above_rate: reset}\n"))
    assert [p.code for p in warnings(reset, catalogue())] == ["VPG1607"]


@pytest.mark.parametrize(("delay_ms", "numbers"), [(1000, []), ("1000.5", ["VPG1608"])])
def test_an_upstream_slower_than_its_timeout_is_doubted(
    delay_ms: object, numbers: list[str]
) -> None:
    slow = f"size: small\n    upstream: {{delay_ms: {delay_ms}, timeout_s: 1}}"
    found = warnings(meant(text(("size: small", slow))), catalogue())
    assert [problem.code for problem in found] == numbers
    assert all(render(problem, lang) for problem in found for lang in LANGS)


@pytest.mark.parametrize("status", ["ready", "inactive", "suspended", "terminated"])
def test_lines_that_are_not_in_use_are_silent_without_a_warning(status: str) -> None:
    silent = ("    traffic:\n      - kind: periodic\n        every_s: 60\n", "")
    scenario = meant(text(silent, ("lines: 10", f"lines: 10\n    status: {status}")))
    assert warnings(scenario, catalogue()) == []


def test_a_hundred_problems_are_told_and_the_others_counted() -> None:
    many = "".join(f"  - {{name: f{n}, vpg: nowhere, lines: 1}}\n" for n in range(130))
    found = problems(text(tail=many))
    assert len(found) == 101
    assert "30 more problems" in render(found[-1], "en")
    few = "".join(f"  - {{name: f{n}, vpg: nowhere, lines: 1}}\n" for n in range(100))
    assert {problem.code for problem in problems(text(tail=few))} == {"VPG1228"}


def test_growth_behind_the_end_is_told_once() -> None:
    tail = "events:\n  - {kind: growth, at: +05:00:00, fleet: meters, lines: 2}\n"
    (problem,) = problems(text(tail=tail))
    assert (problem.code, problem.path) == ("VPG1255", "events[0].at")
    assert "None" not in render(problem, "en")


def test_an_absurd_number_of_an_option_is_told_once() -> None:
    assert codes(SMALL, "fleets.meters.lines=1e400") == ["VPG1214"]


def test_thousands_are_written_without_commas() -> None:
    (problem,) = problems(SMALL, "fleets.meters.lines=1,000")
    assert "write 1000" in render(problem, "en")
    assert codes(SMALL, "fleets.meters.lines=1,00") == ["VPG1209"]


def test_a_title_may_have_any_visible_character() -> None:
    (problem,) = problems(text(("name: case", 'name: case\ntitle: "a\\tb"')))
    assert problem.code == "VPG1606"


def test_a_mistake_of_an_override_names_it_and_its_variant() -> None:
    tail = "overrides: {more: {fleets.meters.lines: -1}}\nvariants: {peak: [more], calm: []}\n"
    (problem,) = problems(text(tail=tail), variant="peak")
    assert problem.path == "fleets[0].lines (overrides.more, variants.peak)"
    assert meant(text(tail=tail), variant="calm")
    (mistake,) = problems(text(tail="overrides: {more: {fleets.nobody.lines: 1}}\n"))
    assert mistake.path == "fleets.nobody.lines (overrides.more)"
