"""A month's facts from a file of the user (TOML): read at the edge, every mistake with its place.

Owns: the file's form, what is wrong with it, and how its rows become ``MonthInputs``. Does not own:
which keys there are (``inputs_keys``), what they mean for an invoice (the rules' modules). One file
holds one payer's month.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, replace
from decimal import Decimal, DecimalException
from typing import TYPE_CHECKING, Any, NamedTuple

from vpg.billing.inputs import MonthInputs
from vpg.billing.inputs_build import Month, Row, operator_months
from vpg.billing.inputs_keys import HEAD, MANY_TIMES, ONCE
from vpg.billing.model import Operator
from vpg.billing.policy import InvoicePolicy
from vpg.catalogue.places import TomlPlaces, syntax_place
from vpg.errors import InputError, Place, Problem
from vpg.hints import closest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from vpg.billing.calendar import BusinessCalendar
    from vpg.billing.inputs_build import Figures
    from vpg.billing.inputs_keys import Key
    from vpg.catalogue.model import Catalogue

FILE_BYTES_MAX = 1_048_576
DEFAULT_OPERATOR = "operator"
_PART = re.compile(r"operators\[(\d+)\](?:\.(\w+)\[(\d+)\])?")
_UNREADABLE = Decimal("NaN")


class LateUsage(NamedTuple):
    """Hourly metrics of another run directory that arrived later."""

    run: str
    arrived_us: int
    version: int
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class BillInputs:
    """What a file says; an empty one is one operator who pays by e-mailed invoice."""

    file: str = ""
    head: Mapping[str, Any]
    rows: tuple[Row, ...]
    policy: Mapping[str, Any]
    names: Mapping[str, str]
    """Our name of a bill item → the provider's (A-25)."""
    places: TomlPlaces

    def of(self, section: str) -> list[Row]:
        """Return the tables of one kind, in order."""
        return [row for row in self.rows if row.section == section]

    @property
    def payer(self) -> str:
        """Return the id of who pays: as said, else the first operator."""
        first = next((row.values["id"] for row in self.of("operator")), DEFAULT_OPERATOR)
        return str(self.head.get("payer", first))

    @property
    def late_usage(self) -> tuple[LateUsage, ...]:
        """Return the runs that came late, in order."""
        return tuple(
            LateUsage(
                run=row.values["run"],
                arrived_us=row.values["arrived"],
                version=row.values["version"],
                place=self.places.value("late_usage", row.number, "run"),
            )
            for row in self.of("late_usage")
        )


NOTHING = BillInputs(head={}, rows=(), policy={}, names={}, places=TomlPlaces(text="", file=""))


# ---- reading -------------------------------------------------------------------------------------


def load_inputs(path: Path) -> BillInputs:
    """Return what the file at ``path`` says; raises ``InputError`` with every problem in it."""
    place = Place(file=str(path))
    try:
        data = path.read_bytes()
        if len(data) > FILE_BYTES_MAX:
            values = {"reason": f"{len(data)} > {FILE_BYTES_MAX} bytes"}
            raise InputError([Problem(code="VPG1715", place=place, values=values)])
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            [Problem(code="VPG1715", place=place, values={"reason": reason})]
        ) from error
    return read_inputs(text, str(path))


def read_inputs(text: str, shown_as: str) -> BillInputs:
    """Return what the TOML ``text`` says; ``shown_as`` names it in problems.

    >>> read_inputs('method = "card"', "mine.toml").head
    {'method': 'card'}
    """
    try:
        document = tomllib.loads(text, parse_float=_decimal)
    except (ValueError, RecursionError) as error:
        reason = str(error).split(" (at ")[0]
        place = syntax_place(str(error), text, shown_as)
        problem = Problem(code="VPG1715", place=place, values={"reason": reason})
        raise InputError([problem]) from error
    return _Reader(TomlPlaces(text=text, file=shown_as), shown_as).read(document)


def _decimal(text: str) -> Decimal:
    """Read a TOML number with a fraction exactly; what is too large even for that is none."""
    try:
        return Decimal(text)
    except DecimalException:
        return _UNREADABLE


class _Reader:
    """Reads one file, keeping every problem."""

    def __init__(self, places: TomlPlaces, file: str) -> None:
        self._places = places
        self._file = file
        self._problems: list[Problem] = []

    def read(self, document: Mapping[str, object]) -> BillInputs:
        """Return what the file says, or raise ``InputError`` with everything wrong with it."""
        known = (*HEAD, *ONCE, *MANY_TIMES)
        for key in document:
            if key not in known:
                self._add("VPG1716", "", 0, key, allowed=", ".join(known), hint=closest(key, known))
        head = self._values("", 0, {k: v for k, v in document.items() if k in HEAD}, HEAD)
        policy = self._values("policy", 0, self._table(document, "policy"), ONCE["policy"])
        rows = [
            Row(section, index, self._values(section, index, table, MANY_TIMES[section]))
            for section in MANY_TIMES
            for index, table in enumerate(self._tables(document, section))
        ]
        names = self._names(self._table(document, "names"))
        if not self._problems:
            self._check_owners(rows, head)
        if self._problems:
            raise InputError(sorted(self._problems, key=_spot))
        return BillInputs(
            file=self._file,
            head=head,
            rows=tuple(rows),
            policy=policy,
            names=names,
            places=self._places,
        )

    def _table(self, document: Mapping[str, object], section: str) -> dict[str, object]:
        table = document.get(section, {})
        if isinstance(table, dict):
            return table
        self._add("VPG1717", "", 0, section, value=table, allowed=f"[{section}]")
        return {}

    def _tables(self, document: Mapping[str, object], section: str) -> list[dict[str, object]]:
        tables = document.get(section, [])
        if isinstance(tables, list) and all(isinstance(one, dict) for one in tables):
            return tables
        self._add("VPG1717", "", 0, section, value=tables, allowed=f"[[{section}]]")
        return []

    def _values(
        self, section: str, index: int, table: Mapping[str, object], keys: Mapping[str, Key]
    ) -> dict[str, Any]:
        read: dict[str, Any] = {}
        for key, value in table.items():
            if key not in keys:
                allowed, hint = ", ".join(keys), closest(key, keys)
                self._add("VPG1716", section, index, key, allowed=allowed, hint=hint)
                continue
            kept = keys[key].read(value)
            if kept is None:
                allowed = keys[key].allowed
                self._add("VPG1717", section, index, key, value=value, allowed=allowed)
            read[key] = kept
        for key, wanted in keys.items():
            if wanted.needed and key not in table:
                self._add("VPG1718", section, index, key, allowed=wanted.allowed)
        return read

    def _names(self, table: Mapping[str, object]) -> dict[str, str]:
        names: dict[str, str] = {}
        for key, value in table.items():
            if not isinstance(value, str) or not value:
                self._add("VPG1717", "names", 0, key, value=value, allowed='"…"')
            elif value in names.values():
                self._add("VPG1719", "names", 0, key, value=value)
            else:
                names[key] = value
        return names

    def _check_owners(self, rows: Sequence[Row], head: Mapping[str, Any]) -> None:
        operators = [row.values["id"] for row in rows if row.section == "operator"]
        known = operators or [head.get("payer", DEFAULT_OPERATOR)]
        seen: set[tuple[str, str]] = set()
        for row in rows:
            owner = row.values.get("operator", known[0])
            if owner not in known:
                allowed = ", ".join(known)
                self._add(
                    "VPG1717", row.section, row.number, "operator", value=owner, allowed=allowed
                )
            for vpg in row.values.get("vpgs", ()):
                if ("vpg", vpg) in seen:
                    self._add("VPG1719", row.section, row.number, "vpgs", value=vpg)
                seen.add(("vpg", vpg))
            if row.section == "support":
                if ("support", owner) in seen:
                    self._add("VPG1719", row.section, row.number, "operator", value=owner)
                seen.add(("support", owner))

    def _add(self, code: str, section: str, index: int, key: str, **values: object) -> None:
        spot = self._places.key if code in {"VPG1716", "VPG1718"} else self._places.value
        place = spot(section, index, key)
        if not section and place.line == 0:
            place = self._places.key(section, index, key)
        path = f"{section}[{index}].{key}" if section in MANY_TIMES else f"{section}.{key}"
        self._problems.append(
            Problem(code=code, place=place, path=path.lstrip("."), values={"key": key, **values})
        )


def _spot(problem: Problem) -> tuple[int, int]:
    place = problem.place
    return (place.line, place.column) if place else (0, 0)


# ---- what it means -------------------------------------------------------------------------------


def month_inputs(
    given: BillInputs,
    figures: Figures,
    *,
    month: str,
    catalogue: Catalogue,
    calendar: BusinessCalendar,
    policy: InvoicePolicy | None = None,
) -> MonthInputs:
    """Return the inputs of the rating month: the file's facts beside what was metered.

    ``policy``: the readings that the file's ``[policy]`` changes.
    """
    about = Month(
        month=month,
        payer=given.payer,
        policy=replace(policy or InvoicePolicy(), **given.policy),
        catalogue=catalogue,
    )
    operators = operator_months(given.rows, about, figures)
    ids = [one.operator.operator_id for one in operators]
    payer = given.payer
    return MonthInputs(
        month=month,
        payer=operators[ids.index(payer)].operator if payer in ids else Operator(operator_id=payer),
        method=given.head.get("method", "invoice_email"),
        operators=operators,
        coverages_apart=given.head.get("coverages_apart", False),
        calendar=calendar,
        policy=about.policy,
    )


def placed(error: InputError, given: BillInputs, inputs: MonthInputs | None) -> InputError:
    """Return ``error`` with the places in the file of what it complains about, as far as known."""
    if not given.file:
        return error
    return InputError([_placed(problem, given, inputs) for problem in error.problems])


_SECTIONS = {"lines": "line", "coupons": "coupon", "carried_in": "carried_over"}


def _placed(problem: Problem, given: BillInputs, inputs: MonthInputs | None) -> Problem:
    if problem.place is not None:
        return problem
    place = given.places.file()
    found = _PART.match(problem.path)
    if found and inputs is not None:
        operator = inputs.operators[int(found[1])].operator.operator_id
        section = _SECTIONS.get(found[2] or "operator", "operator")
        own = [row for row in given.of(section) if _owner(row, given) == operator]
        number = int(found[3] or 0)
        if number < len(own):
            place = given.places.header(section, own[number].number)
    elif problem.path in HEAD:
        place = given.places.value("", 0, problem.path)
    return replace(problem, place=place)


def _owner(row: Row, given: BillInputs) -> str:
    return str(row.values.get("id" if row.section == "operator" else "operator", given.payer))
