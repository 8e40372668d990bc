"""In which language a person is answered: ``--lang``, ``VPG_LANG``, the locale, English.

Owns: that order, and the words of the commands themselves (``words.toml``). Does not own: texts of
errors (``vpg.text``) and reports. Machine output (``--json``, CSV, schema) is never translated.
"""

from __future__ import annotations

import functools
import locale
import os
import tomllib
from importlib import resources
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Lang = Literal["en", "ja"]
LANGS: tuple[Lang, ...] = ("en", "ja")
_LOCALE_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")


def resolve(asked: str | None, environment: Mapping[str, str] | None = None) -> Lang:
    """Return the language to answer in; ``asked`` (of ``--lang``) wins when it is one we speak."""
    values = os.environ if environment is None else environment
    for wish in (asked, values.get("VPG_LANG")):
        if wish in LANGS:
            return wish
    for name in _LOCALE_VARIABLES:
        if values.get(name):
            return "ja" if values[name].lower().startswith("ja") else "en"
    if environment is not None:
        return "en"
    name_of_system = locale.getlocale()[0] or ""
    return "ja" if name_of_system.lower().startswith("ja") else "en"


@functools.cache
def _words() -> dict[str, dict[str, str]]:
    text = resources.files("vpg.cli").joinpath("words.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def word(key: str, lang: Lang, **values: object) -> str:
    """Return the words named ``key`` in ``lang`` with ``values`` filled in."""
    return _words()[key][lang].format(**values)


def word_keys() -> tuple[str, ...]:
    """Return every key of ``words.toml`` (for tests)."""
    return tuple(sorted(_words()))
