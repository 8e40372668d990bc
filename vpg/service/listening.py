"""Sockets and TLS of the service, made before anything else so that mistakes are told at once.

Owns: binding, and what is wrong with an address, a port or a certificate. Does not own: who listens
on them (``vpg.service.server``).
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from typing import TYPE_CHECKING, Final

from vpg.errors import InputError, Place, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vpg.service.plan import Tls

BACKLOG: Final = 4_096


def bound(host: str, ports: Mapping[str, int]) -> dict[str, socket.socket]:
    """Return a bound socket for each of ``ports``; raises ``InputError`` (VPG1872) for all at once.

    Nothing is accepted yet.
    """
    sockets: dict[str, socket.socket] = {}
    problems = []
    for name, port in ports.items():
        try:
            sockets[name] = _bound(host, port)
        except OSError as failure:
            reason = failure.strerror or str(failure)
            values = {"host": host, "port": port, "name": name, "reason": reason}
            problems.append(Problem(code="VPG1872", values=values))
    if problems:
        for sock in sockets.values():
            sock.close()
        raise InputError(problems)
    return sockets


def _bound(host: str, port: int) -> socket.socket:
    address = "127.0.0.1" if host == "localhost" else host
    is_six = ipaddress.ip_address(address).version == 6  # noqa: PLR2004 - of the protocol
    sock = socket.socket(socket.AF_INET6 if is_six else socket.AF_INET)
    try:
        # A port that was served a moment ago can be served again at once.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        sock.listen(BACKLOG)
        sock.setblocking(False)  # noqa: FBT003 - its only argument
    except BaseException:
        sock.close()
        raise
    return sock


def tls_context(tls: Tls) -> ssl.SSLContext:
    """Return the context of ``tls``; raises ``InputError`` (VPG1024, VPG1881)."""
    for path in (tls.certificate, tls.key):
        try:
            path.read_bytes()
        except OSError as failure:
            values = {"reason": failure.strerror or str(failure)}
            raise InputError(
                [Problem(code="VPG1024", place=Place(file=str(path)), values=values)]
            ) from failure
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # A passphrase would be asked for on the terminal.
        context.load_cert_chain(tls.certificate, tls.key, password="")
    except (ssl.SSLError, ValueError, OSError) as failure:
        reason = getattr(failure, "reason", None) or str(failure) or type(failure).__name__
        place = Place(file=str(tls.certificate))
        raise InputError(
            [Problem(code="VPG1881", place=place, values={"reason": reason})]
        ) from failure
    return context
