"""Files to text: everything that can be wrong before the YAML is looked at.

Owns: existence, size, encoding. Does not own: YAML (``places``). A file is asked for its size
before a byte is read, so a huge one is refused at once.
"""

from __future__ import annotations

import codecs
import re
import stat
from typing import TYPE_CHECKING

from vpg.errors import InputError, Place, Problem

if TYPE_CHECKING:
    from pathlib import Path

SCENARIO_BYTES_MAX = 1 << 18
"""The parser needs up to 5 s for a megabyte of words; a bad file must be refused in two."""
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")


def fail(code: str, place: Place | None, path: str = "", **values: object) -> InputError:
    """Return the error for one problem, to be raised."""
    return InputError([Problem(code=code, place=place, path=path, values=values)])


def read_bytes(path: Path, bytes_max: int) -> bytes:
    """Return the whole content of ``path``; ``InputError`` when it cannot or should not be read."""
    place = Place(file=str(path))
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise fail("VPG1231", place)
        if not stat.S_ISREG(status.st_mode):
            raise fail("VPG1232", place)
        if status.st_size > bytes_max:
            raise fail("VPG1233", place, size=status.st_size, most=bytes_max)
        with path.open("rb") as file:
            content = file.read(bytes_max + 1)
    except FileNotFoundError:
        raise fail("VPG1230", place, file=path.name) from None
    except (OSError, ValueError) as error:
        raise fail("VPG1234", place, reason=_reason(error)) from None
    if len(content) > bytes_max:
        raise fail("VPG1233", place, size=len(content), most=bytes_max)
    return content


def _reason(error: OSError | ValueError) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)


def decode(content: bytes, file: str) -> str:
    """Return UTF-8 ``content`` as text without a byte order mark; else ``InputError``."""
    if content.startswith(_UTF16) or b"\x00" in content[:4]:
        raise fail("VPG1236", Place(file=file, line=1, column=1))
    body = content.removeprefix(codecs.BOM_UTF8)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        before = body[: error.start].decode("utf-8")
        raise fail("VPG1235", place_at(before, file), byte=f"0x{body[error.start]:02x}") from None
    found = _CONTROL.search(text)
    if found is not None:
        place = place_at(text[: found.start()], file)
        raise fail("VPG1237", place, character=f"U+{ord(found[0]):04X}")
    return text


def place_at(before: str, file: str) -> Place:
    """Return the place behind the text ``before``."""
    line = before.count("\n") + 1
    return Place(file=file, line=line, column=len(before) - (before.rfind("\n") + 1) + 1)
