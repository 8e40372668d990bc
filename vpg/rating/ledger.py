"""What the hourly table says about a VPG itself: its type, connections, features, one-off fees.

Owns: the billing state of each row (peaks within the row) and when rows begin and end. Does not
own: flows (a data plane, or the service's store) or prices (``vpg.catalogue``). Times: ``SimUs``;
rows begin at clock hours. The simulator's control plane and the live service keep the same one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vpg.errors import ensure
from vpg.gateway import connections
from vpg.rating.histogram import percentile_us
from vpg.rating.hourly import HourlyRow
from vpg.timebase import HOUR_US, hour_start

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingState:
    """What a VPG is and has, as far as its bill depends on it."""

    type: str
    size: str
    """Empty where the type has no sizes."""
    peering: int = 0
    vif: int = 0
    vpn: int = 0
    mirroring: bool = False
    redirection: bool = False
    inspection: bool = False
    fixed_ip_sets: int = 0


def change_fee(old_type: str, new_type: str) -> str:
    """Return the bill item of a change of type or size (A-13); a D that stays D pays less.

    >>> change_fee("D", "D"), change_fee("C", "D")
    ('change_fee_d', 'contract_fee_d')
    """
    if old_type == new_type == "D":
        return "change_fee_d"
    return f"contract_fee_{new_type.lower()}"


class VpgLedger:
    """The billing state of one VPG while it exists, row by row."""

    def __init__(
        self, *, vpg_id: str, state: BillingState, now_us: int, contract_fee: bool
    ) -> None:
        """Open the first row at ``now_us``, with the one-off contract fee if it is owed."""
        self.vpg_id = vpg_id
        self.type: str = state.type
        self.size: str = state.size
        self.config_seq = 0
        self.open = True
        self.ending = False
        self._connections = {"peering": state.peering, "vif": state.vif, "vpn": state.vpn}
        self._features = {
            "mirroring": int(state.mirroring),
            "redirection": int(state.redirection),
            "inspection": int(state.inspection),
            "fixed_ip": state.fixed_ip_sets,
        }
        self._one_off: list[str] = []
        self._begin_row(now_us)
        if contract_fee:
            self.owe(f"contract_fee_{state.type.lower()}")

    def _begin_row(self, now_us: int) -> None:
        self._row_began_us = now_us
        self._peaks = dict(self._connections)
        self._on = dict(self._features)
        self._one_off = []

    def owe(self, item: str) -> None:
        """Note a one-off fee (a bill item) that falls due in this row."""
        self._one_off.append(item)

    def connections(self, kind: str) -> int:
        """Return how many Peering, VIF or VPN connections there are now."""
        return self._connections[kind]

    def feature(self, name: str) -> int:
        """Return a Junction function's state, or the number of fixed IP sets."""
        return self._features[name]

    def change_connections(self, now_us: int, kind: str, change: int) -> None:
        """Add or remove Peering, VIF or VPN connections."""
        count = connections.changed(self._connections[kind], change)
        self._connections[kind] = count
        self._note(self._peaks, kind, count, now_us)

    def switch(self, now_us: int, feature: str, value: int) -> None:
        """Switch a Junction function, or set the number of fixed IP sets."""
        self._features[feature] = value
        self._note(self._on, feature, value, now_us)

    def _note(self, peaks: dict[str, int], name: str, value: int, now_us: int) -> None:
        # What ends on the hour was not there in the hour that begins: intervals are half-open.
        peaks[name] = value if self.is_fresh(now_us) else max(peaks[name], value)

    def is_fresh(self, now_us: int) -> bool:
        """Return whether the running row has only just begun."""
        return self._row_began_us == now_us

    def reconfigure(self, vpg_type: str, size: str) -> None:
        """Change type or size; the caller has closed the old row unless it is fresh."""
        self.type, self.size = vpg_type, size
        self.config_seq += 1

    def close_row(
        self, now_us: int, flows: Mapping[str, int], delays: Mapping[int, int]
    ) -> HourlyRow:
        """Return the row that ends at ``now_us`` and begin the next."""
        hour_us = hour_start(self._row_began_us)
        ensure(now_us <= hour_us + HOUR_US, "a row stays inside its clock hour")
        on = self._on
        state: dict[str, Any] = {f"{kind}_peak": self._peaks[kind] for kind in connections.KINDS}
        row = HourlyRow(
            vpg_id=self.vpg_id,
            hour_start_us=hour_us,
            config_seq=self.config_seq,
            vpg_exists=1,
            type=self.type,
            size=self.size,
            junction_on=int(any(on[name] for name in ("mirroring", "redirection", "inspection"))),
            inspection_on=on["inspection"],
            fixed_ip_sets=on["fixed_ip"],
            one_off=",".join(self._one_off),
            delay_us_p50=percentile_us(delays, 50),
            delay_us_p99=percentile_us(delays, 99),
            delay_us_max=percentile_us(delays, 100),
            **state,
            **flows,
        )
        self._begin_row(now_us)
        return row
