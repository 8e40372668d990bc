"""Tokens: who is let in, who is not, and that nothing tells one wrong token from another."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support_service import LINES, OPERATOR, OTHER, ask, entry, post, running, wire
from vpg.errors import InputError
from vpg.service.http.auth import Tokens, may, read_tokens

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support_service import Running

MINE = "vpg-test-token-of-operator-1"
THEIRS = "vpg-test-token-of-operator-2"
ALL = "vpg-test-token-of-all~._+/=="
TOKENS = Tokens([(OPERATOR, MINE), (OTHER, THEIRS), ("*", ALL)])
COMMENT = "# operators and their tokens"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    lines = (
        *(entry(n) for n in range(1, LINES + 1)),
        entry(50, "other", OTHER),
    )
    with running(tmp_path_factory.mktemp("auth"), tokens=TOKENS, lines=lines) as one:
        yield one


def bearer(token: str) -> tuple[str, ...]:
    return (f"Authorization: Bearer {token}",)


WRONG: dict[str, tuple[str, ...]] = {
    "none": (),
    "empty": ("Authorization:",),
    "scheme alone": ("Authorization: Bearer",),
    "scheme and space": ("Authorization: Bearer ",),
    "token alone": (f"Authorization: {MINE}",),
    "another token": bearer("vpg-test-token-of-operator-3"),
    "a prefix": bearer(MINE[:-1]),
    "a longer prefix of nothing": bearer(MINE[:16]),
    "a suffix": bearer(MINE[1:]),
    "one more character": bearer(MINE + "x"),
    "one more =": bearer(MINE + "="),
    "one = less": bearer(ALL[:-1]),
    "other case": bearer(MINE.upper()),
    "first letter large": bearer(MINE.capitalize()),
    "reversed": bearer(MINE[::-1]),
    "twice in one": bearer(MINE + MINE),
    "two tokens": bearer(f"{MINE} {MINE}"),
    "two tokens by comma": bearer(f"{MINE},{MINE}"),
    "two headers": (*bearer(MINE), *bearer(MINE)),
    "a right and a wrong header": (*bearer("x" * 20), *bearer(MINE)),
    "a right and an empty header": (*bearer(MINE), "Authorization:"),
    "in quotes": bearer(f'"{MINE}"'),
    "in apostrophes": bearer(f"'{MINE}'"),
    "in brackets": bearer(f"<{MINE}>"),
    "Basic": ("Authorization: Basic b3A6dnBnLXRlc3Q=",),
    "Basic with the token": (f"Authorization: Basic {MINE}",),
    "Digest": (f'Authorization: Digest username="{OPERATOR}"',),
    "Token": (f"Authorization: Token {MINE}",),
    "no space": (f"Authorization: Bearer{MINE}",),
    "a tab": (f"Authorization: Bearer\t{MINE}",),
    "a colon": (f"Authorization: Bearer: {MINE}",),
    "an equals sign": (f"Authorization: Bearer={MINE}",),
    "Bearers": (f"Authorization: Bearers {MINE}",),
    "Bearer twice": (f"Authorization: Bearer Bearer {MINE}",),
    "percent-encoded": bearer(MINE.replace("-", "%2D")),
    "unicode": bearer("vpg-test-tökén-of-operator-1"),
    "full width": bearer("ｖｐｇ-test-token-of-operator-1"),
    "a soft hyphen": bearer(MINE.replace("-", "\u00ad")),
    "a zero-width space": bearer(MINE + "\u200b"),
    "very long": bearer("x" * 10_000),
    "long and right at first": bearer(MINE + "x" * 5_000),
    "the operator": bearer(OPERATOR),
    "a star": bearer("*"),
    "null": bearer("null"),
    "undefined": bearer("undefined"),
    "true": bearer("true"),
    "a number": bearer("0"),
    "a line of the file": bearer(f"{OPERATOR} {MINE}"),
    "SQL": bearer("' OR '1'='1"),
    "a path": bearer("../../tokens.txt"),
    "a template": bearer("${TOKEN}"),
    "proxy authorization": (f"Proxy-Authorization: Bearer {MINE}",),
    "another header's name": (f"X-Authorization: Bearer {MINE}",),
    "an underscore in the name": (f"Authorization_: Bearer {MINE}",),
    "an API key": (f"X-Api-Key: {MINE}", f"X-Soracom-Api-Key: {MINE}"),
    "a cookie": (f"Cookie: token={MINE}; Authorization=Bearer {MINE}",),
    "forwarded for us": ("X-Forwarded-For: 127.0.0.1", "Forwarded: for=127.0.0.1"),
    "an original URL": ("X-Original-URL: /healthz", "X-Rewrite-URL: /healthz"),
    "another method": ("X-HTTP-Method-Override: GET", "X-Method: OPTIONS"),
    "a user of the URL": ("Referer: http://op:" + MINE + "@127.0.0.1/",),
    "a JSON web token of no algorithm": bearer("eyJhbGciOiJub25lIn0.eyJzdWIiOiIqIn0."),
}


@pytest.mark.parametrize("headers", WRONG.values(), ids=WRONG.keys())
def test_no_valid_token_is_401_everywhere(service: Running, headers: tuple[str, ...]) -> None:
    before = service.parts.counter.stats.events
    body = json.dumps(wire("auth", service.now_us)).encode()
    asked = "\r\n".join(["GET /v1/vpgs HTTP/1.1", "Host: t", *headers, "", ""]).encode()
    for data in (post("/v1/usage-events", body, *headers), asked):
        with service.connect() as sock:
            answer = ask(sock, data)
            assert answer is not None
            assert answer.status == 401
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert answer.json["code"] == "unauthorized"
            assert MINE not in answer.body.decode()
    assert service.parts.counter.stats.events == before


def test_the_table_is_long_enough() -> None:
    assert len(WRONG) >= 60


@pytest.mark.parametrize("query", ["access_token", "token", "authorization", "api_key"])
def test_a_token_in_the_query_is_none(service: Running, query: str) -> None:
    for path in ("/v1/vpgs", "/v1/usage-events", "/metrics"):
        with service.connect() as sock:
            answer = ask(sock, f"GET {path}?{query}={MINE} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
            assert answer is not None
            assert answer.status in {401, 405}


@pytest.mark.parametrize(
    "path",
    [
        "/v1/hourly",
        "/v1/charges",
        "/v1/bills",
        "/v1/bills/202604",
        "/v1/lines",
        "/v1/lines/8981100000000000001",
        "/v1/vpgs/v1",
        "/metrics",
        "//v1/vpgs",
        "/v1/../v1/vpgs",
        "/V1/VPGS",
        "/v1/vpgs/",
        "/v1/vpgs;a=b",
        "/%76%31/vpgs",
        "http://t/v1/vpgs",
    ],
)
def test_no_path_goes_round_the_token(service: Running, path: str) -> None:
    with service.connect() as sock:
        answer = ask(sock, f"GET {path} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
        assert answer is not None
        assert answer.status in {401, 404}


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/openapi.json"])
def test_health_and_the_document_are_for_everybody(service: Running, path: str) -> None:
    with service.connect() as sock:
        answer = ask(sock, f"GET {path} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
        assert answer is not None
        assert answer.status == 200


RIGHT = {
    "plain": f"Authorization: Bearer {MINE}",
    "small scheme": f"authorization: bearer {MINE}",
    "large scheme": f"AUTHORIZATION: BEARER {MINE}",
    "several spaces": f"Authorization: Bearer   {MINE}",
    "space behind": f"Authorization: Bearer {MINE}  ",
    "all": f"Authorization: Bearer {ALL}",
}


@pytest.mark.parametrize("header", RIGHT.values(), ids=RIGHT.keys())
def test_a_valid_token_is_let_in(service: Running, header: str) -> None:
    body = json.dumps(wire(f"right {header}", service.now_us)).encode()
    with service.connect() as sock:
        answer = ask(sock, post("/v1/usage-events", body, header))
        assert answer is not None
        assert answer.status == 204


@pytest.mark.parametrize("batch", [False, True])
def test_another_operators_event_is_403_and_counts_nothing(
    service: Running, *, batch: bool
) -> None:
    now = service.now_us
    mine = wire(f"mine-{batch}", now)
    theirs = wire(f"theirs-{batch}", now, data={"operatorId": OTHER, "vpgId": "other"})
    body = json.dumps([mine, theirs] if batch else theirs).encode()
    before = service.parts.counter.stats.events
    with service.connect() as sock:
        answer = ask(sock, post("/v1/usage-events", body, *bearer(MINE)))
        assert answer is not None
        assert (answer.status, answer.json["code"]) == (403, "other_operator")
        assert service.parts.counter.stats.events == before
        answer = ask(sock, post("/v1/usage-events", body, *bearer(ALL)))
        assert answer is not None
        assert answer.status == (200 if batch else 204)


def get(service: Running, path: str, token: str, method: str = "GET") -> tuple[int, object]:
    with service.connect() as sock:
        lines = [f"{method} {path} HTTP/1.1", "Host: t", *bearer(token)]
        answer = ask(sock, "\r\n".join([*lines, "", ""]).encode())
    assert answer is not None
    return answer.status, json.loads(answer.body)


def test_an_operator_sees_its_own_things_only(service: Running) -> None:
    _, vpgs = get(service, "/v1/vpgs", THEIRS)
    assert [vpg["vpgId"] for vpg in vpgs] == ["other"]  # type: ignore[attr-defined]
    _, lines = get(service, "/v1/lines", THEIRS)
    assert {line["operatorId"] for line in lines} == {OTHER}  # type: ignore[attr-defined]
    _, rows = get(service, "/v1/hourly", THEIRS)
    assert {row["vpg_id"] for row in rows} == {"other"}  # type: ignore[attr-defined]
    _, bills = get(service, "/v1/bills", THEIRS)
    assert {b["operatorId"] for b in bills["billList"]} == {OTHER}  # type: ignore[index]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/vpgs/v1"),
        ("POST", "/v1/vpgs/v1/terminate"),
        ("GET", "/v1/lines/8981100000000000001"),
        ("POST", "/v1/lines/8981100000000000001/session"),
        ("DELETE", "/v1/lines/8981100000000000001/session"),
        ("GET", "/v1/hourly?vpg_id=v1"),
        ("GET", f"/v1/bills?operator_id={OPERATOR}"),
    ],
)
def test_another_operators_things_are_not_there(service: Running, method: str, path: str) -> None:
    assert get(service, path, THEIRS, method)[0] == 404
    missing = path.replace("v1/vpgs/v1", "v1/vpgs/none").replace("8981100000000000001", "none")
    missing = missing.replace("vpg_id=v1", "vpg_id=none").replace(OPERATOR, "none")
    assert get(service, missing, THEIRS, method) == get(service, path, THEIRS, method)


@pytest.mark.parametrize(
    ("token", "line", "status"),
    [
        ("", "8981100000000000001", 401),
        ("x" * 20, "8981100000000000001", 401),
        (THEIRS, "8981100000000000001", 403),
        (MINE, "8981100000000000001", 204),
        (ALL, "440103000000050", 204),
        (MINE, "440103000000050", 403),
        (MINE, "nobody", 403),
    ],
)
def test_a_line_by_name_needs_its_operators_token(
    service: Running, token: str, line: str, status: int
) -> None:
    headers = [f"x-vpg-line: {line}", *(bearer(token) if token else ())]
    with service.connect("funk") as sock:
        answer = ask(sock, post("/", b"hello", *headers))
        assert answer is not None
        assert answer.status == status


def test_a_token_is_in_no_repr_and_no_log(service: Running) -> None:
    assert MINE not in repr(TOKENS)
    assert MINE not in f"{TOKENS!s}"
    assert MINE not in service.log.getvalue()
    assert MINE not in repr(service.parts)


def test_a_token_file_is_read() -> None:
    tokens = read_tokens(f"{COMMENT}\n\n{OPERATOR} {MINE}\n*\t{ALL}\n", "tokens.txt")
    assert tokens.operator_of(MINE.encode()) == OPERATOR
    assert tokens.operator_of(ALL.encode()) == "*"
    assert tokens.operator_of(b"") is None
    assert may("*", "any")
    assert not may(OPERATOR, OTHER)


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("", ["VPG1843"]),
        (f"{COMMENT}\n", ["VPG1843"]),
        ("only-one-word-here", ["VPG1840"]),
        (f"op {MINE} more", ["VPG1840"]),
        ("op short", ["VPG1841"]),
        (f"op {'x' * 513}", ["VPG1841"]),
        ("op vpg-test-tökén-of-operator", ["VPG1841"]),
        ("op vpg-test-token,with-a-comma", ["VPG1841"]),
        (f"a {MINE}\nb {MINE}", ["VPG1842"]),
        ("x\nop short", ["VPG1840", "VPG1841"]),
    ],
)
def test_a_bad_token_file_is_told_line_by_line(text: str, codes: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        read_tokens(text, "tokens.txt")
    assert [problem.code for problem in caught.value.problems] == codes
    assert MINE not in str(caught.value)
