"""What an import yields, and writing it beside each other or not at all.

Owns: ``Imported`` and its files. Does not own: what is in them. Nothing is written by the
importers.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vpg.errors import InputError, Place, Problem

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A scenario made from a file.

    ``problems`` are the rows that could not be used and what the reader should know, in file order;
    they did not stop the import. ``counts``: ``rows_read`` = ``rows_used`` + ``rows_bad`` +
    ``rows_outside`` + ``rows_blank``, and what the importer found besides.
    """

    name: str
    scenario_yaml: str
    extra_files: dict[str, bytes]
    problems: list[Problem]
    counts: dict[str, int]

    def files(self) -> dict[str, bytes]:
        """Return every file by name; the scenario last, since it names the others."""
        return {**self.extra_files, f"{self.name}.yaml": self.scenario_yaml.encode()}


def write_import(imported: Imported, out_dir: Path, *, force: bool = False) -> list[Path]:
    """Write the files of ``imported`` into ``out_dir`` and return their paths, the scenario last.

    Every file is complete or absent. Raises ``InputError`` (VPG1360) naming each file that exists
    already, unless ``force``, and (VPG1361) when the directory cannot be written.
    """
    targets = {out_dir / name: data for name, data in imported.files().items()}
    if not force:
        there = [path for path in targets if path.exists() or path.is_symlink()]
        if there:
            raise InputError(
                [Problem(code="VPG1360", place=Place(file=str(path))) for path in there]
            )
    beside: dict[Path, Path] = {}
    written: list[Path] = []
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        for target, data in targets.items():
            beside[target] = target.with_name(f".{target.name}.{os.getpid()}.tmp")
            _write_synced(beside[target], data)
        for target, temporary in beside.items():
            temporary.replace(target)
            written.append(target)
    except OSError as exc:
        if not force:
            for path in written:
                path.unlink(missing_ok=True)
        values = {"reason": exc.strerror or type(exc).__name__}
        place = Place(file=str(exc.filename or out_dir))
        raise InputError([Problem(code="VPG1361", place=place, values=values)]) from exc
    finally:
        for temporary in beside.values():
            if temporary.exists():
                temporary.unlink()
    return written


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
