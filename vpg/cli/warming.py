"""Getting the compiled data plane ready, once for a machine, and saying so.

Owns: when a command needs it, and what is told. Does not own: what is compiled (``sim.warm``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scenarios.model import Scenario
    from vpg.cli.runner import Engine
    from vpg.cli.terminal import Terminal


def make_ready(scenario: Scenario, engine: Engine, terminal: Terminal) -> None:
    """Compile the data plane where ``scenario`` needs it and this machine has it not."""
    from sim.run import is_compiled

    if is_compiled(scenario, engine):
        warm_up(terminal)


def warm_up(terminal: Terminal) -> bool:
    """Compile the data plane, saying so first; return whether there was anything to do."""
    from sim import warm

    if warm.is_warm():
        return False
    terminal.note(terminal.word("warm_compiling"))
    warm.warm()
    return True
