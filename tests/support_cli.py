"""The command line as tests call it: inside this process, or as a process of its own.

Golden files hold what a person sees; ``UPDATE_GOLDEN=1`` writes them anew.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support import ROOT

if TYPE_CHECKING:
    from pathlib import Path

GOLDEN = ROOT / "tests" / "golden" / "cli"
VPG = (sys.executable, "-m", "vpg.cli.main")
_PLACEHOLDERS = (
    (r"[\w.-]+-\d{8}T\d{6}Z-[0-9a-f]{8}(-\d+)?", "<RUN>"),
    (r"\bvpg-crash-\w+\.txt", "<CRASH>"),
    (r"\b[0-9a-f]{64}\b", "<SHA-256>"),
    (r"SHA-256 [0-9a-f]{12}", "SHA-256 <SHORT>"),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def numbers(self) -> list[str]:
        """The error numbers told on stderr, in order."""
        return re.findall(r"\bVPG\d{4}\b", self.err)


def vpg(*words: str) -> Answer:
    """Run ``vpg`` with ``words`` inside this process, both streams as pipes."""
    from vpg.cli.main import run

    out, err = (_pipe(), _pipe())
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(list(words))
    return Answer(code, _said(out), _said(err))


def _pipe() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace", newline="\n")


def _said(stream: io.TextIOWrapper) -> str:
    stream.flush()
    raw = stream.buffer
    assert isinstance(raw, io.BytesIO)
    return raw.getvalue().decode()


def start(*words: str, cwd: Path, **environment: str) -> subprocess.Popen[str]:
    """Start ``vpg`` with ``words`` as a process of its own in ``cwd``."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("VPG_")}
    return subprocess.Popen(
        [*VPG, *words],
        cwd=cwd,
        env={**kept, "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def masked(text: str, *folders: Path) -> str:
    """Return ``text`` with what differs from run to run replaced by placeholders."""
    for folder in folders:
        text = text.replace(str(folder), "<TMP>")
    text = text.replace(str(ROOT), "<ROOT>")
    for pattern, placeholder in _PLACEHOLDERS:
        text = re.sub(pattern, placeholder, text)
    return text


def matches_golden(name: str, text: str) -> bool:
    """Tell whether ``text`` is what the golden file ``name`` holds; write it when asked to."""
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN") == "1":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    return path.read_text(encoding="utf-8") == text
