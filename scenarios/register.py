"""The register of unknowns A-01 … A-49, and how a scenario reads each.

Owns: ``assumptions.toml`` and what a scenario chose. Does not own: what an assumption does (the
part named in ``acts``). Every manifest and report lists the whole register, so nobody takes a
reading for a fact.
"""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from scenarios.model import Assumptions, Limiter, Upstream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from scenarios.model import Scenario, Vpg


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumption:
    """One unknown. ``key`` is where a scenario chooses, None where it cannot yet."""

    id: str
    key: str | None
    field: str | None
    """Field of ``scenarios.model.Assumptions``."""
    default: str
    alternatives: tuple[str, ...]
    acts: str
    en: str
    ja: str

    def chosen(self, scenario: Scenario) -> str:
        """Return how ``scenario`` reads this unknown; equal to ``default`` when it says nothing."""
        if self.field is not None:
            return _field_text(scenario.assumptions, self.field)
        return _CHOSEN[self.id](scenario, self.default) if self.id in _CHOSEN else self.default


@functools.cache
def register() -> tuple[Assumption, ...]:
    """Return the whole register, in the order of its numbers."""
    text = resources.files("scenarios").joinpath("assumptions.toml").read_text("utf-8")
    defaults = Assumptions()
    rows = []
    for number, row in sorted(tomllib.loads(text).items()):
        field = row.get("field")
        rows.append(
            Assumption(
                id=number,
                key=row.get("key"),
                field=field,
                default=row["default"] if field is None else _field_text(defaults, field),
                alternatives=tuple(row["alternatives"]),
                acts=row["acts"],
                en=row["en"],
                ja=row["ja"],
            )
        )
    return tuple(rows)


def _field_text(assumptions: Assumptions, field: str) -> str:
    """Return the value as a scenario file writes it: µs as seconds, none as ``off``."""
    value = getattr(assumptions, field)
    if field == "a28_cut_after_us":
        texts = [_seconds(value)] if value is not None else []
        cut_bytes = assumptions.a28_cut_after_bytes
        texts += [f"{cut_bytes} bytes"] if cut_bytes is not None else []
        return ", ".join(texts) or "off"
    if value is None:
        return "off"
    if isinstance(value, bool):
        return "true" if value else "false"
    return _seconds(value) if field.endswith("_us") else str(value)


def _seconds(value_us: int) -> str:
    whole, rest = divmod(value_us, 1_000_000)
    return f"{whole} s" if not rest else f"{whole}.{rest:06d}".rstrip("0") + " s"


def _limiters(scenario: Scenario, default: str) -> str:
    def text(vpg: Vpg) -> str:
        limiter = vpg.limiter
        if limiter == Limiter():
            return default
        if limiter.kind == "fixed_window":
            words = "fixed_window"
        else:
            burst = limiter.burst_requests
            words = f"token_bucket, burst {'1 s' if burst is None else f'{burst} requests'}"
        if limiter.above == "queue":
            words += f", queue up to {_seconds(limiter.queue_deadline_us)}"
        return words

    return _per_vpg(scenario.vpgs, text)


def _peers(scenario: Scenario, default: str) -> str:
    def text(vpg: Vpg) -> str:
        most = 2
        peers = vpg.mirror_peers
        loss = max((peer.loss_ppm for peer in peers), default=0)
        limited = any(peer.capacity_bytes_per_s is not None for peer in peers)
        if len(peers) <= most and not loss and not limited:
            return default
        words = f"{len(peers)} peers, loss up to {loss} ppm"
        return f"{words}, limited capacity" if limited else words

    return _per_vpg(scenario.vpgs, text)


def _upstreams(scenario: Scenario, default: str) -> str:
    def text(vpg: Vpg) -> str:
        behind = vpg.upstream
        if behind == Upstream(delay_us=behind.delay_us):
            return default
        return f"timeout {_seconds(behind.timeout_us)}, failures {behind.failure_ppm} ppm"

    return _per_vpg(scenario.vpgs, text)


def _per_vpg(vpgs: Iterable[Vpg], text: Callable[[Vpg], str]) -> str:
    """Return what all VPGs share, or what each has."""
    texts = {vpg.id: text(vpg) for vpg in vpgs}
    distinct = tuple(dict.fromkeys(texts.values()))
    if len(distinct) == 1:
        return distinct[0]
    return "; ".join(f"{vpg_id}: {words}" for vpg_id, words in texts.items())


_CHOSEN: dict[str, Callable[[Scenario, str], str]] = {
    "A-04": _limiters,
    "A-20": _peers,
    "A-22": _upstreams,
}
