"""The steps of ``vpg gate``: read what is stored, measure or not, decide, tell in every form.

Owns: the order of the steps, the page on the terminal and its Markdown. Does not own: measuring and
deciding (``loadtests.gate``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vpg.errors import ExitCode, InputError, Place, Problem, UsageError

if TYPE_CHECKING:
    from loadtests.gate.decision import Change, Decision
    from loadtests.gate.job import Done
    from loadtests.gate.values import Recording
    from vpg.cli.terminal import Terminal

_EXITS = {
    "passes": ExitCode.OK,
    "fails": ExitCode.ANSWER_IS_NO,
    "cannot_tell": ExitCode.CANNOT_TELL,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What ``vpg gate`` was asked."""

    base: str | None
    baseline: str | None
    decide: str | None
    save: str | None
    restarts: int
    rounds: int
    seed: int
    work: str | None
    markdown: str | None
    junit: str | None


def gate(asked: Asked, terminal: Terminal) -> int:
    """Do what was asked; return the exit code."""
    if not (asked.base or asked.baseline or asked.decide or asked.save):
        raise UsageError(Problem(code="VPG1958"))
    for name in (asked.save, asked.junit, asked.markdown):
        _check_writable(name)
    if asked.work is not None and not Path(asked.work).is_dir():
        reason = {"reason": "there is no such directory"}
        raise InputError([Problem(code="VPG1955", place=Place(file=asked.work), values=reason)])
    baseline = None if asked.baseline is None else _read(asked.baseline)
    done = _decided(asked.decide, baseline) if asked.decide else _run(asked, baseline, terminal)
    if asked.save is not None:
        _save(asked.save, done)
    if done.decision is None:
        _tell_saved(asked, done, terminal)
        return ExitCode.OK
    _tell(done.decision, asked, terminal)
    return _EXITS[done.decision.answer]


# ---- files ---------------------------------------------------------------------------------------


def _read(name: str) -> Recording:
    from loadtests.gate.values import RecordingError, decode

    place = Place(file=name)
    try:
        return decode(Path(name).read_bytes())
    except OSError as failure:
        values = {"reason": failure.strerror or str(failure)}
        raise InputError([Problem(code="VPG1955", place=place, values=values)]) from failure
    except RecordingError as failure:
        values = {"reason": str(failure)}
        raise InputError([Problem(code="VPG1956", place=place, values=values)]) from failure


def _check_writable(name: str | None) -> None:
    """Refuse, before minutes of measuring, a place where no file can be written."""
    if name is None:
        return
    path = Path(name)
    if path.is_dir() or not path.absolute().parent.is_dir():
        reason = "it is a directory" if path.is_dir() else "its directory does not exist"
        values = {"reason": reason}
        raise InputError([Problem(code="VPG1955", place=Place(file=name), values=values)])


def _save(name: str, done: Done) -> None:
    from loadtests.gate.values import encode
    from vpg.cli.files import write_new

    write_new({Path(name): encode(done.recording)}, force=True)


# ---- measuring -----------------------------------------------------------------------------------


def _decided(name: str | None, baseline: Recording | None) -> Done:
    from loadtests.gate.decision import decide, needed
    from loadtests.gate.job import Done

    recording = _read(name or "")
    for role in needed(is_baseline=baseline is not None):
        if role not in recording.revisions:
            problem = Problem(code="VPG1963", place=Place(file=name or ""), values={"role": role})
            raise InputError([problem])
    return Done(recording=recording, decision=decide(recording, baseline))


def _run(asked: Asked, baseline: Recording | None, terminal: Terminal) -> Done:
    from loadtests.gate import job
    from loadtests.gate.rounds import Shape
    from vpg.text import message

    def progress(done: int, planned: int) -> None:
        if done % asked.rounds == 0:
            terminal.note(terminal.word("gate_progress", done=done, planned=planned))

    def installing() -> None:
        terminal.note(message("VPG1964", terminal.lang))

    shape = Shape(restarts=asked.restarts, rounds=asked.rounds, seed=asked.seed)
    work = None if asked.work is None else Path(asked.work).absolute()
    done = job.run(
        job.Asked(base=asked.base, baseline=baseline, shape=shape, work=work), progress, installing
    )
    head = done.recording.revisions["head"]
    base = done.recording.revisions.get("base")
    if head.changed:
        terminal.note(message("VPG1959", terminal.lang, commit=head.commit[:12]))
    elif base is not None and base.commit == head.commit:
        terminal.note(message("VPG1961", terminal.lang))
    if done.recording.machine.core is None:
        terminal.note(message("VPG1960", terminal.lang))
    return done


# ---- telling -------------------------------------------------------------------------------------


def _tell_saved(asked: Asked, done: Done, terminal: Terminal) -> None:
    from loadtests.gate.decision import Saved

    recording = done.recording
    saved = Saved(
        file=asked.save or "",
        restarts=len(recording.restarts),
        rounds=len(recording.restarts[0].rounds),
        revisions=recording.revisions,
        machine=recording.machine,
    )
    if terminal.as_json:
        terminal.document(saved)
    elif not terminal.quiet:
        terminal.data(terminal.word("new_wrote", path=saved.file))


def _tell(decision: Decision, asked: Asked, terminal: Terminal) -> None:
    from vpg.text import message

    if decision.disturbed:
        what = ", ".join(decision.disturbed)
        terminal.note(message("VPG1962", terminal.lang, what=what))
    if asked.junit is not None:
        from loadtests.gate.junit import junit
        from vpg.cli.files import write_new

        write_new({Path(asked.junit): junit(decision)}, force=True)
    if asked.markdown is not None:
        _append(asked.markdown, markdown(decision, terminal))
    if terminal.as_json:
        terminal.document(decision)
        return
    if not terminal.quiet:
        terminal.data(page(decision, terminal))
    terminal.data(answer(decision, terminal))


def _append(name: str, text: str) -> None:
    try:
        with Path(name).open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as failure:
        values = {"reason": failure.strerror or str(failure)}
        raise InputError([Problem(code="VPG1023", place=Place(file=name), values=values)]) from None


def answer(decision: Decision, terminal: Terminal) -> str:
    """Return the last line: the answer and what it rests on."""
    return terminal.word(f"gate_{decision.answer}", reasons=", ".join(decision.reasons))


def head_line(decision: Decision, terminal: Terminal) -> str:
    """Return who was compared with whom, how often."""
    names = {
        role: f"{one.name} {one.commit[:12]}".strip() for role, one in decision.revisions.items()
    }
    return terminal.word(
        "gate_head",
        head=names["head"],
        base=names.get("base", terminal.word("gate_baseline")),
        restarts=decision.restarts,
        rounds=decision.rounds,
    )


def tables(decision: Decision, terminal: Terminal) -> list[list[list[str]]]:
    """Return the tables of a page, each with its head first."""
    word = terminal.word
    figures = [word("gate_columns").split("|")]
    figures += [
        [
            f"{row.name} ({row.unit})",
            f"{row.base:,.4g}" if row.base < 1000 else f"{row.base:,.0f}",  # noqa: PLR2004
            f"{row.head:,.4g}" if row.head < 1000 else f"{row.head:,.0f}",  # noqa: PLR2004
            _change(row.change),
            f"±{row.band:.0%}",
            _change(row.control),
            word(f"gate_verdict_{row.verdict}"),
        ]
        for row in decision.figures
    ]
    budgets = [word("gate_budget_columns").split("|")]
    budgets += [
        [
            row.name,
            f"{row.base:,.1f}",
            f"{row.head:,.1f}",
            f"{row.allowed:,.1f}",
            word("gate_kept" if row.kept else "gate_exceeded"),
        ]
        for row in decision.budgets
    ]
    counts = [word("gate_count_columns").split("|")]
    counts += [
        [
            row.role,
            *(
                f"{value:,}"
                for value in (row.acknowledged, row.stored, row.lost, row.doubled, row.refused)
            ),
        ]
        for row in decision.counts
    ]
    return [figures, budgets, counts]


def _change(change: Change) -> str:
    ratio, low, high = (100 * (one - 1) for one in (change.ratio, change.low, change.high))
    return f"{ratio:+.1f}% [{low:+.1f}, {high:+.1f}]"


def page(decision: Decision, terminal: Terminal) -> str:
    """Return the page for a terminal."""
    from rich.cells import cell_len

    lines = [head_line(decision, terminal)]
    for table in tables(decision, terminal):
        widths = [max(cell_len(cell) for cell in column) for column in zip(*table, strict=True)]
        lines.append("")
        for row in table:
            cells = [
                cell + " " * (width - cell_len(cell))
                for cell, width in zip(row, widths, strict=True)
            ]
            lines.append("  ".join(cells).rstrip())
    return "\n".join([*lines, ""])


def markdown(decision: Decision, terminal: Terminal) -> str:
    """Return the summary for a CI page."""
    lines = [f"### vpg gate: {answer(decision, terminal)}", "", head_line(decision, terminal)]
    for head, *rows in tables(decision, terminal):
        lines += ["", f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
        lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([*lines, "", ""])
