"""``vpg load``: an open load on the live service, reconciled with what it stored and billed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vpg.cli.grammar import LangOption, Options, command, new_app
from vpg.cli.options import CatalogueOption, SetOption, VariantOption

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpg.cli.terminal import Terminal


def _option(
    kind: Any,  # noqa: ANN401 - a type, as typer reads it
    default: Any,  # noqa: ANN401
    name: str,
    text: str,
    metavar: str | None = None,
    **bounds: int,
) -> tuple[Any, Any]:
    return Annotated[kind, typer.Option(name, help=text, metavar=metavar, **bounds)], default  # type: ignore[arg-type]


def _flag(name: str, text: str) -> tuple[Any, bool]:
    return Annotated[bool, typer.Option(name, help=text)], False


_TARGET: Options = {
    "target": _option(
        str | None, None, "--target", "The service's API; else http://127.0.0.1:8090.", "URL"
    ),
    "ready_file": _option(
        str | None, None, "--ready-file", "Its addresses, as vpg serve wrote them.", "FILE"
    ),
    "token_file": _option(
        str | None,
        None,
        "--token-file",
        "File whose first line is a token (or OPERATOR TOKEN).",
        "FILE",
    ),
    "own_target": _flag(
        "--i-own-this-target", "The target is on another machine, and may be loaded."
    ),
}
_SHAPE: Options = {
    "rate": _option(int, 50, "--rate", "Requests a second.", "N", min=1, max=50_000),
    "for_s": _option(int, 10, "--for-s", "Seconds to send.", "S", min=1, max=3_600),
    "law": _option(
        Literal["even", "poisson", "model2", "scenario"],
        "even",
        "--law",
        "When requests are meant to leave: evenly; independently; like devices of one area by "
        "3GPP TR 37.868 model 2 (Beta(3, 4) over --for-s, --rate on average); or as --scenario's "
        "own devices do.",
    ),
    "steps": _option(
        str | None,
        None,
        "--steps",
        "Rates one after the other, each for so many seconds, e.g. 100x10,200x10.",
        "RATExS,…",
    ),
    "demand": _option(
        str | None,
        None,
        "--demand",
        "CSV of seconds and requests a second; between the rows the rate changes evenly.",
        "FILE",
    ),
    "scenario": _option(
        str | None,
        None,
        "--scenario",
        "What the service runs (for --law scenario and --fault; charges are then rated again).",
        "SCENARIO",
    ),
    "variant": (VariantOption, None),
    "sets": (SetOption, None),
    "catalogue": (CatalogueOption, None),
    "from_s": _option(
        int, 0, "--from-s", "--law scenario: seconds after the scenario's start.", "S", min=0
    ),
    "speed": _option(
        int,
        1,
        "--speed",
        "--law scenario: send so many times as fast, as vpg serve --time-scale.",
        "K",
        min=1,
        max=10_000,
    ),
    "seed": _option(int, 1, "--seed", "Seed of its draws.", "N", min=0, max=2**62),
    "lines": _option(
        int, 1_000, "--lines", "The first N active lines send, in turn.", "N", min=1, max=100_000
    ),
    "bytes_up": _option(int, 256, "--bytes", "Payload of one request.", "BYTES", min=0, max=65_536),
    "bytes_down": _option(
        int, 64, "--answer-bytes", "Its answer (Beam).", "BYTES", min=0, max=65_536
    ),
}
_EVENTS: Options = {
    "services": _option(
        list[str] | None,
        None,
        "--service",
        "Service of the events: beam, funnel, funk or ip; repeatable: in turn; else beam.",
        "NAME",
    ),
    "batch": _option(int, 1, "--batch", "Events in one request.", "N", min=1, max=100),
    "duplicates": _option(
        int,
        0,
        "--duplicates",
        "Percent of events that are one of the last 1,000 once more.",
        "PERCENT",
        min=0,
        max=90,
    ),
    "late": _option(
        int, 0, "--late", "Percent of events with a time --late-s ago.", "PERCENT", min=0, max=100
    ),
    "late_s": _option(
        int, 3_600, "--late-s", "How late; not before the VPGs exist.", "S", min=1, max=2_600_000
    ),
}
_ENTRIES: Options = {
    "services": _option(
        list[str] | None,
        None,
        "--service",
        "Entry point: beam, funnel or funk; repeatable: in turn; else beam (--law scenario: each "
        "source's own).",
        "NAME",
    ),
}
_WAY: Options = {
    "processes": _option(
        int, 1, "--processes", "Locust processes, each with its share.", "N", min=1, max=16
    ),
    "master": _option(
        str | None,
        None,
        "--master",
        "Listen here for --processes workers on other machines (vpg load worker).",
        "HOST:PORT",
    ),
    "workers_wait_s": _option(
        int, 60, "--workers-wait-s", "Longest wait until sending begins.", "S", min=1, max=3_600
    ),
    "connections": _option(
        int, 1_000, "--connections", "Most requests under way.", "N", min=1, max=10_000
    ),
    "timeout_s": _option(
        int, 30, "--timeout-s", "A request without an answer is given up.", "S", min=1, max=300
    ),
    "lateness_ms": _option(
        int,
        50,
        "--lateness-ms",
        "The run is invalid (exit 5) when 1 % of the requests leave later than this.",
        "MS",
        min=1,
        max=10_000,
    ),
    "fault": _option(
        Literal["kill", "broker", "slow-disk", "slow-upstream"] | None,
        None,
        "--fault",
        "Start the service for --scenario and do this to it while the load goes on.",
    ),
    "faults": _option(int, 2, "--faults", "Kills, spread over the load.", "N", min=1, max=100),
    "fault_ms": _option(
        int,
        20,
        "--fault-ms",
        "Delay of a slow disk's sync or a slow upstream's answer.",
        "MS",
        min=1,
        max=10_000,
    ),
    "out": _option(str, "runs", "--out", "Directory that receives the run directory.", "DIR"),
}
_EXAMPLES = {
    "rating": (
        "vpg load rating --rate 500 --for-s 60",
        "vpg load rating --rate 100 --batch 100 --duplicates 5 --processes 2",
        "vpg load rating --steps 100x10,200x10,400x10 --target http://127.0.0.1:8090",
        "vpg load rating --fault kill --scenario smallest --rate 300 --for-s 20",
    ),
    "gateway": (
        "vpg load gateway --rate 60 --for-s 30 --service beam --service funnel",
        "vpg load gateway --law model2 --rate 80 --for-s 10",
        "vpg load gateway --law scenario --scenario smart-meters --for-s 600",
        "vpg load gateway --fault broker --scenario smallest --rate 20 --for-s 20",
    ),
}
_TEXTS = {
    "rating": "Load the rating path with usage events at intended times, whatever the answers "
    "take, and compare what was acknowledged with hourly metrics and bill. Exit 4: they "
    "disagree; 5: the generator did not keep up.",
    "gateway": "Load the entry points Beam, Funnel and Funk with lines' requests at intended "
    "times, and compare what was answered with hourly metrics and bill. Exit 4: they disagree; "
    "5: the generator did not keep up.",
}


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    group = new_app("Load the live service and compare every figure with what it counted.")

    @group.callback()
    def root(*, lang: LangOption = None) -> None:
        del lang  # The terminal knows the language already.

    for kind, own in (("rating", _EVENTS), ("gateway", _ENTRIES)):
        options = {**_TARGET, **_SHAPE, **own, **_WAY}
        command(group, kind, _TEXTS[kind], _EXAMPLES[kind], options)(_loading(kind))
    command(
        group,
        "worker",
        "Send a share of a load for vpg load … --master on another machine.",
        ("vpg load worker rating --master 192.0.2.7:5557",),
    )(worker)
    app.add_typer(group, name="load")


def _loading(kind: Any) -> Callable[..., None]:  # noqa: ANN401 - a kind of load
    def load(terminal: Terminal, **chosen: Any) -> None:  # noqa: ANN401
        from vpg.cli import loading

        raise typer.Exit(loading.load(loading.Asked(kind=kind, **chosen), terminal))

    return load


def worker(
    terminal: Terminal,
    *,
    kind: Annotated[
        Literal["rating", "gateway"], typer.Argument(metavar="KIND", help="rating or gateway.")
    ],
    master: Annotated[
        str, typer.Option("--master", metavar="HOST:PORT", help="Where the master listens.")
    ],
) -> None:
    """Work until the master's load is over."""
    from vpg.cli import loading

    raise typer.Exit(loading.work(kind, master, terminal))
