"""How an operation of the API is asked and answered: routes and document come from one table.

Owns: reading query and body into closed structs, who speaks, errors as ``{code, message}``, JSON or
CSV. Does not own: what an operation does (``reading``, ``admin``) or the document (``openapi``).
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from vpg import text
from vpg.billing.csv_cells import harmless
from vpg.service.http import answers
from vpg.service.http.answers import Answer, TooLargeError, fault, plain, whole_body
from vpg.service.http.auth import EVERY_OPERATOR, UNAUTHORIZED, may

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.requests import Request

    from vpg.errors import InputError
    from vpg.service.http.answers import Receive, Scope, Send
    from vpg.service.parts import Parts

    Handler = Callable[["Asked"], Awaitable[Answer]]

CSV: Final = b"text/csv; charset=utf-8"
NEXT_KEY: Final = b"x-soracom-next-key"
_UTF_8: Final = (b"", b"charset=utf-8", b'charset="utf-8"')


class RefusedError(Exception):
    """The operation answers with an error."""

    def __init__(self, answer: Answer) -> None:
        """Keep the answer."""
        super().__init__()
        self.answer = answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One possible answer of an operation, for the document."""

    shape: Any = None
    """Struct of the JSON body; None: no body, or not JSON."""
    csv: bool = False
    media: str = ""
    """Media type of a body that no struct describes."""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One path and method."""

    path: str
    method: str
    name: str
    summary: str
    run: Handler
    query: type[msgspec.Struct] | None = None
    body: Any = None
    media: dict[str, Any] = field(default_factory=dict)
    """Media type → struct, where there is more than JSON of ``body``."""
    body_example: Any = None
    told: dict[int, Told] = field(default_factory=dict)
    """Status → what it means here; those that every operation shares come by themselves."""
    open: bool = False
    """Nobody is asked for a token."""


class Asked(NamedTuple):
    """One request for an operation."""

    parts: Parts
    request: Request
    speaker: str
    query: Any
    body: Any

    def mine(self, operator_id: str) -> bool:
        """Return whether whoever asks may know of this operator's things."""
        return may(self.speaker, operator_id)

    def named(self, name: str) -> str:
        """Return a parameter of the path."""
        found: str = self.request.path_params[name]
        return found


class Endpoint:
    """The ASGI application of one path: its operations by method, else 405."""

    def __init__(self, parts: Parts, operations: Sequence[Operation]) -> None:
        """Answer with ``operations``, all of one path."""
        self._parts = parts
        self._operations = {operation.method: operation for operation in operations}
        allowed = sorted(self._operations)
        self._not_allowed = fault(405, "method_not_allowed", f"allowed: {', '.join(allowed)}")
        self._not_allowed.headers.append((b"allow", ", ".join(allowed).encode()))
        bound = parts.bounds.body_bytes
        self._too_large = fault(413, "too_large", f"a request's body has at most {bound} bytes")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        from starlette.requests import Request  # noqa: PLC0415 - typed above

        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        operation = self._operations.get(method)
        if operation is None:
            await self._not_allowed(send)
            return
        try:
            answer = await self._run(operation, Request(scope, receive))
        except RefusedError as refused:
            answer = refused.answer
        except TooLargeError:
            answer = self._too_large
        except answers.GoneError:
            return
        await answer(send)

    async def _run(self, operation: Operation, request: Request) -> Answer:
        parts, headers = self._parts, request.scope["headers"]
        speaker: str | None = EVERY_OPERATOR
        if not operation.open:
            speaker = parts.tokens.operator_in(headers)
            if speaker is None:
                raise RefusedError(UNAUTHORIZED)
        query = None
        if operation.query is not None:
            query = _query(operation.query, request)
        body = None
        if operation.body is not None:
            _check_type(request)
            declared = request.headers.get("content-length")
            raw = await whole_body(
                request.receive, int(declared) if declared else None, parts.bounds.body_bytes
            )
            body = decoded(raw, operation.body)
        return await operation.run(Asked(parts, request, speaker or "", query, body))


def _query(shape: type[msgspec.Struct], request: Request) -> Any:  # noqa: ANN401 - of ``shape``
    said: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in said:
            raise RefusedError(fault(422, "invalid", f"{name!r} comes twice"))
        said[name] = value
    try:
        return msgspec.convert(said, shape, strict=False)
    except msgspec.ValidationError as error:
        raise RefusedError(fault(422, "invalid", f"query: {error}")) from None


def _check_type(request: Request) -> None:
    said = request.headers.get("content-type", "").encode("latin-1").lower()
    kind, _, rest = said.partition(b";")
    if kind.strip() != b"application/json" or rest.strip() not in _UTF_8:
        words = "send UTF-8 as application/json"
        raise RefusedError(fault(415, "unsupported_media_type", words))


def decoded(raw: bytes, shape: Any) -> Any:  # noqa: ANN401 - of ``shape``
    """Return a JSON body; raises ``RefusedError`` (400, 422)."""
    try:
        return msgspec.json.decode(raw, type=shape)
    except msgspec.ValidationError as error:
        raise RefusedError(fault(422, "invalid", str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RefusedError(fault(400, "malformed_json", str(error))) from None
    except RecursionError:
        raise RefusedError(fault(400, "malformed_json", "nested too deeply")) from None


def not_found(what: str) -> RefusedError:
    """Return that there is no such thing, or none of this operator's."""
    return RefusedError(fault(404, "not_found", f"there is no such {what}"))


def invalid(error: InputError) -> RefusedError:
    """Return what the gateway says is wrong."""
    words = "; ".join(
        f"{problem.path}: {text.message(problem.code, 'en', **problem.values)}"
        for problem in error.problems
    )
    return RefusedError(fault(422, error.problems[0].code, words))


def json_of(value: Any, status: int = 200) -> Answer:  # noqa: ANN401 - any struct
    """Return a JSON answer."""
    return plain(status, msgspec.json.encode(value))


def wants_csv(asked: Asked) -> bool:
    """Return whether CSV is asked for: by ``format``, else by ``Accept``."""
    wanted = asked.query.format
    accepts: str = asked.request.headers.get("accept", "")
    return wanted == "csv" or (not wanted and accepts.lower().startswith("text/csv"))


def table(asked: Asked, rows: Sequence[Any], shape: Any, next_key: str = "") -> Answer:  # noqa: ANN401 - a struct's class
    """Return rows of one struct as JSON or, if that is asked for, CSV."""
    if wants_csv(asked):
        answer = plain(200, csv_of(rows, msgspec.structs.fields(shape)), CSV)
    else:
        answer = json_of(rows)
    answer.headers.append((b"vary", b"accept"))
    if next_key:
        answer.headers.append((NEXT_KEY, next_key.encode("latin-1", "replace")))
    return answer


def csv_of(rows: Sequence[Any], columns: Sequence[Any]) -> bytes:
    """Return rows as CSV (RFC 4180), text that no spreadsheet runs, numbers as they are."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(column.encode_name for column in columns)
    for row in rows:
        writer.writerow(_cell(getattr(row, column.name)) for column in columns)
    return out.getvalue().encode()


def _cell(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, str):
        return harmless(value)
    if value is None or isinstance(value, int):
        return value
    return harmless(msgspec.json.encode(value).decode())
