"""Ground of the scenario schema: the strict base class and every constrained kind of value.

Owns: what a number, time, name or choice may look like in a file. Does not own: which keys exist
(``schema*.py``) or the wording of errors (``vpg/messages/scenarios.toml``); an error is raised here
by its number. Numbers keep the unit of their key and are exact (``int`` or ``Decimal``); times are
text until ``times.py`` reads them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints
from pydantic_core import PydanticCustomError, core_schema

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import LiteralString

    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue

DAYS_MAX = 400
RUN_S_MAX = DAYS_MAX * 86_400
LINES_MAX = 1_000_000
BYTES_MAX = 1_000_000_000

_UNIT_SECONDS = {
    "us": Decimal("0.000001"),
    "ms": Decimal("0.001"),
    "s": Decimal(1),
    "sec": Decimal(1),
    "秒": Decimal(1),
    "min": Decimal(60),
    "m": Decimal(60),
    "分": Decimal(60),
    "h": Decimal(3600),
    "hour": Decimal(3600),
    "時間": Decimal(3600),
    "d": Decimal(86400),
    "day": Decimal(86400),
    "日": Decimal(86400),
}
_UNIT_BYTES = {
    "b": Decimal(1),
    "byte": Decimal(1),
    "kb": Decimal(1000),
    "kib": Decimal(1024),
    "mb": Decimal(1_000_000),
    "mib": Decimal(1_048_576),
}
_SIZES: dict[str, dict[str, Decimal]] = {
    "s": _UNIT_SECONDS,
    "ms": {unit: size * 1000 for unit, size in _UNIT_SECONDS.items()},
    "h": {unit: size / 3600 for unit, size in _UNIT_SECONDS.items()},
    "d": {unit: size / 86400 for unit, size in _UNIT_SECONDS.items()},
    "bytes": _UNIT_BYTES,
    "%": {"%": Decimal(1), "％": Decimal(1), "percent": Decimal(1)},
    "kbps": {"kbps": Decimal(1), "mbps": Decimal(1000), "bps": Decimal("0.001")},
}
_THOUSANDS = re.compile(r"\s*[0-9]{1,3}(,[0-9]{3}){1,4}(\.[0-9]{1,9})?\s*\D{0,9}")
_WITH_UNIT = re.compile(r"\s*([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*([^\s0-9.]{1,8}?)s?\s*")


class Part(BaseModel):
    """Part of a scenario file: strict types, no unknown keys, frozen."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, use_attribute_docstrings=True
    )


def plain(number: Decimal) -> str:
    """Return ``number`` in plain decimals without trailing zeros.

    >>> plain(Decimal("1800.000")), plain(Decimal("1E+2")), plain(Decimal("0.5"))
    ('1800', '100', '0.5')
    """
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _without_commas(text: str) -> str:
    """Return ``text`` without the commas between its thousands, if those are all it has.

    >>> _without_commas("1,000"), _without_commas("1,5")
    ('1000', '1,5')
    """
    return text.replace(",", "") if _THOUSANDS.fullmatch(text) else text


def _meant(text: str, unit: str) -> str:
    """Return the number in ``unit`` that ``text`` ("30min", "1.5 h", "90") seems to mean, or ""."""
    match = _WITH_UNIT.fullmatch(text + ("" if text.strip()[-1:].isalpha() else " "))
    if match is None:
        bare = text.strip()
        return bare if re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,9})?", bare) else ""
    size = _SIZES.get(unit, {}).get(match[2].lower())
    return "" if size is None else plain(Decimal(match[1]) * size)


@dataclass(frozen=True, slots=True)
class Quantity:
    """An exact number in ``unit``, from ``low`` to ``high`` with at most ``places`` decimals."""

    unit: str
    low: Decimal
    high: Decimal
    places: int

    def read(self, value: object) -> Decimal | int:
        """Return ``value`` when it fits; raise the numbered error otherwise."""
        if isinstance(value, str):
            value = _without_commas(value)
            hint = _meant(value, self.unit)
            code = "VPG1210" if hint else "VPG1209"
            raise PydanticCustomError(code, "number", {"unit": self.unit, "hint": hint})
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise PydanticCustomError("VPG1209", "number", {"unit": self.unit})
        exact = Decimal(value)
        if not self.low <= exact <= self.high:
            limits = {"low": plain(self.low), "high": plain(self.high), "unit": self.unit}
            raise PydanticCustomError("VPG1211", "range", limits)
        if exact != round(exact, self.places):
            code = "VPG1212" if self.places else "VPG1208"
            raise PydanticCustomError(code, "fine", {"places": self.places})
        return exact if self.places else int(exact)

    def __get_pydantic_core_schema__(
        self, _source: object, _handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Tell pydantic to call ``read``."""
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(
        self, _schema: core_schema.CoreSchema, _handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Tell editors the type and the bounds."""
        kind = "number" if self.places else "integer"
        return {"type": kind, "minimum": _json(self.low), "maximum": _json(self.high)}


def _json(number: Decimal) -> int | float:
    return int(number) if number == number.to_integral_value() else float(number)


def _text_of_time(code: LiteralString) -> Callable[[object], object]:
    """Return a check that refuses what is no text with a time's own words."""

    def check(value: object) -> object:
        if value is None or isinstance(value, str):
            return value
        raise PydanticCustomError(code, "time")

    return check


def _quantity(unit: str, low: int | str, high: int | str, places: int = 0) -> Quantity:
    return Quantity(unit, Decimal(low), Decimal(high), places)


Seconds = Annotated[Decimal, _quantity("s", "0.000001", RUN_S_MAX, 6)]
"""A duration above zero, in seconds."""
Wait = Annotated[Decimal, _quantity("s", "0.001", RUN_S_MAX, 6)]
"""A time between things that happen again and again: a millisecond or more, in seconds."""
SecondsOrZero = Annotated[Decimal, _quantity("s", 0, RUN_S_MAX, 6)]
"""A duration in seconds; zero is allowed."""
Milliseconds = Annotated[Decimal, _quantity("ms", 0, RUN_S_MAX * 1000, 3)]
Hours = Annotated[Decimal, _quantity("h", "0.000001", DAYS_MAX * 24, 6)]
Days = Annotated[Decimal, _quantity("d", "0.000001", DAYS_MAX, 6)]
Percent = Annotated[Decimal, _quantity("%", 0, 100, 4)]
Share = Annotated[Decimal, _quantity("%", "0.0001", 100, 4)]
"""A share above zero, in percent."""
Bytes = Annotated[int, _quantity("bytes", 0, BYTES_MAX)]
BytesPositive = Annotated[int, _quantity("bytes", 1, BYTES_MAX)]
Kbps = Annotated[Decimal, _quantity("kbps", "0.008", 100_000_000, 3)]
Lines = Annotated[int, _quantity("", 1, LINES_MAX)]
Index = Annotated[int, _quantity("", 0, LINES_MAX)]
Connections = Annotated[int, _quantity("", 0, 1000)]
Change = Annotated[int, _quantity("", -1000, 1000)]
Count = Annotated[int, _quantity("", 1, 1_000_000_000)]
CountOrZero = Annotated[int, _quantity("", 0, 1_000_000_000)]
Burst = Annotated[int, _quantity("", 1, 1_000_000)]
Factor = Annotated[Decimal, _quantity("", "1.01", 100, 6)]
Shape = Annotated[Decimal, _quantity("", "0.1", 100, 3)]
Rate = Annotated[Decimal, _quantity("/h", "0.000001", 360_000, 6)]
Amount = Annotated[Decimal, _quantity("", "0", 1_000_000_000, 6)]
Scale = Annotated[Decimal, _quantity("", "0.000001", 1_000_000, 6)]
Yen = Annotated[int, _quantity("", 0, 10**15)]
Seed = Annotated[int, _quantity("", 0, 2**63 - 1)]
Mtu = Annotated[int, _quantity("bytes", 68, 65_535)]
Headers = Annotated[int, _quantity("bytes", 0, 1_000)]

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
"""A name that is also a file name everywhere."""
Label = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$", max_length=64)
]
"""An identifier of a VPG, fleet or source."""
Text = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Instant = Annotated[
    str, BeforeValidator(_text_of_time("VPG1250")), StringConstraints(max_length=64)
]
"""A time with its zone, e.g. ``2026-04-01T09:00:00+09:00``."""
Moment = Annotated[str, BeforeValidator(_text_of_time("VPG1254")), StringConstraints(max_length=64)]
"""A time with its zone, or an offset from the start of the run such as ``+02:30:00``."""
FileName = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


def exactly_one(part: BaseModel, names: tuple[str, ...]) -> str:
    """Return the one of ``names`` that ``part`` gives; none or several is a numbered error."""
    given = [name for name in names if getattr(part, name) is not None]
    if len(given) != 1:
        context: dict[str, Any] = {"choices": ", ".join(names), "given": ", ".join(given) or "-"}
        raise PydanticCustomError("VPG1216", "exactly one", context)
    return given[0]
