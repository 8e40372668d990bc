"""Events of a scenario file to those of ``scenarios.model``, checked against run and target."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from scenarios import model
from scenarios import schema_events as parts
from scenarios.build_fleets import build_ramp
from scenarios.places import shorten
from scenarios.problems import closest, listed
from scenarios.times import months_later, ppm, us

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scenarios.context import Context
    from scenarios.places import Path

Placed = tuple[model.Event, "Path"]
"""An event and where it is written."""


class EventBuilder:
    """Builds events one by one; knows the VPGs and fleets they may name."""

    def __init__(
        self,
        context: Context,
        vpgs: Mapping[str, model.Vpg],
        vpg_ids: Sequence[str],
        fleet_lines: Mapping[str, int],
        fleet_names: Sequence[str],
    ) -> None:
        """Take the targets that exist; ``*_ids`` and ``*_names`` also list those with mistakes."""
        self.context = context
        self.vpgs = vpgs
        self.vpg_ids = vpg_ids
        self.fleet_lines = fleet_lines
        self.fleet_names = fleet_names

    def build(self, part: parts.EventValue, index: int) -> list[Placed]:
        """Return the event (several for repeated growth), or nothing with its problems noted."""
        path: Path = ("events", index)
        before = len(self.context.problems)
        at_us = self.context.moment(part.at, (*path, "at"))
        inside = self.context.within_run(at_us, part.at, (*path, "at"))
        until_us = self._until(part, at_us, path) if isinstance(part, parts.LastingPart) else 0
        self._check_vpg(part, path)
        usable = inside and at_us is not None and until_us is not None
        events = self._event(part, at_us or 0, until_us or 0, path)
        if not usable or len(self.context.problems) > before:
            return []
        return [(event, path) for event in events]

    def _until(self, part: parts.LastingPart, at_us: int | None, path: Path) -> int | None:
        if (part.until is None) == (part.for_s is None):
            given = "until, for_s" if part.until else "-"
            self.context.problem("VPG1216", path, choices="until, for_s", given=given)
            return None
        if part.for_s is not None:
            return None if at_us is None else at_us + us(part.for_s)
        text = part.until or ""
        until_us = self.context.moment(text, (*path, "until"))
        if until_us is not None and at_us is not None and until_us <= at_us:
            self.context.problem("VPG1256", (*path, "until"), value=shorten(text))
        return until_us

    def _check_vpg(self, part: parts.EventPart, path: Path) -> None:
        vpg_id = getattr(part, "vpg", None)
        if vpg_id is not None and vpg_id not in self.vpg_ids:
            self._unknown("VPG1228", vpg_id, self.vpg_ids, (*path, "vpg"))

    def _unknown(self, code: str, value: str, known: Sequence[str], path: Path) -> None:
        self.context.problem(
            code, path, value=shorten(value), hint=closest(value, known), known=listed(known) or "-"
        )

    def _fleets(self, names: tuple[str, ...] | None, path: Path) -> tuple[str, ...]:
        for index, name in enumerate(names or ()):
            if name not in self.fleet_names:
                self._unknown("VPG1229", name, self.fleet_names, (*path, "fleets", index))
            elif name in (names or ())[:index]:
                self.context.problem("VPG1268", (*path, "fleets", index), value=name)
        return tuple(self.fleet_names) if names is None else names

    def _event(
        self, part: parts.EventValue, at_us: int, until_us: int, path: Path
    ) -> list[model.Event]:
        match part:
            case parts.CarrierOutagePart() | parts.PowerCutPart():
                return [self._outage(part, at_us, until_us, path)]
            case parts.ForcedCutPart():
                fleets, share = self._fleets(part.fleets, path), ppm(part.share_percent)
                return [model.ForcedCut(at_us=at_us, fleets=fleets, share_ppm=share)]
            case parts.AttachLinesPart():
                fleets, share = self._fleets(part.fleets, path), ppm(part.share_percent)
                ramp = build_ramp(part.ramp, (*path, "ramp"), self.context)
                return [model.AttachLines(at_us=at_us, fleets=fleets, share_ppm=share, ramp=ramp)]
            case parts.LineChangePart() | parts.GrowthPart():
                return self._lines(part, at_us, path)
            case _:
                return self._gateway(part, at_us, until_us, path)

    def _outage(
        self,
        part: parts.CarrierOutagePart | parts.PowerCutPart,
        at_us: int,
        until_us: int,
        path: Path,
    ) -> model.Event:
        fleets, share = self._fleets(part.fleets, path), ppm(part.share_percent)
        release = build_ramp(part.release, (*path, "release"), self.context)
        if isinstance(part, parts.PowerCutPart):
            return model.PowerCut(
                at_us=at_us, until_us=until_us, fleets=fleets, share_ppm=share, release=release
            )
        return model.CarrierOutage(
            at_us=at_us,
            until_us=until_us,
            fleets=fleets,
            share_ppm=share,
            sessions=part.sessions,
            release=release,
        )

    def _lines(
        self, part: parts.LineChangePart | parts.GrowthPart, at_us: int, path: Path
    ) -> list[model.Event]:
        if part.fleet not in self.fleet_names:
            self._unknown("VPG1229", part.fleet, self.fleet_names, (*path, "fleet"))
        if isinstance(part, parts.LineChangePart):
            have = self.fleet_lines.get(part.fleet, part.first_line + 1)
            lines = have - part.first_line if part.lines is None else part.lines
            change = model.LineChange(
                at_us=at_us,
                fleet=part.fleet,
                first_line=part.first_line,
                lines=lines,
                status=part.status,
            )
            return [change]
        if (part.repeat is None) != (part.count is None):
            key, needs = ("count", "repeat") if part.repeat is None else ("repeat", "count")
            self.context.problem("VPG1222", (*path, key), key=key, needs=needs)
            return []
        events: list[model.Event] = []
        for month in range(min(part.count or 1, 240)):
            when_us = months_later(at_us, month) if month else at_us
            if month:  # The first was looked at with the event itself.
                self.context.within_run(when_us, f"{part.at} ({month + 1}/{part.count})", path)
            if self.context.end_us is not None and when_us >= self.context.end_us:
                break
            events.append(model.Growth(at_us=when_us, fleet=part.fleet, lines=part.lines))
        return events

    def _gateway(
        self, part: parts.EventValue, at_us: int, until_us: int, path: Path
    ) -> list[model.Event]:
        events: list[model.Event] = []
        match part:
            case parts.RecreatePart():
                events = self._recreate(part, at_us, path)
            case parts.FeaturePart():
                events = self._feature(part, at_us, path)
            case parts.ConnectionPart():
                if not part.change:
                    self.context.problem("VPG1269", (*path, "change"))
                kind, change = part.connection, part.change
                events = [
                    model.ConnectionChange(at_us=at_us, vpg_id=part.vpg, kind=kind, change=change)
                ]
            case parts.UpstreamFaultPart():
                events = self._upstream(part, at_us, until_us, path)
            case parts.MirrorPeerFaultPart():
                events = self._mirror(part, at_us, until_us, path)
            case parts.RedirectionFaultPart():
                events = [model.RedirectionFault(at_us=at_us, until_us=until_us, vpg_id=part.vpg)]
        return events

    def _recreate(self, part: parts.RecreatePart, at_us: int, path: Path) -> list[model.Event]:
        if part.type is None and part.size is None:
            self.context.problem("VPG1202", path, key="size", value="")
            return []
        # The replay over time (checks) fills in what the event leaves as it was.
        vpg = self.vpgs.get(part.vpg)
        kind = part.type or (vpg.type if vpg else "C")
        return [model.Recreate(at_us=at_us, vpg_id=part.vpg, type=kind, size=part.size or "")]

    def _feature(self, part: parts.FeaturePart, at_us: int, path: Path) -> list[model.Event]:
        wanted, other = ("sets", "on") if part.feature == "fixed_ip" else ("on", "sets")
        if getattr(part, other) is not None:
            needs = "feature: fixed_ip" if other == "sets" else "feature ≠ fixed_ip"
            self.context.problem("VPG1222", (*path, other), key=other, needs=needs)
        value = part.sets if wanted == "sets" else part.on
        if value is None:
            self.context.problem("VPG1202", path, key=wanted, value="")
            return []
        vpg = self.vpgs.get(part.vpg)
        if part.feature == "mirroring" and value and vpg is not None and not vpg.mirror_peers:
            self.context.problem("VPG1288", path, value=part.vpg)
        return [
            model.FeatureSwitch(
                at_us=at_us, vpg_id=part.vpg, feature=part.feature, value=int(value)
            )
        ]

    def _upstream(
        self, part: parts.UpstreamFaultPart, at_us: int, until_us: int, path: Path
    ) -> list[model.Event]:
        if part.mode == "slow" and not part.delay_ms:
            self.context.problem("VPG1202", path, key="delay_ms", value="")
        if part.mode == "down" and part.delay_ms is not None:
            self.context.problem("VPG1222", (*path, "delay_ms"), key="delay_ms", needs="mode: slow")
        return [
            model.UpstreamFault(
                at_us=at_us,
                until_us=until_us,
                vpg_id=part.vpg,
                services=tuple(dict.fromkeys(part.services)),
                mode=part.mode,
                delay_us=int((part.delay_ms or 0) * 1000),
            )
        ]

    def _mirror(
        self, part: parts.MirrorPeerFaultPart, at_us: int, until_us: int, path: Path
    ) -> list[model.Event]:
        try:
            address = str(ipaddress.ip_address(part.ip))
        except ValueError:
            self.context.problem("VPG1260", (*path, "ip"), value=shorten(part.ip))
            return []
        vpg = self.vpgs.get(part.vpg)
        known = [peer.ip for peer in vpg.mirror_peers] if vpg else [address]
        if address not in known:
            self._unknown("VPG1289", part.ip, known, (*path, "ip"))
        return [model.MirrorPeerFault(at_us=at_us, until_us=until_us, vpg_id=part.vpg, ip=address)]
