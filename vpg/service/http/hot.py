"""``POST /v1/usage-events``: events in, counted once, and only then an answer. Bare ASGI.

Owns: the request's way from bytes to the counter, and its answer. Does not own: what an event is
(``vpg.service.cloudevents``), whether it may count (``vpg.service.check``), or the counting.

Answers: 204 for one event that is counted, 200 for a batch of which every event is, 207 for a batch
of which some are not (each with its own status: 409 another event has its source and id, 422 it
cannot be counted). A single event that is refused gives its own status to the whole. 400, 401, 403,
413, 415 and 503 speak of the request as a whole: nothing of it was counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from vpg.service.cloudevents import BodyError, ItemProblem, received
from vpg.service.http import answers
from vpg.service.http.answers import GoneError, TooLargeError, fault, plain, whole_body
from vpg.service.http.auth import EVERY_OPERATOR, FORBIDDEN, UNAUTHORIZED
from vpg.service.ports import CONFLICT, OverloadedError, StoreTroubleError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vpg.rating.events import UsageEvent
    from vpg.service.cloudevents import Received
    from vpg.service.http.answers import Answer, Receive, Scope, Send
    from vpg.service.parts import Parts

_STATUS_MULTI: Final = 207
_CONFLICT_MESSAGE: Final = "another event has this source and id already; give it an id of its own"


class Counted(msgspec.Struct, frozen=True):
    """Answer to a batch."""

    counted: int
    """Events that are counted: now, or by an earlier delivery."""
    refused: tuple[ItemProblem, ...] = ()


class UsageEvents:
    """The application behind ``/v1/usage-events``."""

    def __init__(self, parts: Parts) -> None:
        """Count with the counter of ``parts``."""
        self._parts = parts
        self._too_large = fault(
            413, "too_large", f"a request's body has at most {parts.bounds.body_bytes} bytes"
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            answer = await self._answer(scope, receive)
        except GoneError:
            return
        await answer(send)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        headers = scope["headers"]
        tokens = self._parts.tokens
        speaker = tokens.operator_in(headers) if tokens else EVERY_OPERATOR
        if speaker is None:
            return UNAUTHORIZED
        try:
            got = await self._read(headers, receive)
            if speaker != EVERY_OPERATOR and any(
                event.data.operatorId != speaker for event in got.events
            ):
                return FORBIDDEN
            return await self._count(got)
        except BodyError as error:
            return fault(error.status, error.code, error.message)
        except TooLargeError:
            return self._too_large
        except OverloadedError:
            return answers.OVERLOADED
        except StoreTroubleError:
            return answers.STORE_TROUBLE

    async def _read(self, headers: Sequence[tuple[bytes, bytes]], receive: Receive) -> Received:
        content_type, declared = b"", None
        for name, value in headers:
            if name == b"content-type":
                if content_type:
                    raise BodyError(400, "content_type", "a request has one Content-Type")
                content_type = value
            elif name == b"content-length":
                declared = int(value)
        bounds = self._parts.bounds
        body = await whole_body(receive, declared, bounds.body_bytes)
        return received(content_type, headers, body, events_max=bounds.batch_events)

    async def _count(self, got: Received) -> Answer:
        events, places = got.events, got.places
        problems = self._checked(events, places)
        if problems:
            bad = {problem.index for problem in problems}
            keep = [i for i in range(len(events)) if (places[i] if places else i) not in bad]
            places = [places[i] if places else i for i in keep]
            events = [events[i] for i in keep]
        results = await self._parts.counter.count(events) if events else ()
        if CONFLICT in results:
            problems += [
                problem_of(place, event, 409, "conflict", _CONFLICT_MESSAGE)
                for place, event, result in zip(
                    places or range(len(events)), events, results, strict=True
                )
                if result == CONFLICT
            ]
        problems += got.problems
        if got.single:
            return _single(problems)
        counted = len(results) - sum(1 for result in results if result == CONFLICT)
        problems.sort(key=lambda problem: problem.index)
        body = msgspec.json.encode(Counted(counted, tuple(problems)))
        return plain(_STATUS_MULTI if problems else 200, body)

    def _checked(
        self, events: Sequence[UsageEvent], places: Sequence[int] | None
    ) -> list[ItemProblem]:
        """Return why some of ``events`` may not be counted."""
        now_us = self._parts.clock.now_us()
        wrong = self._parts.checker.wrong
        problems = []
        for index, event in enumerate(events):
            refusal = wrong(event, now_us)
            if refusal is not None:
                place = places[index] if places else index
                problems.append(problem_of(place, event, 422, refusal.code, refusal.message))
        return problems


def problem_of(index: int, event: UsageEvent, status: int, code: str, message: str) -> ItemProblem:
    """Return what the sender of ``event`` is told."""
    return ItemProblem(
        index=index,
        source=event.source,
        id=event.id,
        status=status,  # type: ignore[arg-type]  # callers write one of the three
        code=code,
        message=message,
    )


def _single(problems: list[ItemProblem]) -> Answer:
    if not problems:
        return answers.NO_CONTENT
    problem = problems[0]
    return fault(problem.status, problem.code, problem.message)
