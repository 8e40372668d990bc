"""The service's log: one JSON object a line, nothing that can drive a terminal, no secret."""

from __future__ import annotations

import io
import json
import logging
import re

from hypothesis import given
from hypothesis import strategies as st

from vpg.service import log

ANY = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64), st.text(), st.binary())


@given(st.dictionaries(st.sampled_from(["a", "path", "why", "level"]), ANY))
def test_a_line_is_one_json_object_of_printable_text(fields: dict[str, object]) -> None:
    line = log.line("info", "happened", fields, at_us=0)
    said = json.loads(line)
    assert list(said)[:3] == ["at", "level", "event"]
    assert said["level"] == "info"
    assert line.isprintable()
    assert all(one.isprintable() for one in said.values() if isinstance(one, str))
    assert len(line) <= 4 * (6 * log.FIELD_CHARACTERS + 100)


@given(st.sampled_from(["token", "api_token", "Password", "authorization", "private_key"]), ANY)
def test_what_is_called_a_secret_is_never_told(name: str, value: object) -> None:
    assert json.loads(log.line("info", "x", {name: value}, at_us=0))[name] == "***"


def test_only_lines_of_the_least_level_and_above_are_told() -> None:
    stream = io.StringIO()
    one = log.Log(stream, least="warning")
    one.debug("a")
    one.info("b")
    one.warning("c", number=1)
    one.error("d")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["c", "d"]


def test_a_stream_that_is_gone_loses_lines_and_nothing_else() -> None:
    stream = io.StringIO()
    stream.close()
    log.Log(stream).error("lost")


def _fail() -> None:
    raise ValueError("a\nb")


def test_what_libraries_say_comes_out_in_the_same_form() -> None:
    stream = io.StringIO()
    with log.bridged(log.Log(stream)):
        library = logging.getLogger("library.part")
        library.info("not told")
        library.warning("slow\x1b[31m %s", "x")
        try:
            _fail()
        except ValueError:
            library.exception("failed")
    logging.getLogger("library.part").warning("not ours any more")
    slow, failed = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (slow["level"], slow["text"]) == ("warning", "slow\\x1b[31m x")
    assert (failed["level"], failed["failure"]) == ("error", "ValueError: a\\x0ab")
    assert re.match(r"_fail:\d+ < test_what_libraries_say\w+:\d+$", failed["where"])
