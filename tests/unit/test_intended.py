"""The open-model schedule says what the simulator's devices create, message by message."""

from __future__ import annotations

from loadtests.intended import CSV_COLUMNS, csv_lines, schedule
from scenarios.loader import load_scenario
from scenarios.new import ready_text
from sim.run import simulate
from vpg.catalogue.load import load_catalogue
from vpg.timebase import HOUR_US

CATALOGUE = load_catalogue()


def test_as_many_messages_are_meant_as_the_simulation_offers() -> None:
    scenario = load_scenario(ready_text("parcel-trackers"), catalogue=CATALOGUE)

    sends = list(schedule(scenario, scenario.start_us, scenario.end_us))

    offered = sum(row.messages_offered for row in simulate(scenario, CATALOGUE).rows)
    assert offered == len(sends)
    assert sends == sorted(sends, key=lambda send: send.intended_us)


def test_any_window_is_a_piece_of_the_whole_schedule() -> None:
    scenario = load_scenario(ready_text("parcel-trackers"), catalogue=CATALOGUE)
    begin_us, end_us = scenario.start_us + HOUR_US // 2, scenario.start_us + 5 * HOUR_US // 2

    piece = list(schedule(scenario, begin_us, end_us))

    whole = schedule(scenario, scenario.start_us, scenario.end_us)
    assert [send for send in whole if begin_us <= send.intended_us < end_us] == piece
    assert piece


def test_the_csv_has_a_header_and_a_line_a_message() -> None:
    scenario = load_scenario(ready_text("smallest"), catalogue=CATALOGUE)

    lines = "".join(csv_lines(schedule(scenario, scenario.start_us, scenario.end_us))).split("\n")

    assert ",".join(CSV_COLUMNS) == lines[0]
    assert len(list(schedule(scenario, scenario.start_us, scenario.end_us))) == len(lines) - 2
