"""From an exception to an exit code and words a person can act on: never a traceback.

Owns: the mapping and the crash file. Does not own: texts (``vpg/messages``).
"""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from typing import TYPE_CHECKING

from vpg.cli.files import DISK_FULL
from vpg.cli.grammar import UsageComplaint, complaint_as_problem
from vpg.cli.terminal import LostOutputError
from vpg.errors import EnsureError, ExitCode, InputError, Problem, UsageError, VpgError
from vpg.text import render

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vpg.cli.terminal import Terminal


def report(failure: Exception, terminal: Terminal) -> ExitCode:
    """Tell ``failure`` through ``terminal`` and return the exit code that belongs to it."""
    try:
        return _report(failure, terminal)
    except Exception as second:  # noqa: BLE001 - the text of a problem may be at fault itself
        return _report(second, terminal)


def _report(failure: Exception, terminal: Terminal) -> ExitCode:
    exit_code, problems = _problems_of(failure)
    lines = [render(problem, terminal.lang) for problem in problems]
    if len(problems) > 1:
        lines.append(terminal.word("problem_count", count=len(problems)))
    if terminal.as_json:
        from vpg.cli.documents import error_document

        try:
            terminal.document(error_document(exit_code, problems))
        except LostOutputError as lost:
            if not isinstance(failure, LostOutputError):
                lines.append(render(lost.problem, terminal.lang))
    for line in lines:
        terminal.complain(line)
    return exit_code


def _problems_of(failure: Exception) -> tuple[ExitCode, Sequence[Problem]]:
    answer: tuple[ExitCode, Sequence[Problem]]
    match failure:
        case InputError():
            answer = ExitCode.INVALID_INPUT, failure.problems
        case UsageError():
            answer = ExitCode.USAGE, [failure.problem]
        case UsageComplaint():
            answer = ExitCode.USAGE, [complaint_as_problem(failure)]
        case VpgError() if hasattr(failure, "exit_code") and hasattr(failure, "problem"):
            answer = ExitCode(failure.exit_code), [failure.problem]
        case EnsureError():
            values = {"text": str(failure), "file": _crash_file(failure)}
            answer = ExitCode.UNEXPECTED, [Problem(code="VPG1091", values=values)]
        case MemoryError():
            answer = ExitCode.PARTIAL, [Problem(code="VPG1092")]
        case OSError(errno=number) if number in DISK_FULL:
            values = {"reason": failure.strerror or str(failure)}
            answer = ExitCode.PARTIAL, [Problem(code="VPG1025", values=values)]
        case _:
            values = {"kind": type(failure).__name__, "text": _short(failure)}
            values["file"] = _crash_file(failure)
            answer = ExitCode.UNEXPECTED, [Problem(code="VPG1090", values=values)]
    return answer


def _short(failure: Exception) -> str:
    return " ".join(str(failure).split())[:200]


def _crash_file(failure: Exception) -> str:
    """Write the traceback where it can be found; return the file's path (``-``: impossible)."""
    if os.environ.get("VPG_DEBUG") == "1":
        traceback.print_exception(failure, file=sys.stderr)
        return "stderr"
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="vpg-crash-", suffix=".txt", delete=False, encoding="utf-8"
        ) as file:
            traceback.print_exception(failure, file=file)
            return file.name
    except OSError:
        return "-"
