"""The OpenAPI 3.1 document of the API, made of the table of operations and their structs.

Owns: how operations and structs become a document. Does not own: the operations (``api``) or the
structs (``shapes``, ``cloudevents``, ``vpg.rating.events``). Every status that an operation can
answer is in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from vpg.service.http.answers import Fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vpg.service.http.asking import Operation, Told

VERSION: Final = "1"
_REF: Final = "#/components/schemas/{name}"
_SHARED: Final = {
    400: "Malformed: no HTTP or JSON that can be read.",
    408: "The request did not arrive in time; the connection is closed.",
    414: "The request's target is too long.",
    431: "Too many headers, or too many bytes of them.",
    503: "Overload or trouble with the store: nothing was done, come back after Retry-After.",
}
_FAULTS: Final = {
    400: "Malformed.",
    401: "No valid token.",
    403: "Refused: another operator's, or no session.",
    404: "There is no such thing, or none of this operator's.",
    413: "The body is too large, or holds too many events.",
    415: "The body's type is none of those taken here.",
    422: "Well formed, and cannot be.",
    503: "Overload or trouble with the store: come back after Retry-After.",
}


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    """Return the document of ``operations``."""
    shapes = _shapes(operations)
    names, components = msgspec.json.schema_components(shapes, ref_template=_REF)
    schemas = {_key(shape): schema for shape, schema in zip(shapes, names, strict=True)}
    paths: dict[str, Any] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(
            operation, schemas, components
        )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "VPG rating API",
            "version": VERSION,
            "description": "Usage events in; hourly metrics, charges and bills out.",
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _key(shape: Any) -> str:  # noqa: ANN401 - a type
    return repr(shape)


def _shapes(operations: Sequence[Operation]) -> list[Any]:
    found: dict[str, Any] = {_key(Fault): Fault}
    for operation in operations:
        wanted = [
            operation.body,
            *operation.media.values(),
            *(told.shape for told in operation.told.values()),
        ]
        for shape in wanted:
            if shape is not None:
                found.setdefault(_key(shape), shape)
    return list(found.values())


def _operation(
    operation: Operation, schemas: dict[str, Any], components: dict[str, Any]
) -> dict[str, Any]:
    said: dict[str, Any] = {"operationId": operation.name, "summary": operation.summary}
    if not operation.open:
        said["security"] = [{"token": []}, {}]
    parameters = [*_path_parameters(operation.path), *_query_parameters(operation, components)]
    if parameters:
        said["parameters"] = parameters
    if operation.body is not None:
        said["requestBody"] = _body(operation, schemas)
    responses = {str(s): _told(s, told, schemas) for s, told in operation.told.items()}
    for status in _faults(operation):
        words = _SHARED.get(status) or _FAULTS[status]
        responses.setdefault(str(status), _fault(status, words, schemas))
    said["responses"] = dict(sorted(responses.items()))
    return said


def _faults(operation: Operation) -> list[int]:
    found = set(_SHARED)
    if not operation.open:
        found.add(401)
    if operation.body is not None:
        found |= {413, 415, 422}
    if operation.query is not None:
        found.add(422)
    if "{" in operation.path:
        found.add(404)
    return sorted(found)


def _fault(status: int, words: str, schemas: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {
        "description": words,
        "content": {"application/json": {"schema": schemas[_key(Fault)]}},
    }
    if status in {429, 503}:
        said["headers"] = {
            "Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}
        }
    return said


def _told(status: int, told: Told, schemas: dict[str, Any]) -> dict[str, Any]:
    if told.shape is None and not told.csv and not told.text:
        return _fault(status, _FAULTS[status], schemas)
    content: dict[str, Any] = {}
    if told.shape is not None:
        content["application/json"] = {"schema": schemas[_key(told.shape)]}
    if told.csv:
        content["text/csv"] = {"schema": {"type": "string"}}
    if told.media:
        content[told.media] = {"schema": {}}
    said: dict[str, Any] = {"description": told.text or "Done."}
    if content:
        said["content"] = content
    return said


def _body(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    content = {}
    for kind, shape in (operation.media or {"application/json": operation.body}).items():
        content[kind] = {"schema": schemas[_key(shape)]}
        if operation.body_example is not None:
            batch = kind.endswith("batch+json")
            example = operation.body_example
            content[kind]["example"] = [example] if batch else example
    return {"required": True, "content": content}


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {"name": part[1:-1], "in": "path", "required": True, "schema": {"type": "string"}}
        for part in path.split("/")
        if part.startswith("{")
    ]


def _query_parameters(operation: Operation, components: dict[str, Any]) -> list[dict[str, Any]]:
    if operation.query is None:
        return []
    (_,), made = msgspec.json.schema_components([operation.query], ref_template=_REF)
    own = made.pop(operation.query.__name__)
    components.update(made)
    return [
        {"name": name, "in": "query", "required": name in own.get("required", ()), "schema": schema}
        for name, schema in own["properties"].items()
    ]
