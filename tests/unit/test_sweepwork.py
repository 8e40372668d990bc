"""The journal of a sweep: whatever is read back was finished, whatever happened to the file."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpg.errors import EnsureError, ExitCode, InputError
from vpg.sweeps import RunRow
from vpg.sweepwork import JOURNAL, SweepError, SweepWork

if TYPE_CHECKING:
    from pathlib import Path


def row(point: int, replication: int = 0) -> RunRow:
    figures = {
        name: point
        for name in RunRow.__struct_fields__
        if name not in {"values", "replication", "charges_complete", "verdict", "digest"}
    }
    return RunRow(
        **figures,
        replication=replication,
        values=("長い, \n", str(point)),
        charges_complete=True,
        verdict="holds",
        digest="d",
    )


def work(folder: Path, identity: str = "a" * 64) -> SweepWork:
    return SweepWork(parent=folder, scenario="名 前/x", identity=identity)


def kept(folder: Path, count: int) -> Path:
    with work(folder) as one:
        one.open({"scenario.yaml": b"x"}, "words", fresh=False)
        for point in range(count):
            one.add(row(point))
    return one.path


def read(folder: Path, identity: str = "a" * 64, *, fresh: bool = False) -> dict[int, RunRow]:
    with work(folder, identity) as one:
        rows = one.open({"scenario.yaml": b"x"}, "words", fresh=fresh)
    assert all(one.replication == 0 for one in rows)
    return {one.point: one for one in rows}


def test_what_was_kept_is_read_back_and_the_name_is_safe(tmp_path: Path) -> None:
    path = kept(tmp_path, 3)
    assert path.name == f"sweep-名-前-x-{'a' * 16}.partial"
    assert (path / "scenario.yaml").read_bytes() == b"x"
    assert (path / "PARTIAL").read_text(encoding="utf-8") == "words\n"
    assert read(tmp_path) == {point: row(point) for point in range(3)}
    assert read(tmp_path, fresh=True) == {}
    assert read(tmp_path) == {}


@given(cut=st.integers(0, 2000), noise=st.binary(max_size=40))
def test_torn_at_any_byte_only_finished_points_come_back_and_new_ones_can_follow(
    cut: int, noise: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("torn")
    journal = kept(folder, 3) / JOURNAL
    whole = journal.read_bytes()
    cut = min(cut, len(whole))
    journal.write_bytes(whole[:cut] + noise)
    lines = whole[:cut].count(b"\n")
    torn = cut - whole[:cut].rfind(b"\n") - 1
    found = read(folder)
    # A line cut just before its line feed is whole; noise behind it may also make it so.
    assert [*found][:lines] == [*range(lines)]
    assert all(found[point] == row(point) for point in found)
    assert len(found) <= lines + (1 if torn else 0)
    with work(folder) as one:
        one.open({}, "words", fresh=False)
        one.add(row(9))
    assert read(folder)[9] == row(9)


def test_each_replication_is_kept_and_the_same_line_twice_counts_once(tmp_path: Path) -> None:
    for _ in range(2):
        with work(tmp_path) as one:
            one.open({}, "words", fresh=False)
            for replication in range(3):
                one.add(row(7, replication))
    with work(tmp_path) as one:
        assert one.open({}, "words", fresh=False) == [row(7, number) for number in range(3)]


def test_two_answers_to_one_run_are_a_fault_and_not_a_choice(tmp_path: Path) -> None:
    with work(tmp_path) as one:
        one.open({}, "words", fresh=False)
        one.add(row(7))
        one.add(msgspec.structs.replace(row(7), digest="another"))
    with work(tmp_path) as one, pytest.raises(EnsureError, match="run 0 of point 7"):
        one.open({}, "words", fresh=False)


def test_points_of_another_sweep_never_come_back(tmp_path: Path) -> None:
    journal = kept(tmp_path, 3) / JOURNAL
    other = "a" * 16 + "b" * 48
    assert read(tmp_path, other) == {}
    journal.write_bytes(journal.read_bytes().replace(b'"point":1', b'"point":2'))
    assert [*read(tmp_path)] == [0, 2]


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_full_disk_ends_with_6_and_keeps_the_points_before(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write

    def full(handle: int, data: bytes = b"") -> int:
        if call == "write" and len(data) > 10:
            return real(handle, data[:10])  # A part fits, then nothing does.
        raise OSError(errno.ENOSPC, "No space left on device")

    with work(tmp_path) as one:
        one.open({}, "words", fresh=False)
        one.add(row(0))
        with monkeypatch.context() as patch:
            patch.setattr(os, call, full)
            with pytest.raises(SweepError) as caught:
                one.add(row(1))
        one.add(row(2))
    problem = caught.value.problem
    assert (caught.value.exit_code, problem.code) == (ExitCode.PARTIAL, "VPG1481")
    assert problem.values["finished"] == 1
    assert [*read(tmp_path)] == [0, 2]


def test_a_place_that_cannot_be_written_is_the_persons_to_change(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError) as caught, work(tmp_path / "file") as one:
        one.open({}, "words", fresh=False)
    assert [problem.code for problem in caught.value.problems] == ["VPG1451"]


def test_nothing_is_left_when_the_result_is_complete(tmp_path: Path) -> None:
    kept(tmp_path, 2)
    work(tmp_path).remove()
    work(tmp_path).remove()
    assert list(tmp_path.iterdir()) == []
