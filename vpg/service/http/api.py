"""The API beside the hot path: which operation does what, and the Starlette application of them.

Owns: the table of operations (paths, parameters, bodies, every status). Does not own: what they do.
"""

from __future__ import annotations

import json
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from vpg.service.cloudevents import WireEvent
from vpg.service.http import admin, billing, metrics, reading, shapes
from vpg.service.http.answers import Fault, fault, plain
from vpg.service.http.asking import Endpoint, Operation, Told
from vpg.service.http.hot import Counted
from vpg.service.http.openapi import document

if TYPE_CHECKING:
    from starlette.requests import Request

    from vpg.service.http.answers import Answer, App
    from vpg.service.http.asking import Asked
    from vpg.service.parts import Parts

_LINE: Final = {
    "simId": "8981100000000000001",
    "imsi": "440100000000001",
    "operatorId": "OP0000000001",
    "vpgId": "meters",
    "groupId": "meters",
}
_EVENT: Final = {
    "specversion": "1.0",
    "type": "request.v1",
    "source": "urn:device-fleet:1",
    "id": "00064e1b2c3d4e00000001",
    "time": "2026-04-01T00:00:00Z",
    "subject": "8981100000000000001",
    "data": {
        "operatorId": "OP0000000001",
        "vpgId": "meters",
        "service": "beam",
        "outcome": "accepted",
        "bytesUp": 120,
    },
}
_BATCH: Final = list[WireEvent]
_HOURLY: Final[Any] = list[shapes.HourlyShape]  # type: ignore[valid-type]  # a struct made of columns


class _Shown:
    """The documents and metrics of one service."""

    def __init__(self) -> None:
        self._document = b""

    async def document(self, asked: Asked) -> Answer:
        del asked
        self._document = self._document or document_text().encode()
        return plain(200, self._document)


async def _elsewhere(asked: Asked) -> Answer:
    """Never run: the hot path answers before."""
    raise NotFoundHereError(asked.request.url.path)


class NotFoundHereError(LookupError):
    """An operation was routed past its own application."""


def operations() -> list[Operation]:
    """Return every operation of the API, by path."""
    return [*_events(), *_figures(), *_vpgs(), *_lines(), *_service()]


def _events() -> list[Operation]:
    return [
        Operation(
            path="/v1/usage-events",
            method="POST",
            name="countUsageEvents",
            summary="Count usage events (CloudEvents 1.0: structured, batched, binary mode)",
            run=_elsewhere,
            body=WireEvent,
            media={
                "application/cloudevents+json": WireEvent,
                "application/cloudevents-batch+json": _BATCH,
                "application/json": WireEvent | _BATCH,
            },
            body_example=_EVENT,
            told={
                200: Told(shape=Counted, text="Every event of the batch is counted."),
                204: Told(text="The event is counted, now or by an earlier delivery."),
                207: Told(shape=Counted, text="Some events of the batch are refused."),
                403: Told(),
                409: Told(shape=Fault, text="Another event has this source and id already."),
            },
        )
    ]


def _figures() -> list[Operation]:
    return [
        Operation(
            path="/v1/hourly",
            method="GET",
            name="listHourly",
            summary="Hourly metrics, by VPG and clock hour",
            run=reading.hourly,
            query=shapes.HourlyQuery,
            told={200: Told(shape=_HOURLY, csv=True), 404: Told()},
        ),
        Operation(
            path="/v1/charges",
            method="GET",
            name="listCharges",
            summary="What each clock hour of a month owes",
            run=reading.charges,
            query=shapes.ChargesQuery,
            told={200: Told(shape=list[shapes.ChargeShape], csv=True)},
        ),
        Operation(
            path="/v1/bills",
            method="GET",
            name="listBills",
            summary="Every month, newest first",
            run=billing.bills,
            query=shapes.BillsQuery,
            told={200: Told(shape=shapes.BillList), 404: Told()},
        ),
        Operation(
            path="/v1/bills/{yyyyMM}",
            method="GET",
            name="getBill",
            summary="One month with its lines",
            run=billing.bill,
            query=shapes.BillQuery,
            told={200: Told(shape=shapes.BillShape, csv=True)},
        ),
    ]


def _vpgs() -> list[Operation]:
    vpg = Told(shape=shapes.VpgShape)
    return [
        Operation(
            path="/v1/vpgs",
            method="GET",
            name="listVpgs",
            summary="Every VPG",
            run=reading.vpgs,
            told={200: Told(shape=list[shapes.VpgShape])},
        ),
        Operation(
            path="/v1/vpgs",
            method="POST",
            name="createVpg",
            summary="Create a VPG",
            run=admin.create_vpg,
            body=shapes.NewVpg,
            body_example={
                "vpgId": "meters",
                "operatorId": "OP0000000001",
                "type": "C",
                "size": "small",
            },
            told={201: vpg, 403: Told()},
        ),
        Operation(
            path="/v1/vpgs/{vpgId}",
            method="GET",
            name="getVpg",
            summary="One VPG",
            run=reading.vpg,
            told={200: vpg},
        ),
        Operation(
            path="/v1/vpgs/{vpgId}",
            method="PATCH",
            name="changeVpg",
            summary="Change type, size, features or connections",
            run=admin.change_vpg,
            body=shapes.VpgChange,
            body_example={"size": "medium"},
            told={200: vpg},
        ),
        Operation(
            path="/v1/vpgs/{vpgId}/terminate",
            method="POST",
            name="terminateVpg",
            summary="End a VPG and its sessions",
            run=admin.terminate_vpg,
            told={200: vpg},
        ),
    ]


def _lines() -> list[Operation]:
    line = Told(shape=shapes.LineShape)
    session = "/v1/lines/{simId}/session"
    return [
        Operation(
            path="/v1/lines",
            method="GET",
            name="listLines",
            summary="Lines, in the order of their registration",
            run=reading.lines,
            query=shapes.LinesQuery,
            told={200: Told(shape=list[shapes.LineShape], csv=True)},
        ),
        Operation(
            path="/v1/lines",
            method="POST",
            name="addLine",
            summary="Register a line",
            run=admin.add_line,
            body=shapes.NewLine,
            body_example=_LINE,
            told={201: line, 403: Told()},
        ),
        Operation(
            path="/v1/lines/{simId}",
            method="GET",
            name="getLine",
            summary="One line, by simId or imsi",
            run=reading.line,
            told={200: line},
        ),
        Operation(
            path="/v1/lines/{simId}",
            method="PATCH",
            name="changeLine",
            summary="Change a line's status",
            run=admin.change_line,
            body=shapes.LineChange,
            body_example={"status": "suspended"},
            told={200: line},
        ),
        Operation(
            path=session,
            method="POST",
            name="attach",
            summary="Attach: create a session",
            run=admin.attach,
            told={
                200: Told(shape=shapes.AttachShape, text="It had a session."),
                201: Told(shape=shapes.AttachShape, text="The session is created."),
                403: Told(),
            },
        ),
        Operation(
            path=session,
            method="DELETE",
            name="detach",
            summary="End a session; or lose the device, or cut it",
            run=admin.detach,
            query=shapes.DetachQuery,
            told={200: Told(shape=shapes.DetachShape)},
        ),
    ]


def _service() -> list[Operation]:
    health = Told(shape=shapes.Health)
    return [
        Operation(
            path="/healthz",
            method="GET",
            name="healthz",
            summary="The process answers",
            run=reading.healthy,
            told={200: health},
            open=True,
        ),
        Operation(
            path="/readyz",
            method="GET",
            name="readyz",
            summary="Events would be counted",
            run=reading.ready,
            told={200: health, 503: Told(shape=shapes.Health, text="Not at present.")},
            open=True,
        ),
        Operation(
            path="/metrics",
            method="GET",
            name="metrics",
            summary="Prometheus metrics of the running hour",
            run=metrics.Metrics(),
            told={200: Told(media="text/plain", text="Text format 0.0.4.")},
        ),
        Operation(
            path="/openapi.json",
            method="GET",
            name="openapi",
            summary="This document",
            run=_Shown().document,
            told={200: Told(media="application/json", text="OpenAPI 3.1.")},
            open=True,
        ),
    ]


def document_text() -> str:
    """Return the OpenAPI document as it is committed (``docs/openapi.json``)."""
    return json.dumps(document(operations()), indent=2, ensure_ascii=False) + "\n"


def api(parts: Parts) -> App:
    """Return the application of everything but the hot path."""
    ordered = sorted(operations(), key=lambda one: one.path)
    routes = [
        Route(path, endpoint=Endpoint(parts, list(group)))
        for path, group in groupby(ordered, key=lambda one: one.path)
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _failed})
    app.router.redirect_slashes = False
    return app


async def _failed(request: Request, error: Exception) -> Response:
    """Answer what no operation is: 404."""
    del request
    status = error.status_code if isinstance(error, HTTPException) else 500
    answer = fault(status, "not_found" if status == 404 else "refused", "there is nothing here")  # noqa: PLR2004
    headers = {name.decode(): value.decode() for name, value in answer.headers}
    return Response(answer.body, status_code=status, headers=headers)
