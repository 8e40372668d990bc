"""From a revision to something that can be started: a worktree of its own, an environment.

Owns: git, the worktree's life, and when third-party packages are installed for it. The head is the
checkout as it is, changed files included. Does not own: what is measured. Raises ``InputError``
(VPG1950 to VPG1953); the worktree is gone afterwards, whatever happened.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from loadtests.gate.service import Launch
from loadtests.gate.values import Revision
from vpg.errors import InputError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT: Final = Path(__file__).parent.parent.parent
PINS: Final = "constraints.txt"
_SAID_MAX: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One side of the comparison: what it is, and how it is started."""

    revision: Revision
    launch: Launch


def head() -> Side:
    """Return the checkout (or installation) this program runs from."""
    commit = _asked("rev-parse", "--verify", "--quiet", "HEAD") if is_checkout() else ""
    changed = bool(commit and _asked("status", "--porcelain", "--untracked-files=no"))
    revision = Revision(name="HEAD" if commit else "installed", commit=commit, changed=changed)
    return Side(revision=revision, launch=launch(ROOT, sys.executable))


def launch(folder: Path, python: str) -> Launch:
    """Return how the code in ``folder`` is served by ``python``."""
    return Launch(
        command=(python, "-m", "vpg.cli.main", "serve"),
        folder=folder,
        environment={**os.environ, "PYTHONPATH": str(folder), "VPG_LANG": "en"},
    )


def is_checkout() -> bool:
    """Return whether git knows this program's folder as the top of a checkout."""
    top = _asked("rev-parse", "--show-toplevel") if shutil.which("git") else ""
    return bool(top) and Path(top).resolve() == ROOT.resolve()


@contextlib.contextmanager
def base(name: str, folder: Path, installing: Callable[[], None]) -> Iterator[Side]:
    """Check out the merge base of revision ``name`` and the head below ``folder``.

    Its packages are installed anew only when its pins differ from the head's; ``installing`` is
    called before.
    """
    if not is_checkout():
        raise _problem("VPG1950", folder=ROOT.name)
    commit = _commit(name)
    place = folder / "base"
    made = _git("worktree", "add", "--detach", "--force", str(place), commit)
    try:
        if made.returncode:
            raise _problem("VPG1952", reason=_said(made))
        python, own = _python(place, folder, installing)
        revision = Revision(name=name, commit=commit, own_environment=own)
        yield Side(revision=revision, launch=launch(place, python))
    finally:
        _git("worktree", "remove", "--force", str(place))
        shutil.rmtree(place, ignore_errors=True)
        _git("worktree", "prune")


def _commit(name: str) -> str:
    found = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    if found.returncode:
        raise _problem("VPG1951", name=name)
    merged = _git("merge-base", found.stdout.strip(), "HEAD")
    if merged.returncode:
        raise _problem("VPG1951", name=name)
    return merged.stdout.strip()


def _python(place: Path, folder: Path, installing: Callable[[], None]) -> tuple[str, bool]:
    """Return the interpreter for ``place``, and whether it has packages of its own."""
    pins, ours = place / PINS, ROOT / PINS
    if not pins.exists() or (ours.exists() and pins.read_bytes() == ours.read_bytes()):
        return sys.executable, False
    installing()
    environment = folder / "environment"
    python = str(environment / "bin" / "python")
    pip = [python, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
    for command in (
        [sys.executable, "-m", "venv", str(environment)],
        [*pip, "--require-hashes", "--only-binary", ":all:", "-r", str(pins)],
    ):
        done = _run(command)
        if done.returncode:
            raise _problem("VPG1953", reason=_said(done))
    return python, True


def _git(*words: str) -> subprocess.CompletedProcess[str]:
    # Hooks of the checkout have no business in a worktree that lives for a minute.
    return _run(["git", "-C", str(ROOT), "-c", f"core.hooksPath={os.devnull}", *words])


def _asked(*words: str) -> str:
    done = _git(*words)
    return "" if done.returncode else done.stdout.strip()


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - git and pip, by words of ours
        command, capture_output=True, text=True, errors="replace", check=False
    )


def _said(done: subprocess.CompletedProcess[str]) -> str:
    words = " ".join((done.stderr or done.stdout).split())
    return words[-_SAID_MAX:] or f"exit code {done.returncode}"


def _problem(code: str, **values: object) -> InputError:
    return InputError([Problem(code=code, values=values)])
