"""Usage events on the wire: CloudEvents 1.0 over HTTP, structured, batched or in binary mode.

Owns: which bytes and headers are usage events, and what is wrong with those that are not, item by
item. Does not own: whether an event may be counted (``vpg.service.check``) or its answer
(``vpg.service.http.hot``).

Extension attributes are ignored; an attribute that is ``null`` is as good as absent; of a name that
an object repeats, the last value counts (as in most readers of JSON). JSON that is none refuses the
whole body, NaN and infinities included; anything else that is wrong refuses one item.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import unquote_to_bytes

import msgspec

from vpg.errors import VpgError
from vpg.rating.events import Data, UsageEvent

if TYPE_CHECKING:
    from collections.abc import Iterable

JSON: Final = b"application/json"
STRUCTURED: Final = b"application/cloudevents+json"
BATCHED: Final = b"application/cloudevents-batch+json"
_CHARSETS: Final = (b"utf-8", b'"utf-8"')
_ID_TOLD_MAX: Final = 256


class WireEvent(UsageEvent, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A usage event as it comes in: it must say its version of CloudEvents."""

    specversion: Literal["1.0"]


class ItemProblem(msgspec.Struct, frozen=True, kw_only=True):
    """Why one event of a request was not counted."""

    index: int
    """Its place in the batch, from 0."""
    source: str = ""
    id: str = ""
    status: Literal[400, 409, 422] = 422
    code: str
    message: str


class BodyError(VpgError):
    """The request as a whole is none of usage events."""

    def __init__(self, status: int, code: str, message: str) -> None:
        """Keep the HTTP status, a word for programs and a sentence for people."""
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class Received(msgspec.Struct, frozen=True, gc=False):
    """What a body held."""

    events: list[UsageEvent]
    single: bool
    places: list[int] | None = None
    """Place of each event in the batch; None: every event is there, in order."""
    problems: tuple[ItemProblem, ...] = ()


_single = msgspec.json.Decoder(WireEvent)
_batch = msgspec.json.Decoder(list[WireEvent])
_raws = msgspec.json.Decoder(list[msgspec.Raw])
_anything = msgspec.json.Decoder()
_data = msgspec.json.Decoder(Data)
_encoder = msgspec.json.Encoder()


def encoded(event: UsageEvent) -> bytes:
    """Return ``event`` as JSON, for whoever sends it."""
    body = _encoder.encode(event)
    # Our own events leave out what never differs.
    return body if isinstance(event, WireEvent) else b'{"specversion":"1.0",' + body[1:]


def encoded_batch(events: Iterable[UsageEvent]) -> bytes:
    """Return ``events`` as one JSON array."""
    return b"[" + b",".join(map(encoded, events)) + b"]"


def received(
    content_type: bytes, headers: Iterable[tuple[bytes, bytes]], body: bytes, *, events_max: int
) -> Received:
    """Return the usage events of one request; ``headers`` have lower-case names.

    Raises ``BodyError`` where nothing of it can be read.
    """
    try:
        return _read(content_type, headers, body, events_max)
    except msgspec.ValidationError as error:
        raise BodyError(422, "invalid", f"the body is none of usage events: {error}") from None
    except msgspec.DecodeError as error:
        raise BodyError(400, "malformed_json", str(error)) from None
    except UnicodeDecodeError:
        raise BodyError(400, "malformed_json", "the body is not UTF-8") from None
    except RecursionError:
        raise BodyError(400, "malformed_json", "the body is nested too deeply") from None


def _read(
    content_type: bytes, headers: Iterable[tuple[bytes, bytes]], body: bytes, events_max: int
) -> Received:
    known = content_type in {STRUCTURED, BATCHED}
    kind = content_type if known else _media_type(content_type)
    if kind == JSON:
        attributes = [(name[3:], value) for name, value in headers if name.startswith(b"ce-")]
        if attributes:
            return _read_binary(attributes, body)
        kind = BATCHED if body.lstrip(b" \t\r\n")[:1] == b"[" else STRUCTURED
    if kind == BATCHED:
        return _read_batch(body, events_max)
    if kind == STRUCTURED:
        return _read_single(body)
    raise _unsupported(content_type)


def _media_type(content_type: bytes) -> bytes:
    kind, _, rest = content_type.partition(b";")
    for parameter in rest.split(b";"):
        name, _, value = parameter.strip().lower().partition(b"=")
        if name == b"charset" and value not in _CHARSETS:
            raise _unsupported(content_type)
    return kind.strip().lower()


def _unsupported(content_type: bytes) -> BodyError:
    said = content_type.decode("latin-1")[:100] or "no Content-Type"
    allowed = ", ".join(kind.decode() for kind in (STRUCTURED, BATCHED, JSON))
    return BodyError(415, "unsupported_media_type", f"{said!r}; send UTF-8 as one of {allowed}")


def _read_single(body: bytes) -> Received:
    try:
        return Received([_single.decode(body)], single=True)
    except (msgspec.ValidationError, UnicodeDecodeError):
        found = _item(0, body)
    if isinstance(found, ItemProblem):
        return Received([], single=True, problems=(found,))
    return Received([found], single=True)


def _read_batch(body: bytes, events_max: int) -> Received:
    try:
        events: list[UsageEvent] = _batch.decode(body)  # type: ignore[assignment]
    except (msgspec.ValidationError, UnicodeDecodeError):
        events = []
    else:
        _hold(len(events), events_max)
        return Received(events, single=False)
    raws = _raws.decode(body)
    _hold(len(raws), events_max)
    places: list[int] = []
    problems: list[ItemProblem] = []
    for index, raw in enumerate(raws):
        found = _item(index, raw)
        if isinstance(found, ItemProblem):
            problems.append(found)
        else:
            places.append(index)
            events.append(found)
    return Received(events, single=False, places=places, problems=tuple(problems))


def _hold(count: int, events_max: int) -> None:
    if count > events_max:
        message = f"{count} events in one request; at most {events_max}"
        raise BodyError(413, "too_many_events", message)


def _item(index: int, raw: bytes | msgspec.Raw) -> UsageEvent | ItemProblem:
    """Return the event in ``raw``, valid JSON, or what is wrong with it."""
    try:
        return _single.decode(raw)
    except UnicodeDecodeError:
        return _problem(index, {}, "text is not UTF-8")
    except msgspec.ValidationError as error:
        message = str(error)
    try:
        fields = _anything.decode(raw)
    except UnicodeDecodeError:
        fields = {}
    if not isinstance(fields, dict):
        return _problem(index, {}, message)
    if any(value is None for value in fields.values()):
        # CloudEvents' JSON format: null is the same as absent.
        said = {name: value for name, value in fields.items() if value is not None}
        try:
            return msgspec.convert(said, WireEvent)
        except msgspec.ValidationError as error:
            message = str(error)
    return _problem(index, fields, message)


def _problem(index: int, fields: dict[str, Any], message: str) -> ItemProblem:
    source, event_id = fields.get("source"), fields.get("id")
    return ItemProblem(
        index=index,
        source=source[:_ID_TOLD_MAX] if isinstance(source, str) else "",
        id=event_id[:_ID_TOLD_MAX] if isinstance(event_id, str) else "",
        code="invalid",
        message=message,
    )


def _read_binary(headers: list[tuple[bytes, bytes]], body: bytes) -> Received:
    attributes: dict[str, Any] = {}
    for name, value in headers:
        key = name.decode("latin-1")
        if key in attributes:
            problem = _problem(0, attributes, f"ce-{key} comes twice")
            return Received([], single=True, problems=(problem,))
        try:
            attributes[key] = _attribute(value)
        except ValueError:
            problem = _problem(0, attributes, f"ce-{key} is not percent-encoded UTF-8")
            return Received([], single=True, problems=(problem,))
    attributes.pop("datacontenttype", None)
    try:
        attributes["data"] = _data.decode(body)
        return Received([msgspec.convert(attributes, WireEvent)], single=True)
    except msgspec.ValidationError as error:
        return Received([], single=True, problems=(_problem(0, attributes, str(error)),))


def _attribute(value: bytes) -> str:
    """Return an attribute of a header: unquoted, then percent-decoded. Raises ``ValueError``.

    Source: CloudEvents, HTTP Protocol Binding 1.0.2, section 3.1.3.2.
    """
    if len(value) > 1 and value.startswith(b'"') and value.endswith(b'"'):
        value = value[1:-1].replace(b"\\\\", b"\\").replace(b'\\"', b'"')
    return unquote_to_bytes(value).decode("utf-8")
