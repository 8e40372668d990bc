"""Where words go: data to stdout, all else to stderr; one JSON document when asked.

Owns: the two streams, colour, quiet, and that what strangers wrote (file names, values) cannot
drive the terminal. Does not own: what is said.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from vpg.cli.language import Lang, resolve, word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    r"""Return ``text`` with control and direction characters written out.

    >>> clean("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def sound(text: str) -> str:
    r"""Return ``text`` as valid Unicode: bytes of a file name that are none are written out.

    >>> sound("a\udcff")
    'a\\udcff'
    """
    return text.encode(errors="backslashreplace").decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """How one command speaks."""

    lang: Lang = "en"
    as_json: bool = False
    quiet: bool = False
    color: bool = True

    @staticmethod
    def of_arguments(
        arguments: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> Terminal:
        """Return what the common options in ``arguments`` ask for.

        Read before the command line is parsed, so that its own mistakes are told in the right
        language and form.
        """
        values = os.environ if environment is None else environment
        words: list[str] = []
        for argument in arguments:
            if argument == "--":
                break
            words.append(argument)
        asked = None
        for this, following in zip(words, (*words[1:], ""), strict=False):
            if this == "--lang":
                asked = following
            elif this.startswith("--lang="):
                asked = this.partition("=")[2]
        return Terminal(
            lang=resolve(asked, environment),
            as_json="--json" in words,
            quiet="--quiet" in words or "-q" in words,
            color="--no-color" not in words and not values.get("NO_COLOR"),
        )

    def word(self, key: str, **values: object) -> str:
        """Return words of ``words.toml`` in this terminal's language."""
        return word(key, self.lang, **values)

    def data(self, text: str) -> None:
        """Print a result to stdout, unless the result is a JSON document."""
        if not self.as_json:
            _print(text, sys.stdout)

    def wrote(self, files: Iterable[Path], scenario: Path) -> None:
        """Name the ``files`` written and how to run the ``scenario`` of them, unless quiet."""
        if self.quiet:
            return
        for path in files:
            self.data(self.word("new_wrote", path=path))
        self.data(self.word("new_next", path=scenario))

    def note(self, text: str) -> None:
        """Say something about the work to stderr, unless quiet."""
        if not self.quiet:
            _print(clean(text), sys.stderr)

    def complain(self, text: str) -> None:
        """Say what is wrong to stderr, always."""
        _print(clean(text), sys.stderr)

    def document(self, document: Any) -> None:  # noqa: ANN401 - any msgspec document
        """Print the one JSON document of this command to stdout, in UTF-8 whatever the locale."""
        import msgspec

        encoded = msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
        try:
            sys.stdout.flush()
            sys.stdout.buffer.write(encoded)
            sys.stdout.flush()
        except BrokenPipeError:
            _silence()

    def page(self, write: Callable[[Console], None]) -> None:
        """Let ``write`` print a page of the result on a rich console on stdout."""
        write(self.console())

    def console(self, *, stderr: bool = False) -> Console:
        """Return a rich console on stdout (or stderr) that respects colour."""
        from rich.console import Console

        class Pipe(Console):
            """A console whose reader may go away; rich's own would end the process with 1."""

            def on_broken_pipe(self) -> None:
                """Go on in silence, so that the exit code stays the command's."""
                _silence()

        return Pipe(stderr=stderr, no_color=not self.color, highlight=False)


def _print(text: str, stream: TextIO) -> None:
    try:
        stream.write(f"{text}\n")
        stream.flush()
    except BrokenPipeError:
        _silence()


def _silence() -> None:
    """Nobody reads any more (``vpg catalogue | head``): finish the work without a word."""
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    with suppress(OSError, ValueError):
        os.dup2(null, sys.stdout.fileno())


def prepare_streams() -> None:
    """Let text that the locale cannot write come out escaped rather than fail."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
