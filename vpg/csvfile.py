"""A CSV file as records with line numbers, after its size and encoding are known to be good.

Owns: size bound, encoding detection (UTF-8 with or without BOM, cp932), the refusal of anything
else with its position, and CSV quoting. Does not own: what the columns mean. The file is streamed,
never held whole.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, NamedTuple

from vpg.errors import InputError, Place, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE_BYTES_MAX = 256 * 1024 * 1024
_CHUNK_BYTES = 1024 * 1024
_FIELD_CHARS_MAX = 131_072
"""The csv module's own bound; a longer field is an unclosed quote."""

_WIDE_BOMS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_THREE_BYTE_LEADS = frozenset(range(0xE2, 0xF5))
"""First bytes of UTF-8 kana, kanji and symbols."""

CP932_UNASSIGNED = re.compile("[\x80\xa0\uf8f0-\uf8f3]")
"""What Python's codec makes of the bytes 80, A0, FD, FE and FF, which no character has."""

Encoding = Literal["auto", "utf-8", "cp932"]
Found = Literal["utf-8", "cp932"]


class Record(NamedTuple):
    """One row: its fields, first and last physical line, and whether a quote occurs in it.

    A named tuple, since millions of them are made.
    """

    fields: tuple[str, ...]
    line: int
    last_line: int
    quoted: bool
    broken: str = ""
    """What the CSV reader objected to; empty: nothing."""
    raw: str = ""
    """The row as it stands, where a quote occurs in it."""

    def column(self, index: int) -> int:
        """Return the column (from 1) where field ``index`` begins; 1 if quoting hides it."""
        if self.quoted:
            return 1
        return 1 + sum(len(text) + 1 for text in self.fields[:index])

    def spot(self, index: int) -> tuple[int, int]:
        """Return line and column where field ``index`` begins, quotes or not."""
        if not self.quoted:
            return self.line, self.column(index)
        line, column, left, inside = self.line, 1, index, False
        for char in self.raw:
            if not left:
                break
            column += 1
            if char == '"':
                inside = not inside
            elif char == "\n":
                line, column = line + 1, 1
            elif char == "," and not inside:
                left -= 1
        return line, column


class CsvSource:
    """One input, given as a path or as bytes; ``file`` is its name in messages."""

    def __init__(self, source: Path | bytes, encoding: Encoding) -> None:
        """Check size and encoding; raises ``InputError`` with the position of what is wrong."""
        self._source = source
        self.file = str(source) if isinstance(source, Path) else "<bytes>"
        self._refuse_by_stat()
        try:
            self.encoding: Found = self._examine(encoding)
        except OSError as exc:
            raise self._error("VPG1301", reason=exc.strerror or type(exc).__name__) from exc

    def records(self) -> Iterator[Record]:
        """Yield the rows in file order. Raises ``InputError`` for a quote that never closes."""
        codec = "utf-8-sig" if self.encoding == "utf-8" else self.encoding
        try:
            with (
                self._open() as raw,
                io.TextIOWrapper(raw, encoding=codec, newline="") as text,
            ):
                yield from self._parse(text)
        except OSError as exc:
            raise self._error("VPG1301", reason=exc.strerror or type(exc).__name__) from exc

    def _parse(self, text: io.TextIOWrapper) -> Iterator[Record]:
        lines = _QuoteWatch(text)
        reader = csv.reader(lines, strict=True)
        while True:
            first = reader.line_num + 1
            lines.begin()
            broken, fields = "", []
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as exc:
                broken = str(exc)
                if "end of data" in broken or "field limit" in broken:
                    raise self._error("VPG1308", first, last_line=reader.line_num) from exc
            yield Record(
                fields=tuple(fields),
                line=first,
                last_line=reader.line_num,
                quoted=lines.quoted,
                broken=broken,
                raw="".join(lines.read) if lines.quoted else "",
            )

    def _open(self) -> BinaryIO:
        if isinstance(self._source, bytes):
            return io.BytesIO(self._source)
        return self._source.open("rb")

    def _error(self, code: str, line: int = 0, **values: object) -> InputError:
        place = Place(file=self.file, line=line, column=1)
        return InputError([Problem(code=code, place=place, values=values)])

    def _refuse_by_stat(self) -> None:
        if isinstance(self._source, bytes):
            size = len(self._source)
        else:
            try:
                status = self._source.stat()
            except (OSError, ValueError) as exc:
                reason = getattr(exc, "strerror", None) or str(exc)
                raise self._error("VPG1301", reason=reason) from exc
            if not stat.S_ISREG(status.st_mode):
                raise self._error("VPG1301", reason="not a regular file")
            size = status.st_size
        if size > FILE_BYTES_MAX:
            raise self._error("VPG1303", size=size, bound=FILE_BYTES_MAX)
        if size == 0:
            raise self._error("VPG1302")

    def _chunks(self) -> Iterator[bytes]:
        with self._open() as raw:
            while chunk := raw.read(_CHUNK_BYTES):
                yield chunk

    def _examine(self, wanted: Encoding) -> Found:
        self._refuse_wide()
        if wanted != "auto":
            at = self._first_undecodable(wanted)
            if at is not None:
                raise self._undecodable(wanted, at)
            return wanted
        utf8_at = self._first_undecodable("utf-8")
        if utf8_at is None:
            return "utf-8"
        self._refuse_mixed()
        cp932_at = self._first_undecodable("cp932")
        if cp932_at is None:
            return "cp932"
        raise self._undecodable("cp932", cp932_at)

    def _refuse_wide(self) -> None:
        offset = 0
        for chunk in self._chunks():
            if offset == 0:
                for bom, name in _WIDE_BOMS:
                    if chunk.startswith(bom):
                        raise self._error("VPG1304", name=name)
            at = chunk.find(0)
            if at >= 0:
                position = offset + at
                raise self._error("VPG1307", self._line_of(position), position=position)
            offset += len(chunk)

    def _first_undecodable(self, encoding: Found) -> int | None:
        decoder = codecs.getincrementaldecoder(encoding)("strict")
        offset = 0
        for chunk in self._chunks():
            pending = len(decoder.getstate()[0])
            try:
                text = decoder.decode(chunk)
            except UnicodeDecodeError as exc:
                return offset - pending + exc.start
            unassigned = CP932_UNASSIGNED.search(text) if encoding == "cp932" else None
            if unassigned:
                return offset - pending + len(text[: unassigned.start()].encode(encoding))
            offset += len(chunk)
        pending = len(decoder.getstate()[0])
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as exc:
            return offset - pending + exc.start
        return None

    def _undecodable(self, encoding: str, position: int) -> InputError:
        with self._open() as raw:
            raw.seek(position)
            byte = raw.read(1)
        return self._error(
            "VPG1305",
            self._line_of(position),
            encoding=encoding,
            position=position,
            byte=byte.hex().upper(),
        )

    def _refuse_mixed(self) -> None:
        """Refuse a file with lines that only UTF-8 explains beside lines that UTF-8 does not."""
        utf8_line = other_line = 0
        with self._open() as raw:
            for number, line in enumerate(raw, start=1):
                if line.isascii():
                    continue
                try:
                    line.decode("utf-8")
                except UnicodeDecodeError:
                    other_line = other_line or number
                else:
                    if not utf8_line and not _THREE_BYTE_LEADS.isdisjoint(line):
                        utf8_line = number
                if utf8_line and other_line:
                    raise self._error(
                        "VPG1306", other_line, utf8_line=utf8_line, other_line=other_line
                    )

    def _line_of(self, position: int) -> int:
        line, offset = 1, 0
        for chunk in self._chunks():
            line += chunk[: max(0, position - offset)].count(b"\n")
            offset += len(chunk)
            if offset >= position:
                break
        return line


class _QuoteWatch:
    """Lines of a text, remembering them and whether a quote occurred since the row's begin."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self.quoted = False
        self.read: list[str] = []

    def begin(self) -> None:
        """Begin another row."""
        self.quoted = False
        self.read.clear()

    def __iter__(self) -> _QuoteWatch:
        return self

    def __next__(self) -> str:
        line = next(self._text)
        self.quoted = self.quoted or '"' in line
        self.read.append(line)
        return line
