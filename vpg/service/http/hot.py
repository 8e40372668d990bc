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
from vpg.service.http.answers import BODY, WHOLE, GoneError, TooLargeError, fault, plain, whole_body
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
        self._tokens = parts.tokens
        self._now_us = parts.clock.now_us
        self._wrong = parts.checker.wrong
        self._count = parts.counter.count
        self._body_max = parts.bounds.body_bytes
        self._events_max = parts.bounds.batch_events
        self._too_large = fault(
            413, "too_large", f"a request's body has at most {parts.bounds.body_bytes} bytes"
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        extensions = scope.get("extensions")
        try:
            speaker, content_type, declared = self._seen(scope["headers"])
            body = extensions[BODY](self._body_max) if extensions else None
            if body is None:
                body = await whole_body(receive, declared, self._body_max)
            got = received(content_type, scope["headers"], body, events_max=self._events_max)
            waiting, problems, places = self._checked(got, speaker)
            results = await self._count(waiting) if waiting else ()
            answer = _answer(got, waiting, places, results, problems)
        except _RefusedError as refused:
            answer = refused.answer
        except BodyError as error:
            answer = fault(error.status, error.code, error.message)
        except TooLargeError:
            answer = self._too_large
        except (OverloadedError, StoreTroubleError) as error:
            answer = answers.trouble(error)
        except GoneError:
            return
        if extensions:
            extensions[WHOLE](answer)
        else:
            await answer(send)

    def _seen(self, headers: Sequence[tuple[bytes, bytes]]) -> tuple[str, bytes, int | None]:
        """Return who speaks, the body's type and its length, if that is said."""
        speaker = self._tokens.operator_in(headers) if self._tokens else EVERY_OPERATOR
        if speaker is None:
            raise _RefusedError(UNAUTHORIZED)
        content_type, declared = b"", None
        for name, value in headers:
            if name == b"content-type":
                if content_type:
                    raise BodyError(400, "content_type", "a request has one Content-Type")
                content_type = value
            elif name == b"content-length":
                declared = int(value)
        return speaker, content_type, declared

    def _checked(
        self, got: Received, speaker: str
    ) -> tuple[list[UsageEvent], list[ItemProblem], Sequence[int] | None]:
        """Return the events that may be counted, why others may not, and the places of the former.

        Places of None: every event of the request may be counted.
        """
        events = got.events
        places: Sequence[int] | None = got.places
        if speaker != EVERY_OPERATOR:
            for event in events:
                if event.data.operatorId != speaker:
                    raise _RefusedError(FORBIDDEN)
        now_us, wrong = self._now_us(), self._wrong
        if places is None:
            for event in events:
                if wrong(event, now_us) is not None:
                    break
            else:
                return events, [], None
            places = range(len(events))
        problems, kept, kept_places = list(got.problems), [], []
        for place, event in zip(places, events, strict=True):
            refusal = wrong(event, now_us)
            if refusal is None:
                kept.append(event)
                kept_places.append(place)
            else:
                problems.append(problem_of(place, event, 422, refusal.code, refusal.message))
        return kept, problems, kept_places


class _RefusedError(Exception):
    """The request as a whole is refused."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


def _answer(
    got: Received,
    events: Sequence[UsageEvent],
    places: Sequence[int] | None,
    results: Sequence[int],
    problems: list[ItemProblem],
) -> Answer:
    """Return the answer to a request of which ``events`` were counted with ``results``."""
    if CONFLICT in results:
        problems += [
            problem_of(place, event, 409, "conflict", _CONFLICT_MESSAGE)
            for place, event, result in zip(
                range(len(events)) if places is None else places, events, results, strict=True
            )
            if result == CONFLICT
        ]
    if got.single:
        if not problems and not got.problems:
            return answers.NO_CONTENT
        (problem,) = problems or got.problems
        return fault(problem.status, problem.code, problem.message)
    problems.sort(key=lambda problem: problem.index)
    counted = len(results) - sum(result == CONFLICT for result in results)
    body = msgspec.json.encode(Counted(counted, tuple(problems)))
    return plain(_STATUS_MULTI if problems else 200, body)


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
