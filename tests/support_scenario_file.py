"""A scenario value as a scenario file, so that a failure with it can be run again by hand.

``write`` says everything that the format can say. What the loader refuses is left out, one thing at
a time, and named in a comment at the head of the file with whatever is read back otherwise; the
function and seed that made the value stand there too. No test lives here.
"""

from __future__ import annotations

import dataclasses
import json
import re
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

from scenarios import model
from scenarios.build_retry import PRESETS
from scenarios.loader import load_scenario
from scenarios.schema_base import plain
from sim.control import EVENT_WORDS
from sim.engine_check.limits import limits_table
from tests.conftest import FAILURES
from vpg.errors import InputError
from vpg.timebase import to_utc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from scenarios.model import Payload, Ramp, RetryPolicy, Scenario, SizeName
    from vpg.catalogue.model import Catalogue

    Case: TypeAlias = Callable[[int], tuple[Scenario, Catalogue]]

Tree = dict[str, Any]
"""Part of a file: mappings, lists, texts, numbers."""
_STEPS = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_ELSEWHERE = {"VPG1603": "assumptions.beam_legs"}
"""Problems that another key causes than the one at which they are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A scenario file, and what it says otherwise than the value it was made of."""

    path: Path
    limits: Path
    """Its catalogue's limits of types C and D, as a user's table."""
    left_out: tuple[str, ...]
    differs: tuple[str, ...]


# ---- the same meaning, said in the file's way ----------------------------------------------------


def spoken(scenario: Scenario) -> Scenario:
    """Return ``scenario`` without what has no meaning, such as the deadline of a queue not kept."""
    return dataclasses.replace(
        scenario,
        vpgs=tuple(_spoken_vpg(vpg, scenario.start_us) for vpg in scenario.vpgs),
        fleets=tuple(_spoken_fleet(fleet) for fleet in scenario.fleets),
        events=tuple(_spoken_event(event) for event in scenario.events),
    )


def _spoken_vpg(vpg: model.Vpg, start_us: int) -> model.Vpg:
    plainest, limiter = model.Limiter(), vpg.limiter
    if limiter.kind == "fixed_window":
        limiter = dataclasses.replace(limiter, burst_requests=None)
    if limiter.above == "reject":
        limiter = dataclasses.replace(
            limiter,
            queue_deadline_us=plainest.queue_deadline_us,
            queue_requests_max=plainest.queue_requests_max,
        )
    return dataclasses.replace(vpg, limiter=limiter, created_at_us=max(vpg.created_at_us, start_us))


def _spoken_ramp(ramp: Ramp) -> Ramp:
    return model.Ramp() if ramp.shape == "at_once" or not ramp.over_us else ramp


def _spoken_fleet(fleet: model.Fleet) -> model.Fleet:
    session = fleet.session
    at_start, by_itself = session.attach == "at_start", session.duration != "idle"
    session = dataclasses.replace(
        session,
        ramp=_spoken_ramp(session.ramp) if at_start else model.Ramp(),
        duration_us=session.duration_us if by_itself else 0,
    )
    sources = tuple(_spoken_source(source) for source in fleet.traffic)
    return dataclasses.replace(fleet, session=session, traffic=sources)


def _spoken_source(source: model.Source) -> model.Source:
    if isinstance(source, model.Trace):
        # Each of its messages has sizes of its own.
        return dataclasses.replace(source, up=model.Payload(), down=model.Payload())
    if isinstance(source, model.Reporting):
        total = sum(weight for _, weight in source.intervals)
        shares = [(us, weight * model.MILLION // total) for us, weight in source.intervals]
        source = dataclasses.replace(source, intervals=tuple(shares))
    return dataclasses.replace(source, up=_spoken_size(source.up), down=_spoken_size(source.down))


def _spoken_size(payload: Payload) -> Payload:
    if payload.kind == "fixed":
        return dataclasses.replace(payload, high_bytes=payload.low_bytes)
    if payload.kind == "choice":
        sizes = [size for size, _ in payload.choices]
        return dataclasses.replace(payload, low_bytes=min(sizes), high_bytes=max(sizes))
    return payload


def _spoken_event(event: model.Event) -> model.Event:
    match event:
        case model.CarrierOutage() | model.PowerCut():
            return dataclasses.replace(event, release=_spoken_ramp(event.release))
        case model.AttachLines():
            return dataclasses.replace(event, ramp=_spoken_ramp(event.ramp))
        case model.UpstreamFault(mode="down"):
            return dataclasses.replace(event, delay_us=0)
        case _:
            return event


# ---- values as the file writes them --------------------------------------------------------------


def _seconds(us: int) -> Decimal:
    return Decimal(us) / 1_000_000


def _percent(ppm: int) -> Decimal:
    return Decimal(ppm) / 10_000


def _instant(at_us: int) -> str:
    return to_utc(at_us).isoformat()


def _given(**values: Any) -> Tree:
    """Return the values that are there; keys may end in ``_`` where Python has the word itself."""
    return {name.rstrip("_"): value for name, value in values.items() if value is not None}


def _payload(payload: Payload) -> int | Tree:
    match payload.kind:
        case "fixed":
            return payload.low_bytes
        case "uniform":
            return {"uniform": [payload.low_bytes, payload.high_bytes]}
        case "pareto":
            law = _given(
                shape=Decimal(payload.shape_milli) / 1000,
                min_bytes=payload.low_bytes,
                max_bytes=payload.high_bytes,
            )
            return {"pareto": law}
        case _:
            return {"choice": [{"bytes": size, "weight": w} for size, w in payload.choices]}


def _ramp(ramp: Ramp) -> Tree | None:
    return (
        None if ramp.shape == "at_once" else {"shape": ramp.shape, "over_s": _seconds(ramp.over_us)}
    )


def _retry(policy: RetryPolicy) -> str | Tree:
    bounds = _given(
        tries_max=policy.tries_max,
        deadline_s=None if policy.deadline_us is None else _seconds(policy.deadline_us),
        jitter_percent=_percent(policy.jitter_ppm),
        retry_after=policy.retry_after,
    )
    preset = PRESETS.get(policy.name)
    if preset == policy:
        return policy.name
    if preset is not None:
        return {"preset": policy.name, **bounds}
    steps = [{"delay_s": _seconds(us), "count": count} for us, count in policy.steps]
    return {"steps": steps, "cycle": policy.cycle, **bounds}


def _vpg(vpg: model.Vpg) -> Tree:
    limiter, queues = vpg.limiter, vpg.limiter.above == "queue"
    peers = [
        _given(
            ip=peer.ip,
            enabled=peer.enabled,
            capacity_kbps=None
            if peer.capacity_bytes_per_s is None
            else Decimal(peer.capacity_bytes_per_s) / 125,
            loss_percent=_percent(peer.loss_ppm),
        )
        for peer in vpg.mirror_peers
    ]
    delay_ms = Decimal(vpg.redirection_delay_us) / 1000
    has_redirection = vpg.redirection or delay_ms
    return _given(
        id=vpg.id,
        type=vpg.type,
        size=vpg.size or None,
        created_at=_instant(vpg.created_at_us),
        deleted_at=None if vpg.deleted_at_us is None else _instant(vpg.deleted_at_us),
        contract_fee=vpg.contract_fee,
        limiter=_given(
            kind=limiter.kind,
            above=limiter.above,
            burst_requests=limiter.burst_requests,
            queue_deadline_s=_seconds(limiter.queue_deadline_us) if queues else None,
            queue_requests_max=limiter.queue_requests_max if queues else None,
        ),
        connections={"peering": vpg.peering, "vif": vpg.vif, "vpn": vpg.vpn},
        junction=_given(
            mirroring={"enabled": vpg.mirroring, "peers": peers} if peers else None,
            redirection={"enabled": vpg.redirection, "delay_ms": delay_ms}
            if has_redirection
            else None,
            inspection=vpg.inspection,
        ),
        fixed_ip_sets=vpg.fixed_ip_sets,
        upstream={
            "delay_ms": Decimal(vpg.upstream.delay_us) / 1000,
            "timeout_s": _seconds(vpg.upstream.timeout_us),
            "failure_percent": _percent(vpg.upstream.failure_ppm),
        },
        mtu_bytes=vpg.mtu_bytes,
        header_bytes=vpg.header_bytes,
        message_overhead_bytes=vpg.message_overhead_bytes,
    )


def _fleet(fleet: model.Fleet, tables: dict[str, bytes], stem: str) -> Tree:
    session = fleet.session
    length_s = _seconds(session.duration_us)
    durations: dict[str, Any] = {
        "idle": "idle",
        "fixed": {"fixed_s": length_s},
        "exponential": {"exponential_mean_s": length_s},
    }
    every_us, notice_us = session.reattach_every_us, session.notice_us
    return _given(
        name=fleet.name,
        vpg=fleet.vpg_id,
        lines=fleet.lines,
        status=fleet.status,
        session=_given(
            attach=session.attach,
            ramp=_ramp(session.ramp) if session.attach == "at_start" else None,
            duration=durations[session.duration],
            reattach_every_s=None if every_us is None else _seconds(every_us),
            notice_s=None if notice_us is None else _seconds(notice_us),
        ),
        attach_retry=_retry(fleet.attach_retry),
        retry=_retry(fleet.retry),
        outstanding=fleet.outstanding,
        buffer_messages=fleet.buffer_messages,
        traffic=[
            _source(one, fleet.lines, tables, f"{stem}.{fleet.name}") for one in fleet.traffic
        ],
    )


def _source(source: model.Source, lines: int, tables: dict[str, bytes], stem: str) -> Tree:
    base = _given(
        name=source.name, service=source.service, share_percent=_percent(source.share_ppm)
    )
    if isinstance(source, model.Trace):
        name = f"{stem}.{source.name}.csv"
        columns = (source.times_us, source.lines, source.bytes_up, source.bytes_down)
        # Lines that a fleet does not begin with are none that a table may name.
        rows = [",".join(map(str, r)) for r in zip(*columns, strict=True) if r[1] < lines]
        tables[name] = "\n".join(["time,line,bytes_up,bytes_down", *rows, ""]).encode()
        return {**base, "kind": "trace", "file": name}
    base |= {"payload_bytes": _payload(source.up), "answer_bytes": _payload(source.down)}
    match source:
        case model.Periodic():
            on_clock = source.phase == "clock"
            return base | _given(
                kind="periodic",
                every_s=_seconds(source.every_us),
                phase=source.phase,
                offset_s=_seconds(source.offset_us) if on_clock else None,
                jitter_s=_seconds(source.jitter_us),
            )
        case model.Poisson():
            rate = Decimal(source.rate_micro_per_hour) / 1_000_000
            return base | {"kind": "poisson", "messages_per_hour": rate}
        case model.Burst():
            repeat_us = source.repeat_us
            return base | _given(
                kind="tr37868_model1" if source.shape == "uniform" else "tr37868_model2",
                at=_instant(source.at_us),
                over_s=_seconds(source.over_us),
                repeat_s=None if repeat_us is None else _seconds(repeat_us),
            )
        case model.Reporting():
            total = sum(weight for _, weight in source.intervals)
            shares = [
                {"every_s": _seconds(us), "percent": Decimal(100 * weight) / total}
                for us, weight in source.intervals
            ]
            return base | {"kind": "tr45820", "intervals": shares}
        case _:
            curve = zip(source.begins_us, source.ends_us, source.micro_messages, strict=True)
            points = [
                {
                    "begins_at": _instant(begin_us),
                    "ends_at": _instant(end_us),
                    "messages": Decimal(micro) / 1_000_000,
                }
                for begin_us, end_us, micro in curve
            ]
            return base | {"kind": "demand_curve", "points": points}


_RENAMED = {"vpg_id": "vpg"}


def _event(event: model.Event) -> Tree:
    tree: Tree = {"kind": EVENT_WORDS[type(event)], "at": _instant(event.at_us)}
    for field in dataclasses.fields(event):
        value = getattr(event, field.name)
        match field.name:
            case "at_us":
                continue
            case "until_us":
                tree["until"] = _instant(value)
            case "share_ppm":
                tree["share_percent"] = _percent(value)
            case "release" | "ramp":
                tree |= _given(**{field.name: _ramp(value)})
            case "fleets" | "services":
                tree[field.name] = list(value)
            case "kind":
                tree["connection"] = value
            case "value":
                fixed_ip = tree["feature"] == "fixed_ip"
                tree |= {"sets": value} if fixed_ip else {"on": bool(value)}
            case "delay_us":
                tree |= {"delay_ms": Decimal(value) / 1000} if tree["mode"] == "slow" else {}
            case name:
                tree[_RENAMED.get(name, name)] = value
    return tree


def _assumptions(chosen: model.Assumptions) -> Tree:
    tree: Tree = {}
    for field in dataclasses.fields(chosen):
        value, name = getattr(chosen, field.name), field.name[len("a00_") :]
        if name.endswith("_us") and value is not None:
            name, value = name.removesuffix("us") + "s", _seconds(value)
        tree |= _given(**{name: value})
    return tree


def _tree(scenario: Scenario, tables: dict[str, bytes], stem: str) -> Tree:
    return {
        "vpgsim": 1,
        "name": scenario.name,
        "title": scenario.title,
        "start": _instant(scenario.start_us),
        "end": _instant(scenario.end_us),
        "seed": scenario.seed,
        "assumptions": _assumptions(scenario.assumptions),
        "vpgs": [_vpg(vpg) for vpg in scenario.vpgs],
        "fleets": [_fleet(fleet, tables, stem) for fleet in scenario.fleets],
        "events": [_event(event) for event in scenario.events],
    }


# ---- the file ------------------------------------------------------------------------------------


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return plain(value) if isinstance(value, Decimal) else json.dumps(value)


def _text(tree: Tree) -> str:
    lines = []
    for key, value in tree.items():
        if isinstance(value, list) and value:
            lines += [f"{key}:", *(f"  - {_flow(item)}" for item in value)]
        else:
            lines.append(f"{key}: {_flow(value)}")
    return "\n".join([*lines, ""])


def _leave_out(tree: Tree, path: str) -> str:
    """Take what stands at ``path`` (an event as a whole) out of ``tree``; return what it was.

    Where nothing stands there, something is missing: the thing that misses it goes.
    """
    steps = [name or int(index) for name, index in _STEPS.findall(path)]
    steps = steps[:2] if steps[0] == "events" else steps
    above: list[tuple[Any, Any]] = []
    node: Any = tree
    for step in steps:
        if step not in (range(len(node)) if isinstance(node, list) else node):
            break
        above.append((node, step))
        node = node[step]
    parent, step = above[-1]
    return f"{path}: {_flow(parent.pop(step))}"


def _differences(one: object, other: object, path: str = "") -> Iterator[str]:
    if dataclasses.is_dataclass(one) and type(one) is type(other):
        for field in dataclasses.fields(one):
            mine, its = getattr(one, field.name), getattr(other, field.name)
            yield from _differences(mine, its, f"{path}.{field.name}".lstrip("."))
    elif isinstance(one, tuple) and isinstance(other, tuple) and len(one) == len(other):
        for index, (mine, its) in enumerate(zip(one, other, strict=True)):
            yield from _differences(mine, its, f"{path}[{index}]")
    elif isinstance(one, tuple) and isinstance(other, tuple):
        yield f"{path}: of {len(one)} there are {len(other)}"
    elif one != other:
        yield f"{path}: {one!r} is read back as {other!r}"


def _limits(catalogue: Catalogue, at_us: int) -> str:
    """Return the catalogue's limits as a user's table."""
    sizes: tuple[SizeName, ...] = ("small", "medium", "large")
    items: dict[str, int] = {}
    for kind in ("C", "D"):
        for size in sizes:
            found = catalogue.limits(kind, size, at_us)
            for name in ("lines_max", "rate_per_s"):
                value = getattr(found, name)
                if value is not None:
                    items[f"{name}_{kind.lower()}_{size}"] = value
    return limits_table(items)


def write(scenario: Scenario, catalogue: Catalogue, folder: Path, stem: str, made: str) -> Written:
    """Write ``stem``.yaml and what it needs into ``folder``; ``made``: how to make the value."""
    folder.mkdir(parents=True, exist_ok=True)
    tables: dict[str, bytes] = {}
    said = spoken(scenario)
    tree = _tree(said, tables, stem)
    for name, content in tables.items():
        (folder / name).write_bytes(content)
    path, limits = folder / f"{stem}.yaml", folder / f"{stem}.limits.toml"
    limits.write_text(_limits(catalogue, scenario.start_us), encoding="utf-8")
    left_out: list[str] = []
    while True:
        try:
            read = load_scenario(_text(tree), catalogue=catalogue, folder=folder)
            break
        except InputError as error:
            problem = error.problems[0]
            where = _ELSEWHERE.get(problem.code, problem.path)
            left_out.append(f"{problem.code} {_leave_out(tree, where)}")
    differs = tuple(_differences(said, read))
    head = [
        f"Made by {made}. To run it:",
        f"vpg run {path.name} --catalogue {limits.name} --engine reference (or compiled)",
    ]
    if left_out:
        head += ["", "Left out, because a scenario file cannot say it:", *left_out]
    if differs:
        head += ["", "Otherwise than in the value it was made of:", *differs]
    comment = "".join(f"# {line}".rstrip() + "\n" for line in head)
    path.write_text(comment + _text(tree), encoding="utf-8")
    return Written(path=path, limits=limits, left_out=tuple(left_out), differs=differs)


@contextmanager
def kept_on_failure(case: Case, seed: int, folder: Path = FAILURES) -> Iterator[None]:
    """Keep the scenario ``case(seed)`` as a file when what is done with it fails."""
    stem = f"{case.__name__}-{seed}"
    for old in folder.glob(f"{stem}.*"):
        old.unlink()
    try:
        yield
    except Exception as error:
        made = f"{case.__module__}.{case.__name__}({seed})"
        kept = write(*case(seed), folder, stem, made)
        error.add_note(f"kept as {kept.path}")
        raise
