"""Where words go: data to stdout, all else to stderr; one JSON document when asked.

Owns: the two streams, colour, quiet, and that what strangers wrote (file names, values) cannot
drive the terminal. Does not own: what is said.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from vpg.cli.language import Lang, resolve, word
from vpg.errors import ExitCode, Problem, VpgError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

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


class LostOutputError(VpgError):
    """Stdout took no more of a result, e.g. because the disk behind it is full."""

    exit_code = ExitCode.PARTIAL

    def __init__(self, reason: str, kept: Path | None = None) -> None:
        """Keep the system's ``reason`` and the directory where the same result was ``kept``."""
        self.reason = reason
        self.problem = (
            Problem(code="VPG1035", values={"reason": reason})
            if kept is None
            else Problem(code="VPG1036", values={"reason": reason, "kept": kept})
        )
        super().__init__(reason)


@contextmanager
def kept_in(folder: Path) -> Iterator[None]:
    """Tell, when the result told inside is lost, that ``folder`` holds it."""
    try:
        yield
    except LostOutputError as lost:
        raise LostOutputError(lost.reason, folder) from lost


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
        """Print a result to stdout, unless the result is a JSON document.

        Raises ``LostOutputError``, like ``document`` and ``page``, when stdout takes no more.
        """
        if not self.as_json:
            with _told(sys.stdout):
                sys.stdout.write(f"{text}\n")
                sys.stdout.flush()

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
            self.complain(text)

    def complain(self, text: str) -> None:
        """Say what is wrong to stderr, always; when nobody can hear it, the exit code tells."""
        with suppress(LostOutputError), _told(sys.stderr):
            sys.stderr.write(f"{clean(text)}\n")
            sys.stderr.flush()

    def document(self, document: Any) -> None:  # noqa: ANN401 - any msgspec document
        """Print the one JSON document of this command to stdout, in UTF-8 whatever the locale."""
        import msgspec

        encoded = msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
        with _told(sys.stdout):
            sys.stdout.flush()
            sys.stdout.buffer.write(encoded)
            sys.stdout.flush()

    def page(self, write: Callable[[Console], None]) -> None:
        """Let ``write`` print a page of the result on a rich console on stdout."""
        with _told(sys.stdout):
            write(self.console())

    def console(self, *, stderr: bool = False) -> Console:
        """Return a rich console on stdout (or stderr) that respects colour."""
        from rich.console import Console

        class Pipe(Console):
            """A console whose reader may go away; rich's own would end the process with 1."""

            def on_broken_pipe(self) -> None:
                """Go on in silence, so that the exit code stays the command's."""
                _silence(self.file)

        return Pipe(stderr=stderr, no_color=not self.color, highlight=False)


@contextmanager
def _told(stream: IO[str]) -> Iterator[None]:
    """Let nobody reading ``stream`` pass in silence; raise ``LostOutputError`` if it is full."""
    try:
        yield
    except BrokenPipeError:
        _silence(stream)
    except OSError as failure:
        _silence(stream)
        raise LostOutputError(failure.strerror or str(failure)) from failure


def _silence(stream: IO[str]) -> None:
    """Let ``stream`` lead nowhere: ``vpg catalogue | head`` finishes its work without a word.

    What is left in its buffer would fail once more at exit, with words and a code of Python's own.
    """
    with suppress(OSError, ValueError):
        stream.flush()
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def prepare_streams() -> None:
    """Let text that the locale cannot write come out escaped, and closed streams lead nowhere."""
    # In the order of their numbers: each takes the lowest free one, which is its own. Left free,
    # it would go to the next file that is opened, and what is told there would land in that file.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - for good
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
