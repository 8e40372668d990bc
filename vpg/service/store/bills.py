"""The bill of a rating month, as of now, out of a store.

Owns: putting the hours of a store, late ones told apart, before the rating and billing code that
the simulator's bills use. Does not own: any rule of a bill (``vpg.rating``, ``vpg.billing``).
Times: ``SimUs``. Money is exact integers.

A month is temporary until the end of the business day with which its figures become final, then
closed: what arrives later is a correction of the first month that was not yet final, and the closed
month says the same for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from vpg.billing.calendar import month_bounds_us
from vpg.billing.corrections import figures_of_month
from vpg.billing.money import round_up, round_up_yen
from vpg.billing.month import Bill, bill_months
from vpg.catalogue.items import MICRO_YEN, PPM
from vpg.rating.hourly import HourlyRow, key_of
from vpg.rating.late import Arrival
from vpg.timebase import month_name, month_start, next_month_start

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vpg.catalogue.model import Catalogue
    from vpg.rating.charges import ChargeRow
    from vpg.rating.late import Correction
    from vpg.service.store.base import Store
    from vpg.service.values import BillingRules


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceBill:
    """One rating month of one operator; tax excluded + tax = tax included, always."""

    operator_id: str
    month: str
    """``yyyyMM``."""
    state: Literal["temporary", "closed"]
    final_us: int
    """From then on the month's figures are final."""
    charges: tuple[ChargeRow, ...]
    """The month's own hours."""
    corrections: tuple[Correction, ...]
    """Of earlier months: what came after they had become final."""
    bill: Bill
    """The month's own hours, by bill item."""
    corrected: Bill
    """The corrections, by the month they correct."""
    tax_excluded_yen: int
    tax_yen: int
    tax_included_yen: int

    @property
    def complete(self) -> bool:
        """Whether everything used has a price."""
        return self.bill.complete and self.corrected.complete


def bill(
    store: Store,
    month: str,
    now_us: int,
    *,
    operator_id: str,
    catalogue: Catalogue,
    rules: BillingRules,
) -> ServiceBill:
    """Return the bill of the rating month ``yyyyMM`` as known at ``now_us``.

    Raises ``InputError`` for a month that is none, or where prices or tax lack.
    """
    begin_us, _ = month_bounds_us(month)
    vpg_ids = [life.vpg_id for life in store.lives() if life.operator_id == operator_id]
    figures = figures_of_month(
        _arrivals(store, vpg_ids, begin_us, now_us),
        month=month,
        at_us=now_us,
        catalogue=catalogue,
        policy=rules.charges,
        calendar=store.months.calendar,
    )
    own = bill_months(figures.charges, catalogue, rules.rounding)
    corrected = bill_months([one.charge for one in figures.corrections], catalogue, rules.rounding)
    excluded, included = _sums(own, corrected)
    return ServiceBill(
        operator_id=operator_id,
        month=month,
        state="closed" if figures.final else "temporary",
        final_us=store.months.final_us(begin_us),
        charges=figures.charges,
        corrections=figures.corrections,
        bill=own,
        corrected=corrected,
        tax_excluded_yen=excluded,
        tax_yen=included - excluded,
        tax_included_yen=included,
    )


def months_of(store: Store, now_us: int, *, operator_id: str) -> list[str]:
    """Return the rating months (``yyyyMM``) that an operator has a bill of, oldest first."""
    lives = [life for life in store.lives() if life.operator_id == operator_id]
    born = [life.born_us for life in lives if life.configs]
    month_us: int = month_start(min(born, default=now_us))
    months = []
    while month_us < now_us and born:
        months.append(month_name(month_us))
        month_us = next_month_start(month_us)
    return months


def _sums(own: Bill, corrected: Bill) -> tuple[int, int]:
    """Return yen without and with tax; where the month's sum is rounded, it is rounded once."""
    months = (*own.months, *corrected.months)
    if own.rounding != "monthly_total":
        excluded = sum(one.tax_excluded_yen for one in months)
        return excluded, sum(one.tax_included_yen for one in months)
    micro = sum(one.tax_excluded_micro_yen for one in months)
    taxed = sum(one.tax_excluded_micro_yen * (PPM + one.tax_ppm) for one in months)
    return round_up_yen(micro), round_up(taxed, MICRO_YEN * PPM)


def _arrivals(store: Store, vpg_ids: Sequence[str], begin_us: int, now_us: int) -> list[Arrival]:
    """Return the rows of a month that came in time, and what its period changed in earlier ones."""
    found = _rows(store, vpg_ids, begin_us, now_us, begin_us)
    arrivals = [Arrival(row=row, arrived_us=row.hour_start_us) for row in found]
    before_us = month_start(begin_us - 1)
    for month_us in store.late_months(begin_us):
        was = {key_of(row): row for row in _rows(store, vpg_ids, month_us, now_us, before_us)}
        now = {key_of(row): row for row in _rows(store, vpg_ids, month_us, now_us, begin_us)}
        arrivals += [Arrival(row=row, arrived_us=row.hour_start_us) for row in was.values()]
        # Whatever instant of the period: all of it came after the month before had become final.
        late_us = store.months.final_us(before_us)
        arrivals += [
            Arrival(row=row, arrived_us=late_us, version=1)
            for key, row in now.items()
            if was.get(key) != row
        ]
        arrivals += [
            Arrival(row=_none(row), arrived_us=late_us, version=1)
            for key, row in was.items()
            if key not in now
        ]
    return arrivals


def _rows(
    store: Store, vpg_ids: Sequence[str], month_us: int, now_us: int, late_until: int
) -> tuple[HourlyRow, ...]:
    until_us = next_month_start(month_us)
    return store.hourly(vpg_ids, month_us, until_us, now_us, late_until=late_until).rows


def _none(row: HourlyRow) -> HourlyRow:
    """Return a row that says that there was none."""
    return HourlyRow(vpg_id=row.vpg_id, hour_start_us=row.hour_start_us, config_seq=row.config_seq)
