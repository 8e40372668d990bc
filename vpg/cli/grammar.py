"""The grammar of the command line: common options, declaring commands, mistakes in our words.

Owns: what every command shares, and the turning of typer's own complaints into numbered problems.
Does not own: what a command does. Typer is used without rich (help in plain text, 0.1 s less to
start).
"""

from __future__ import annotations

import functools
import inspect
import re
import typing
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperCommand, TyperGroup

from vpg.cli.language import word
from vpg.errors import Problem, UsageError
from vpg.hints import Hint, closest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vpg.cli.language import Lang

_LANG_HELP = "Language of the answer; else VPG_LANG, else the locale, else en."
LangOption = Annotated[Literal["ja", "en"] | None, typer.Option("--lang", help=_LANG_HELP)]
_COMMON = {
    "lang": (LangOption, None),
    "json": (
        Annotated[
            bool,
            typer.Option("--json", help="Print one JSON document on stdout; all else on stderr."),
        ],
        False,
    ),
    "quiet": (
        Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no notes, no summary.")],
        False,
    ),
    "no_color": (
        Annotated[bool, typer.Option("--no-color", help="No colour (so does NO_COLOR).")],
        False,
    ),
}

_EXAMPLES_HEAD = "\n\n\b\nExamples:\n"
_HELP: dict[str, Any] = {"help_option_names": ["--help", "-h"]}
# Typer carries its own copy of click and exports of its usage errors only this one.
UsageComplaint: type[Exception] = typer.BadParameter.__mro__[1]


class Command(TyperCommand):
    """A command that names every word too many itself."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - typer's
        """Take typer's arguments; words too many are kept, to be told in our words."""
        settings = {**_HELP, **(kwargs.pop("context_settings", None) or {})}
        settings["allow_extra_args"] = True
        super().__init__(*args, context_settings=settings, **kwargs)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401
        """Parse, then refuse what no argument took."""
        rest = super().parse_args(ctx, args)
        if rest and not ctx.resilient_parsing:
            values = {"arguments": " ".join(rest), "command": ctx.command_path}
            raise UsageError(Problem(code="VPG1016", values=values))
        return rest


class Group(TyperGroup):
    """A group of commands that answers a missing or unknown name with those it has."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401
        """Parse, then refuse a line without a command."""
        if not _names_a_command(args) and not ctx.resilient_parsing:
            super().parse_args(ctx, args)  # --help, --version and unknown options end here
            values = {"group": ctx.command_path, "known": ", ".join(self.commands)}
            raise UsageError(Problem(code="VPG1018", values=values))
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401
        """Find the command named first in ``args``, or by its first two words (``bill check``)."""
        pair = " ".join(args[:2])
        if pair in self.commands:
            args = [pair, *args[2:]]
        if args[0] not in self.commands and not ctx.resilient_parsing:
            known = tuple(self.commands)
            values = {
                "command": args[0],
                "known": ", ".join(known),
                "hint": closest(args[0], known),
                "group": ctx.command_path,
            }
            raise UsageError(Problem(code="VPG1011", values=values))
        return super().resolve_command(ctx, args)


def _names_a_command(args: Sequence[str]) -> bool:
    left = iter(args)
    for arg in left:
        if arg == "--lang":
            next(left, None)
        elif not arg.startswith("-"):
            return True
    return False


def new_app(text: str, **settings: Any) -> typer.Typer:  # noqa: ANN401 - typer's own settings
    """Return an empty group of commands whose help begins with ``text``.

    Give it a callback with ``LangOption``: ``--lang`` may stand before a command, too.
    """
    return typer.Typer(
        cls=Group,
        help=text,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        suggest_commands=False,
        context_settings=_HELP,
        **settings,
    )


Options = dict[str, tuple[Any, Any]]
"""Parameter name → (annotation, default; ``inspect.Parameter.empty`` when it must be given)."""


def command(
    app: typer.Typer,
    name: str,
    text: str,
    examples: Sequence[str],
    options: Options | None = None,
) -> Any:  # noqa: ANN401 - a decorator
    """Declare a command of ``app``: its function gets a ``Terminal``, then the parsed options.

    The help shows ``text``, then ``examples``, then the options with the common ones behind. The
    options are the function's own parameters, or ``options`` when several commands share a
    function.
    """

    def declare(function: Callable[..., None]) -> Callable[..., None]:
        own = _parameters_of(function) if options is None else options
        context: Options = {"ctx": (typer.Context, inspect.Parameter.empty)}

        @functools.wraps(function)
        def body(**values: Any) -> None:  # noqa: ANN401 - what typer parsed
            terminal = values.pop("ctx").obj
            if values.get("out") == "":  # no name; as a path it would mean this directory
                problem = {"option": "--out", "value": "", "example": "--out results"}
                raise UsageError(Problem(code="VPG1030", values=problem))
            function(terminal, **{k: v for k, v in values.items() if k not in _COMMON})

        body.__dict__["__signature__"] = _signature({**context, **own, **_COMMON})
        body.__annotations__ = {}
        app.command(name, cls=Command, help=with_examples(text, examples))(body)
        return function

    return declare


def _parameters_of(function: Callable[..., None]) -> Options:
    # The first parameter is the terminal; its annotation is for the type checker only.
    hints = typing.get_type_hints(function, localns={"Terminal": object}, include_extras=True)
    given = list(inspect.signature(function).parameters.values())[1:]
    return {param.name: (hints[param.name], param.default) for param in given}


def _signature(options: Options) -> inspect.Signature:
    return inspect.Signature(
        [
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
            for key, (kind, default) in options.items()
        ]
    )


def with_examples(text: str, examples: Sequence[str]) -> str:
    """Return help text: one paragraph, then the examples, line by line as they are."""
    lines = "\n".join(f"  {example}" for example in examples)
    return f"{text}{_EXAMPLES_HEAD}{lines}" if examples else text


# ---- help in the reader's language ---------------------------------------------------------------


def translate(command: Any, lang: Lang, key: str) -> None:  # noqa: ANN401 - typer's own
    """Let the help of ``command``, and of those below it, begin in ``lang``.

    ``key`` names the words; those of a command below end with its name. Options and examples stay
    as they are: English.
    """
    if lang == "en":
        return
    _, head, examples = (command.help or "").partition(_EXAMPLES_HEAD)
    paragraphs = word(key, lang).split("\n\n")
    command.short_help = paragraphs[0]
    # Not wrapped anew: the library would count letters, of which a Japanese one takes two columns.
    command.help = "\n\n".join(f"\b\n{one}" for one in paragraphs) + head + examples
    for name, below in getattr(command, "commands", {}).items():
        translate(below, lang, f"{key}_{name}")


# ---- typer's complaints in our words -------------------------------------------------------------


def complaint_as_problem(complaint: Exception) -> Problem:
    """Return typer's ``complaint`` (a ``UsageComplaint``) as a numbered problem."""
    kind = type(complaint).__name__
    command_path = getattr(getattr(complaint, "ctx", None), "command_path", "vpg")
    option = str(getattr(complaint, "option_name", ""))
    if kind == "NoSuchOption":
        bare = {name.lstrip("-"): name for name in getattr(complaint, "possibilities", None) or ()}
        meant = closest(option.lstrip("-"), bare)
        hint = Hint(bare.get(str(meant), ""))
        values = {"option": option, "command": command_path, "hint": hint}
        return Problem(code="VPG1010", values=values)
    if kind == "MissingParameter":
        values = {"name": _name_of(complaint), "command": command_path}
        return Problem(code="VPG1012", values=values)
    if kind == "BadOptionUsage":
        needs = "requires" in str(complaint)
        return Problem(code="VPG1014" if needs else "VPG1015", values={"option": option})
    if kind == "BadParameter":
        return _bad_value(complaint)
    return Problem(code="VPG1019", values={"text": str(complaint)})


def _name_of(complaint: Exception) -> str:
    param = getattr(complaint, "param", None)
    opts = getattr(param, "opts", None) or [""]
    return str(getattr(param, "metavar", None) or opts[0]).upper() if param else str(complaint)


def _bad_value(complaint: Exception) -> Problem:
    param = getattr(complaint, "param", None)
    option = "/".join(getattr(param, "opts", ()))
    kind = getattr(param, "type_descriptor", None)
    given = _given(complaint)
    choices = getattr(kind, "choices", None)
    if choices:
        names = [str(choice) for choice in choices]
        values = {"option": option, "value": given, "known": ", ".join(names)}
        return Problem(code="VPG1013", values={**values, "hint": closest(given, names)})
    if getattr(kind, "annotation", None) is int:
        low, high = getattr(param, "min", None), getattr(param, "max", None)
        if low is None:
            return Problem(code="VPG1034", values={"option": option, "value": given})
        if high is None:
            values = {"option": option, "value": given, "low": low}
            return Problem(code="VPG1033", values=values)
        values = {"option": option, "value": given, "low": low, "high": high}
        return Problem(code="VPG1017", values=values)
    return Problem(code="VPG1019", values={"text": f"{option}: {complaint}"})


def _given(complaint: Exception) -> str:
    errors = getattr(complaint.__cause__, "errors", None)
    if errors is not None:
        return str(errors()[0].get("input", ""))
    found = re.search(r"'([^']*)'", str(complaint))
    return found[1] if found else ""
