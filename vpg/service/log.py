"""The service's log: one JSON object a line on stderr, for machines and for people with a filter.

Owns: the form of a line and what may stand in it. Does not own: when something is told. No request
has a line of its own; no secret is ever a field. Times: ``at`` is this machine's UTC, the service's
own (which may run faster) is a field where it matters.

What libraries say through ``logging`` comes out in the same form, warnings and above.

A stream that takes no more (disk full, reader gone) loses lines, never the service.
"""

from __future__ import annotations

import logging
import sys
import traceback
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Final, Literal

import msgspec

from vpg.service.clock import wall_us
from vpg.timebase import iso_utc

if TYPE_CHECKING:
    from collections.abc import Iterator

Level = Literal["debug", "info", "warning", "error"]
LEVELS: Final[tuple[Level, ...]] = ("debug", "info", "warning", "error")
FIELD_CHARACTERS: Final = 500
"""Longest text of one field; what strangers sent must not fill a disk."""
_SECRET: Final = ("token", "password", "secret", "authorization", "key")
_HIDDEN: Final = "***"


class Log:
    """Tells what happened to the service as a whole."""

    def __init__(self, stream: IO[str] | None = None, *, least: Level = "info") -> None:
        """Write lines of ``least`` and above to ``stream`` (else stderr)."""
        self._stream = stream
        self._least = LEVELS.index(least)

    def debug(self, event: str, **fields: object) -> None:
        """Tell a detail that matters to whoever looks for a mistake."""
        self._tell("debug", event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Tell what belongs to the service's ordinary life."""
        self._tell("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Tell what somebody should look at, some time."""
        self._tell("warning", event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Tell what keeps the service from its work."""
        self._tell("error", event, fields)

    def _tell(self, level: Level, event: str, fields: dict[str, object]) -> None:
        if LEVELS.index(level) < self._least:
            return
        stream = sys.stderr if self._stream is None else self._stream
        with suppress(OSError, ValueError):
            stream.write(f"{line(level, event, fields, at_us=wall_us())}\n")
            stream.flush()


class Bridge(logging.Handler):
    """Hands to a ``Log`` what is told through Python's own ``logging``."""

    def __init__(self, log: Log) -> None:
        """Hand on warnings and above."""
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Tell one record; of a failure, its kind and where it came from."""
        fields: dict[str, object] = {"logger": record.name, "text": record.getMessage()}
        if record.exc_info and record.exc_info[1] is not None:
            failure = record.exc_info[1]
            fields["failure"] = "".join(traceback.format_exception_only(failure)).strip()
            frames = traceback.extract_tb(failure.__traceback__)
            fields["where"] = " < ".join(f"{one.name}:{one.lineno}" for one in frames[:-6:-1])
        tell = self._log.error if record.levelno >= logging.ERROR else self._log.warning
        tell("library", **fields)


@contextmanager
def bridged(log: Log) -> Iterator[None]:
    """Let ``log`` tell, for a while, what the process says through Python's own ``logging``."""
    root, handler = logging.getLogger(), Bridge(log)
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


def line(level: Level, event: str, fields: dict[str, object], *, at_us: int) -> str:
    r"""Return one line of the log; control and direction characters are written out.

    >>> line("info", "ready", {"port": 8090, "name": "a\x1bb"}, at_us=0)
    '{"at":"1970-01-01T00:00:00Z","level":"info","event":"ready","port":8090,"name":"a\\\\x1bb"}'
    """
    said: dict[str, object] = {"at": iso_utc(at_us), "level": level, "event": event}
    said.update({name: _safe(name, value) for name, value in fields.items() if name not in said})
    return msgspec.json.encode(said).decode()


def _safe(name: str, value: object) -> object:
    if any(word in name.lower() for word in _SECRET):
        return _HIDDEN
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return round(value, 6)
    text = str(value)
    if len(text) > FIELD_CHARACTERS:
        text = f"{text[:FIELD_CHARACTERS]}…"
    return "".join(one if one.isprintable() else _written_out(one) for one in text)


def _written_out(one: str) -> str:
    number = ord(one)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"  # noqa: PLR2004 - one byte
