"""The same charges as ``vpg.rating.charges``, of whole columns at once: for months of many VPGs.

Owns: rating in NumPy, 64-bit integers throughout. What a VPG owes seldom changes from one hour to
the next, so hours of a day that owe the same are rated once and kept as one run of hours. Does not
own: what an hour owes. Hours that are anything but plain (a change of type or size in the hour, a
one-off fee) are rated one by one by ``rate_hours``; a property test holds the two to the same rows.
Times: ``hour_start_us`` is ``HourStartUs``. Money is integer micro-yen, tax excluded. Figures too
large for 64 bits are rated one by one as well: nothing ever wraps around.

NumPy is imported here and nowhere above, so that only who rates columns waits for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vpg.catalogue.items import (
    HOURLY_ITEMS,
    INSPECTION_UNIT,
    REQUEST_ITEMS,
    base_item,
    vpg_kinds,
)
from vpg.rating.charges import ChargeRow, charge, charge_key, rate_hours, rate_usage
from vpg.rating.hourly import LIMITED_SERVICES, HourlyRow
from vpg.rating.usage import Usage
from vpg.timebase import DAY_US, HOUR_US, month_start, next_month_start

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vpg.catalogue.model import Catalogue
    from vpg.rating.charges import ChargePolicy

    Ints = np.ndarray[tuple[int], np.dtype[np.int64]]
    Flags = np.ndarray[tuple[int], np.dtype[np.bool_]]

KINDS = vpg_kinds()
NUMBERS = (
    "hour_start_us",
    "config_seq",
    "vpg_exists",
    "peering_peak",
    "vif_peak",
    "vpn_peak",
    "junction_on",
    "inspection_on",
    "lines_inspected",
    "fixed_ip_sets",
)
ADMITTED = tuple(
    f"{outcome}_{service}"
    for service in LIMITED_SERVICES
    for outcome in ("accepted", "failed_upstream")
)
_INT64_MAX = 2**63 - 1
_UNPRICED = -1
_NOT_OWED = ("hour_start_us", "config_seq", "lines_inspected")


@dataclass(frozen=True, slots=True, kw_only=True)
class HourlyColumns:
    """What rating reads of the hourly metrics, as columns of one length.

    ``vpg`` and ``kind`` point into ``vpg_ids`` (ascending) and ``KINDS``; ``numbers`` has the
    columns ``NUMBERS`` and ``ADMITTED``; ``one_off`` the rows that have one-off fees.
    """

    vpg_ids: tuple[str, ...]
    vpg: Ints
    kind: Ints
    numbers: dict[str, Ints]
    one_off: dict[int, str]

    def row(self, index: int) -> HourlyRow:
        """Return what an hour owes for, requests apart, as a row."""
        vpg_type, size = KINDS[int(self.kind[index])]
        cells: dict[str, Any] = {name: int(self.numbers[name][index]) for name in NUMBERS}
        return HourlyRow(
            vpg_id=self.vpg_ids[int(self.vpg[index])],
            type=vpg_type,
            size=size,
            one_off=self.one_off.get(index, ""),
            **cells,
        )


def hourly_columns(rows: Sequence[HourlyRow]) -> HourlyColumns:
    """Return ``rows`` as columns, in their order."""
    vpg_ids = tuple(sorted({row.vpg_id for row in rows}))
    places = {name: place for place, name in enumerate(vpg_ids)}
    kinds = {kind: place for place, kind in enumerate(KINDS)}
    return HourlyColumns(
        vpg_ids=vpg_ids,
        vpg=_ints(places[row.vpg_id] for row in rows),
        kind=_ints(kinds[row.type, row.size] for row in rows),
        numbers={name: _ints(getattr(row, name) for row in rows) for name in (*NUMBERS, *ADMITTED)},
        one_off={index: row.one_off for index, row in enumerate(rows) if row.one_off},
    )


def _ints(values: Iterable[int]) -> Ints:
    return np.fromiter(values, np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemColumn:
    """One bill item in each run of hours: of one hour; quantity 0 = no row, price -1 = unpriced."""

    quantity: Ints
    micro_yen: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeColumns:
    """Charges: runs of plain hours as columns sorted by VPG and hour, the few others as rows.

    A run is ``hours`` clock hours from ``hour_start_us`` on, all in one UTC day; in each of them
    the VPG owes the same.
    """

    vpg_ids: tuple[str, ...]
    vpg: Ints
    hour_start_us: Ints
    hours: Ints
    items: dict[str, ItemColumn]
    others: tuple[ChargeRow, ...]

    def __len__(self) -> int:
        """Return the number of charge rows."""
        plain = sum(int(self.hours[one.quantity != 0].sum()) for one in self.items.values())
        return plain + len(self.others)

    def rows(self) -> list[ChargeRow]:
        """Return every charge, exactly as ``rate_hours`` gives it."""
        found = list(self.others)
        for item, column in self.items.items():
            found.extend(
                self._charge(item, index, int(column.quantity[index]), hour)
                for index in np.flatnonzero(column.quantity).tolist()
                for hour in range(int(self.hours[index]))
            )
        return sorted(found, key=charge_key)

    def _charge(self, item: str, index: int, quantity: int, hour: int = 0) -> ChargeRow:
        price = int(self.items[item].micro_yen[index])
        return charge(
            self.vpg_ids[int(self.vpg[index])],
            int(self.hour_start_us[index]) + hour * HOUR_US,
            item,
            quantity,
            None if price == _UNPRICED else price,
        )

    def summed(self, *, by_day: bool = False) -> list[ChargeRow]:
        """Return one row for all hours of a VPG's item at one price in one rating month.

        A row stands in the first such hour. Bills are sums over months, so they are the same as of
        ``rows()``; where billing days are rounded (A-15 ``per_day``), ask for rows ``by_day``.
        """
        found = list(self.others)
        if not len(self.vpg):
            return found
        part = self.hour_start_us // DAY_US if by_day else _months(self.hour_start_us)
        for item, column in self.items.items():
            begins = np.flatnonzero(_changes(self.vpg, part, column.micro_yen))
            sums = np.add.reduceat(column.quantity * self.hours, begins)
            found.extend(
                self._charge(item, index, quantity)
                for index, quantity in zip(begins.tolist(), sums.tolist(), strict=True)
                if quantity
            )
        return found


def _changes(*columns: Ints | Flags) -> Flags:
    """Return where a row differs from the one before it in any of ``columns``; the first does."""
    differs = np.zeros(len(columns[0]), np.bool_)
    differs[:1] = True
    for column in columns:
        differs[1:] |= column[1:] != column[:-1]
    return differs


def _months(hours_us: Ints) -> Ints:
    """Return the start of each hour's rating month."""
    least, most = int(hours_us.min()), int(hours_us.max())
    starts = [month_start(least)]
    while (following := next_month_start(starts[-1])) <= most:
        starts.append(following)
    known = np.array(starts, np.int64)
    return known[np.searchsorted(known, hours_us, side="right") - 1]


def rate_columns(
    columns: HourlyColumns, catalogue: Catalogue, policy: ChargePolicy
) -> ChargeColumns:
    """Return the charges of ``columns``: the rows that ``rate_hours`` gives for the same hours."""
    columns = _sorted(columns)
    begins = _changes(columns.vpg, columns.numbers["hour_start_us"])
    alone = begins & np.append(begins[1:], True)
    alone[list(columns.one_off)] = False
    runs = _Runs(columns, alone, catalogue, policy)
    items = runs.items()
    # Even the sum of all quantities of a column must be within 64 bits.
    most = max((int(one.quantity.max(initial=0)) for one in items.values()), default=0)
    if most * len(alone) > _INT64_MAX:
        alone[:] = False
        runs = _Runs(columns, alone, catalogue, policy)
        items = runs.items()
    others = [columns.row(index) for index in np.flatnonzero(~alone).tolist()]
    return ChargeColumns(
        vpg_ids=columns.vpg_ids,
        vpg=runs.vpg,
        hour_start_us=runs.hour_start_us,
        hours=runs.hours,
        items=items,
        others=(*rate_hours(others, catalogue, policy), *_by_request(columns, catalogue)),
    )


class _Runs:
    """Runs of hours that owe the same: of one row each, without one-off fees, the VPG existing."""

    def __init__(
        self, columns: HourlyColumns, alone: Flags, catalogue: Catalogue, policy: ChargePolicy
    ) -> None:
        self._catalogue, self._policy = catalogue, policy
        cells = {name: columns.numbers[name] for name in NUMBERS if name not in _NOT_OWED}
        cells["units"] = self._units(columns)
        hours = columns.numbers["hour_start_us"]
        breaks = _changes(columns.vpg, columns.kind, alone, *cells.values())
        breaks[1:] |= hours[1:] - hours[:-1] != HOUR_US
        breaks |= hours % DAY_US == 0
        for at_us in self._price_changes(hours):
            breaks |= hours == at_us
        begins = np.flatnonzero(breaks)
        long = np.diff(np.append(begins, len(hours)))
        wanted = alone[begins] & (cells["vpg_exists"][begins] != 0)
        begins = begins[wanted]
        self._cells = {name: column[begins] for name, column in cells.items()}
        self._kind = columns.kind[begins]
        self.vpg = columns.vpg[begins]
        self.hour_start_us = hours[begins]
        self.hours = long[wanted]

    def _units(self, columns: HourlyColumns) -> Ints:
        """Return the inspection units of each hour."""
        inspection: Ints = (columns.numbers["inspection_on"] != 0).astype(np.int64)
        if self._policy.inspection == "first_10000" or not inspection.any():
            return inspection
        started: Ints
        lines, hours = columns.numbers["lines_inspected"], columns.numbers["hour_start_us"]
        unit_lines = _over_time(self._catalogue, INSPECTION_UNIT, hours, 0)
        one = int(unit_lines[0])
        if (unit_lines == one).all():  # the rule; dividing by one figure is many times faster
            started = -(-lines // one) if one else inspection
        else:
            started = np.where(unit_lines > 0, -(-lines // np.maximum(unit_lines, 1)), 1)
        units: Ints = inspection * np.maximum(started, 1)
        return units

    def _price_changes(self, hours: Ints) -> set[int]:
        """Return the first hour of every new price of anything."""
        if not len(hours):
            return set()
        first, end = int(hours.min()), int(hours.max()) + 1
        moments = (at for item in HOURLY_ITEMS for at in self._catalogue.changes(item, first, end))
        return {-(-at_us // HOUR_US) * HOUR_US for at_us in moments}

    def items(self) -> dict[str, ItemColumn]:
        """Return every item that any run owes."""
        quantities = {
            base_item(*KINDS[kind]): (self._kind == kind).astype(np.int64)
            for kind in np.flatnonzero(np.bincount(self._kind)).tolist()
        }
        quantities |= self._connections() | self._junction()
        quantities["fixed_ip"] = self._cells["fixed_ip_sets"]
        return {
            item: ItemColumn(
                quantity=quantity,
                micro_yen=_over_time(self._catalogue, item, self.hour_start_us, _UNPRICED),
            )
            for item, quantity in quantities.items()
            if quantity.any()
        }

    def _connections(self) -> dict[str, Ints]:
        peering, vif, vpn = (self._cells[f"{kind}_peak"] for kind in ("peering", "vif", "vpn"))
        free_vif, free_vpn = np.ones_like(peering), np.ones_like(peering)
        if self._policy.included_connection == "one_in_total":
            free_vif = (peering == 0).astype(np.int64)
            free_vpn = ((peering == 0) & (vif == 0)).astype(np.int64)
        return {
            "peering": np.maximum(peering - 1, 0),
            "vif": np.maximum(vif - free_vif, 0),
            "vpn": np.maximum(vpn - free_vpn, 0),
        }

    def _junction(self) -> dict[str, Ints]:
        inspection = self._cells["inspection_on"] != 0
        base = inspection | (self._cells["junction_on"] != 0)
        if self._policy.junction_inspection == "inspection_only":
            base &= ~inspection
        return {
            "junction_base": base.astype(np.int64),
            "junction_inspection": self._cells["units"],
        }


def _over_time(catalogue: Catalogue, item: str, hours_us: Ints, absent: int) -> Ints:
    """Return the figure of ``item`` in each hour (one at least); ``absent`` where there is none."""
    first, last = int(hours_us.min()), int(hours_us.max())
    begins = [first, *catalogue.changes(item, first, last + 1)]
    figures = [catalogue.count(item, at_us) for at_us in begins]
    known = np.array([absent if one is None else one for one in figures], np.int64)
    if len(begins) == 1:
        every: Ints = np.broadcast_to(known, hours_us.shape)
        return every
    places = np.searchsorted(np.array(begins, np.int64), hours_us, side="right") - 1
    figure_of_hour: Ints = known[places]
    return figure_of_hour


def _by_request(columns: HourlyColumns, catalogue: Catalogue) -> list[ChargeRow]:
    """Return the charges of requests, which only a user's table prices, row by row."""
    if not catalogue.prices_usage(REQUEST_ITEMS):
        return []
    used: list[Usage] = []
    for service, item in zip(LIMITED_SERVICES, REQUEST_ITEMS, strict=True):
        numbers = columns.numbers
        admitted = numbers[f"accepted_{service}"] + numbers[f"failed_upstream_{service}"]
        used.extend(
            Usage(
                vpg_id=columns.vpg_ids[int(columns.vpg[index])],
                hour_start_us=int(numbers["hour_start_us"][index]),
                bill_item=item,
                quantity=int(admitted[index]),
            )
            for index in np.flatnonzero(admitted).tolist()
        )
    return rate_usage(used, catalogue)


def _sorted(columns: HourlyColumns) -> HourlyColumns:
    """Return ``columns`` by VPG, hour and ``config_seq``; as they are where they already are."""
    keys = (columns.numbers["config_seq"], columns.numbers["hour_start_us"], columns.vpg)
    later = np.zeros(max(len(columns.vpg) - 1, 0), np.bool_)
    for key in keys:
        later = (key[1:] > key[:-1]) | ((key[1:] == key[:-1]) & later)
    if later.all():
        return columns
    order = np.lexsort(keys)
    places = np.empty_like(order)
    places[order] = np.arange(len(order))
    return HourlyColumns(
        vpg_ids=columns.vpg_ids,
        vpg=columns.vpg[order],
        kind=columns.kind[order],
        numbers={name: column[order] for name, column in columns.numbers.items()},
        one_off={int(places[index]): fees for index, fees in columns.one_off.items()},
    )
