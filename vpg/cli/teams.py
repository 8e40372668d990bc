"""``--cluster``, and how many processes this machine has room for.

Owns: the reading of the address and the connection around a command. Does not own: the cluster
(``sim.cluster``), which only this module imports: it brings Dask along.
"""

from __future__ import annotations

import os
import re
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vpg.cli.options import unreadable
from vpg.errors import ExitCode, Problem, UsageError, VpgError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sim.cluster import Cluster

_EXAMPLE = "tcp://127.0.0.1:8786"
_ADDRESS = re.compile(r"(?:tcp|tls)://(?:\[[0-9A-Fa-f:.]+\]|[^\s/:@\[\]]+):(?P<port>\d{1,5})")
_PORT_MAX = 65_535


class MissingExtraError(VpgError):
    """A library of an extra is asked for and not installed."""

    exit_code = ExitCode.USAGE

    def __init__(self, problem: Problem) -> None:
        """Keep ``problem``."""
        self.problem = problem
        super().__init__(f"{problem.code} {problem.values}")


def check(address: str | None, *, is_used: bool) -> None:
    """Refuse an ``address`` that is none (VPG1030), or that nothing would use (VPG1046)."""
    if address is None:
        return
    found = _ADDRESS.fullmatch(address)
    if found is None or not 0 < int(found["port"]) <= _PORT_MAX:
        raise unreadable("--cluster", address, _EXAMPLE)
    if not is_used:
        raise UsageError(Problem(code="VPG1046"))


@contextmanager
def far(address: str | None) -> Iterator[Cluster | None]:
    """Connect to the cluster at ``address``; None: there is none to connect to.

    Raises ``MissingExtraError`` (VPG1483) without Dask, and what ``sim.cluster`` raises.
    """
    if address is None:
        yield None
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Of libraries, to those who write libraries.
            from sim.cluster import connected
    except ImportError as missing:
        values = {"reason": str(missing)}
        raise MissingExtraError(Problem(code="VPG1483", values=values)) from missing
    with connected(address) as cluster:
        yield cluster


def processors() -> int:
    """Return how many processes can run at once here."""
    usable = getattr(os, "sched_getaffinity", None)  # Not on every system.
    return len(usable(0)) if usable else os.cpu_count() or 1
