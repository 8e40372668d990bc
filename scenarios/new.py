"""Ready-made scenarios, as shipped inside the package.

Owns: their names, texts and the files that belong to them. Does not own: where they are written
(``vpg new``). Works from a wheel: nothing here is a path of the source tree.
"""

from __future__ import annotations

import json
from importlib import resources

from scenarios.places import Composer
from scenarios.problems import closest, listed
from scenarios.reading import fail

SCHEMA_FILE = "vpgsim.schema.json"
_SCHEMA_LINE = "# yaml-language-server: $schema="


def ready_names() -> tuple[str, ...]:
    """Return the names of the ready-made scenarios, sorted."""
    entries = resources.files("scenarios.ready").iterdir()
    return tuple(sorted(e.name.removesuffix(".yaml") for e in entries if e.name.endswith(".yaml")))


def ready_text(name: str) -> str:
    """Return the text of the ready-made scenario ``name``; ``InputError`` if unknown."""
    names = ready_names()
    if name not in names:
        raise fail("VPG1296", None, value=name, hint=closest(name, names), known=listed(names))
    return resources.files("scenarios.ready").joinpath(f"{name}.yaml").read_text("utf-8")


def ready_title(name: str, lang: str) -> str:
    """Return the title of the ready-made scenario ``name`` for readers of ``lang``."""
    title = Composer(name).compose(ready_text(name)).plain().get("title", "")
    return str(title[lang] if isinstance(title, dict) else title)


def ready_files(name: str) -> dict[str, bytes]:
    """Return every file to write for ``name``: scenario first, its data, the editor's schema."""
    from scenarios.schema import json_schema  # noqa: PLC0415 - pydantic is not needed to list names

    text = ready_text(name)
    first, _, rest = text.partition("\n")
    if first.startswith(_SCHEMA_LINE):
        text = f"{_SCHEMA_LINE}{SCHEMA_FILE}\n{rest}"
    files = {f"{name}.yaml": text.encode()}
    folder = resources.files("scenarios.ready")
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        if entry.name.startswith(f"{name}.") and not entry.name.endswith(".yaml"):
            files[entry.name] = entry.read_bytes()
    schema = json.dumps(json_schema(), ensure_ascii=False, indent=2) + "\n"
    return files | {SCHEMA_FILE: schema.encode()}
