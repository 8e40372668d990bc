"""A database of a test's own, on the PostgreSQL that is there; skips visibly where there is none.

One server serves all tests of a process; each test gets an empty database. No test lives here.
"""

from __future__ import annotations

import atexit
import functools
import itertools
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests import servers

if TYPE_CHECKING:
    from collections.abc import Iterator

_NUMBERS = itertools.count()


@functools.cache
def _server() -> str:
    """Return the URL of a server; empty and why, behind a colon, where there is none."""
    if servers.GIVEN[servers.POSTGRES]:
        return servers.GIVEN[servers.POSTGRES]
    try:
        server = servers.start_postgres()
    except (servers.NoServerError, OSError) as why:
        return f":{why}"
    atexit.register(server.stop)
    return server.url


@contextmanager
def database() -> Iterator[str]:
    """Give the URL of an empty database; it is dropped at the end, whoever still uses it."""
    import psycopg

    url = _server()
    if url.startswith(":"):
        pytest.skip(url[1:])
    name = f"vpg_{os.getpid()}_{next(_NUMBERS)}"
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
    try:
        yield f"{url.rpartition('/')[0]}/{name}"
    finally:
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
