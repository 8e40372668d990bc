"""Loads on a real service, for tests; no test lives here."""

from __future__ import annotations

import json
import os
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from tests.support_cli import Answer, start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support_serve import Serving

WAIT_S = 60.0


def load(folder: Path, *words: str) -> Answer:
    """Run ``vpg load`` with ``words`` in ``folder`` as a process of its own."""
    process = start("load", *words, cwd=folder)
    out, err = process.communicate(timeout=WAIT_S)
    return Answer(process.returncode, out, err)


def document(folder: Path, *words: str) -> tuple[int, dict[str, Any]]:
    """Run ``vpg load … --json``; return its exit code and document."""
    answer = load(folder, *words, "--json")
    assert answer.out, answer.err
    return answer.code, json.loads(answer.out)


def counted(one: Serving) -> int:
    """Return how many events the service's writer committed."""
    text = httpx.get(f"{one.url()}/metrics").text
    return int(float(text.split("\nvpg_writer_events_total ")[1].split("\n")[0]))


def until(true: Callable[[], bool], wait_s: float = WAIT_S) -> None:
    """Wait until ``true``."""
    end_s = time.monotonic() + wait_s
    while not true():
        assert time.monotonic() < end_s, "it never came"
        time.sleep(0.02)


@contextmanager
def meanwhile(one: Serving, after: int, work: Callable[[], None]) -> Iterator[None]:
    """Do ``work`` on a thread as soon as ``after`` more events are counted."""
    before = counted(one)

    def run() -> None:
        until(lambda: counted(one) >= before + after)
        work()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join(WAIT_S)


def children_of(pid: int) -> list[int]:
    """Return the living processes that ``vpg load`` of ``pid`` started, at any depth."""
    mark = f"VPG_LOAD_PARENT={pid}\0".encode()
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            if mark in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return [one for one in found if _runs(one)]


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
