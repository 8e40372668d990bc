"""What the gateway answers: to an attach, to a request, and about itself.

Owns: these values. Does not own: how they are said on a wire (``http``, ``mqtt``). Times: every
``*_us`` is a duration in µs of service time but ``admitted_us``, an instant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from msgspec import Struct

from vpg.service.gateway.lines import Line

if TYPE_CHECKING:
    from vpg.service.values import Peer

Reason = Literal[
    "",
    "rate",
    "reset",
    "queue_full",
    "queue_deadline",
    "no_session",
    "line_cap",
    "setup_rate",
    "inactive",
    "suspended",
    "terminated",
    "no_vpg",
]
"""Why not. ``reset``: refused by the rate, and to be cut off without an answer (A-03)."""


class AttachAnswer(Struct, frozen=True, kw_only=True, gc=False):
    """``kept``: it had a session. ``rejected``: for now, by the line's state or the set-up rate."""

    decision: Literal["created", "kept", "refused", "rejected", "rejected_for_good"]
    reason: Reason = ""
    retry_after_us: int = 0
    """Whole seconds; 0: nothing said."""


class Verdict(Struct, frozen=True, kw_only=True, gc=False):
    """What becomes of a request.

    ``admitted``: its tokens are taken; the caller owes a ``finish`` with ``admitted_us`` and
    ``flagged``. ``waiting``: in the limiter's queue; the caller asks ``queued`` after ``wait_us``,
    or never if the client is gone. ``throttled`` and ``no_session`` are counted already.
    """

    outcome: Literal["admitted", "waiting", "throttled", "no_session"]
    reason: Reason = ""
    retry_after_us: int = 0
    """Whole seconds; 0: nothing said."""
    wait_us: int = 0
    path_us: int = 0
    """Time that the emulated way to the upstream and back takes."""
    fails: bool = False
    """The emulated upstream fails, after ``path_us``."""
    flagged: bool = False
    """Admitted above the rate (A-03 ``accept_and_flag``)."""
    admitted_us: int = 0
    line: Line | None = None
    """Of one that waits: whose it is."""
    service: str = ""
    expires: bool = False
    """Of one that waits: no slot will come in time."""


class Copy(NamedTuple):
    """One packet for a mirroring peer.

    It carries ``length`` bytes from ``start`` on of what crossed the tunnel: first the message's
    protocol overhead, then its payload.
    """

    peer: Peer
    answer: bool
    """Of the answer; else of the request."""
    start: int
    length: int


class Snapshot(Struct, frozen=True, kw_only=True):
    """One VPG at one instant."""

    vpg_id: str
    exists: bool
    type: str
    size: str
    sessions: int
    ghosts: int
    lines: int
    """Lines assigned and not terminated."""
    lines_max: int | None
    rate_per_s: int | None
    burst_requests: int | None
    tokens_micro: int | None
    """Least tokens of its limiters, in 1/1,000,000 request; below 0: promised to who waits."""
    attempts: int
    """Limited attempts in the running UTC second."""
    attempts_before: int
    """The same of the second before."""
    attaches: int
