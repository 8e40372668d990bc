"""Bearer tokens: who speaks, and for which operator.

Owns: reading a token file, telling an operator by its token in constant time, the 401 and 403. Does
not own: what an operator may see (each answer is made of its own VPGs). A token is never in a log,
a ``repr`` or an error.

A token file has a line per token: the operator's id (or ``*``, who speaks for all) and the token,
separated by white space; ``#`` begins a comment line.
"""

from __future__ import annotations

import hmac
import re
from typing import TYPE_CHECKING, Final

from vpg.errors import InputError, Place, Problem
from vpg.service.http.answers import fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

EVERY_OPERATOR: Final = "*"
TOKEN_CHARS_MIN: Final = 16
TOKEN_CHARS_MAX: Final = 512
_TOKEN = re.compile(rb"[A-Za-z0-9._~+/-]+=*")
"""Source: RFC 6750 section 2.1 (b64token)."""
_SCHEME: Final = b"bearer "

UNAUTHORIZED: Final = fault(401, "unauthorized", "send Authorization: Bearer with a valid token")
UNAUTHORIZED.headers.append((b"www-authenticate", b'Bearer realm="vpg"'))
FORBIDDEN: Final = fault(403, "other_operator", "this token speaks for another operator")


class Tokens:
    """Every token of the service; without any, everybody speaks for all operators."""

    __slots__ = ("_pairs",)

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        """Hold (operator, token) pairs."""
        self._pairs = tuple((operator, token.encode()) for operator, token in pairs)

    def __bool__(self) -> bool:
        """Return whether anybody is asked for a token."""
        return bool(self._pairs)

    def __repr__(self) -> str:
        """Return how many there are, and nothing of them."""
        return f"<{len(self._pairs)} tokens>"

    def operator_of(self, token: bytes) -> str | None:
        """Return whom ``token`` speaks for; None: nobody. Takes as long for every wrong token."""
        found = None
        for operator, known in self._pairs:
            if hmac.compare_digest(known, token):
                found = operator
        return found

    def operator_in(self, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """Return whom a request speaks for by its headers (lower-case names); None: refuse it."""
        if not self._pairs:
            return EVERY_OPERATOR
        said = [value for name, value in headers if name == b"authorization"]
        return self.operator_by(said[0]) if len(said) == 1 else None

    def operator_by(self, authorization: bytes) -> str | None:
        """Return whom the value of one ``Authorization`` header speaks for."""
        if authorization[:7].lower() != _SCHEME:
            return None
        token = authorization[7:].strip(b" ")
        if len(token) > TOKEN_CHARS_MAX or not _TOKEN.fullmatch(token):
            return None
        return self.operator_of(token)


def may(speaker: str, operator_id: str) -> bool:
    """Return whether whoever speaks for ``speaker`` may speak for ``operator_id``."""
    return speaker in (EVERY_OPERATOR, operator_id)


def read_tokens(text: str, file: str) -> Tokens:
    """Return the tokens of a token file; raises ``InputError`` with every problem."""
    tokens: dict[str, str] = {}
    problems: list[Problem] = []
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        cells = line.split()
        if not cells or cells[0].startswith("#"):
            continue
        wrong = _wrong(cells, tokens)
        if wrong:
            problems.append(Problem(code=wrong, place=Place(file=file, line=number)))
        else:
            tokens[cells[1]] = cells[0]
    if not tokens and not problems:
        problems.append(Problem(code="VPG1843", place=Place(file=file)))
    if problems:
        raise InputError(problems)
    return Tokens((operator, token) for token, operator in tokens.items())


def _wrong(cells: list[str], known: Mapping[str, str]) -> str:
    """Return the number of what is wrong with a line; the line itself is never told."""
    if len(cells) != 2:  # noqa: PLR2004 - operator and token
        return "VPG1840"
    token = cells[1]
    shaped = token.isascii() and _TOKEN.fullmatch(token.encode())
    if not shaped or not TOKEN_CHARS_MIN <= len(token) <= TOKEN_CHARS_MAX:
        return "VPG1841"
    return "VPG1842" if token in known else ""
