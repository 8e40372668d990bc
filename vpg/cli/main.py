"""The command ``vpg``: parse, run one command, answer with its exit code.

Owns: the entry point and the last line of defence: whatever happens inside, no traceback reaches a
person. Does not own: commands. This module imports only what catches signals, and commands import
the rest of the house inside their bodies, so that ``vpg --help`` stays quick and Ctrl-C clean from
the first moments on.
"""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

from vpg.cli import stopping

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vpg.cli.terminal import Terminal

_GC_THRESHOLD = 200_000
"""New objects between two collections."""


def run(arguments: Sequence[str]) -> int:
    """Run the command that ``arguments`` (without the program's name) say; return the exit code."""
    try:
        from vpg.cli import failures
        from vpg.cli.terminal import Terminal

        terminal = Terminal.of_arguments(arguments)
        try:
            return _answer(arguments, terminal)
        except Exception as failure:  # noqa: BLE001 - the last line of defence
            return int(failures.report(failure, terminal))
    except stopping.Stopped as stopped:
        return stopped.exit_code


def _answer(arguments: Sequence[str], terminal: Terminal) -> int:
    from vpg.errors import ExitCode, InputError
    from vpg.shadow import check_shadowing

    foreign = check_shadowing()
    if foreign:
        raise InputError(foreign)
    from vpg.cli.app import application

    answer = application(terminal.lang).main(
        args=list(arguments), prog_name="vpg", standalone_mode=False, obj=terminal
    )
    return answer if isinstance(answer, int) else int(ExitCode.OK)


def main() -> None:
    """Run ``vpg`` on this process's arguments and exit."""
    # Imports make much and drop little: the default of 700 costs a tenth of a short run.
    gc.set_threshold(_GC_THRESHOLD)
    try:
        stopping.install()
        from vpg.cli.terminal import prepare_streams

        prepare_streams()
        code = run(sys.argv[1:])
        stopping.ignore()
    except stopping.Stopped as stopped:
        code = stopped.exit_code
    sys.exit(code)


if __name__ == "__main__":
    main()
