"""Where each figure of a compiled VPG stands in its memory: one flat array of 64-bit integers.

Owns: the layout. The head has fixed places; behind it stand tables, one row a line, message, event,
…, whose first places the head says. A place or column has a name here and nowhere a bare number.
Times are ``SimUs``; -1 stands for "none" or "no bound".
"""

from __future__ import annotations

from typing import Final

from vpg.rating.hourly import SERVICES


def columns(names: str) -> range:
    """Return as many consecutive columns as there are names."""
    return range(len(names.split()))


# ---- the VPG -------------------------------------------------------------------------------------

_VPG: Final = """
now second second_end minute second_attempts second_attaches base0 base1 base2 base3 base4
minute_peak minute_peak_at minute_lines sessions ghosts orphans epoch pending exists idle rate
burst lines_max flag cap_policy by_assignment bucketed queueing queue_max queue_deadline
setup_rate setup_a setup_b replace_ghosts mirror_on inspecting plain fail_ppm timeout mtu header
overhead mirror_throttled reset cut_bytes cut_us start sequence heap_size free_event free_events
free_message free_messages minutes_size arrival arrivals_size pending_since area sojourn
stack_size command fleets keys policies steps sources peers n_peers lines n_lines messages
events heap arrivals log_table
"""
(
    NOW, SECOND, SECOND_END, MINUTE, SECOND_ATTEMPTS, SECOND_ATTACHES, BASE0, BASE1, BASE2,
    BASE3, BASE4, MINUTE_PEAK, MINUTE_PEAK_AT, MINUTE_LINES, SESSIONS, GHOSTS, ORPHANS, EPOCH,
    PENDING, EXISTS, IDLE_US, RATE, BURST, LINES_MAX, FLAG, CAP_POLICY, BY_ASSIGNMENT, BUCKETED,
    QUEUEING, QUEUE_MAX, QUEUE_DEADLINE, SETUP_RATE, SETUP_A, SETUP_B, REPLACE_GHOSTS,
    MIRROR_ON, INSPECTING, PLAIN, FAIL_PPM, TIMEOUT, MTU, HEADER, OVERHEAD, MIRROR_THROTTLED,
    RESET, CUT_BYTES, CUT_US, START, SEQUENCE, HEAP_SIZE, FREE_EVENT, FREE_EVENTS, FREE_MESSAGE,
    FREE_MESSAGES, MINUTES_SIZE, ARRIVAL, ARRIVALS_SIZE, PENDING_SINCE, AREA, SOJOURN,
    STACK_SIZE, COMMAND, FLEETS, KEYS, POLICIES, STEPS, SOURCES, PEERS, N_PEERS, LINES, N_LINES,
    MESSAGES, EVENTS, HEAP, ARRIVALS, LOG_TABLE,
) = columns(_VPG)  # fmt: skip
VPG_SIZE: Final = len(columns(_VPG))

# ---- the row being counted -----------------------------------------------------------------------

SCALARS: Final = (
    "sessions_start", "sessions_created", "sessions_deleted", "attach_attempts",
    "sessions_refused", "attach_rejected_other", "lines_peak", "ghosts_peak", "sessions_flagged",
    "attach_peak_per_s", "messages_offered", "messages_delivered", "lost_tries", "lost_deadline",
    "lost_buffer", "lost_cancelled", "pending_start", "requests_flagged", "rate_peak_per_s",
    "bytes_up", "bytes_down", "bytes_mirrored", "mirror_dropped", "lines_inspected",
)  # fmt: skip
TALLY_AT: Final = VPG_SIZE
(
    T_SESSIONS_START, T_CREATED, T_DELETED, T_ATTACHES, T_REFUSED, T_REJECTED, T_LINES_PEAK,
    T_GHOSTS_PEAK, T_SESSIONS_FLAGGED, T_ATTACH_PEAK, T_OFFERED, T_DELIVERED, T_LOST_TRIES,
    T_LOST_DEADLINE, T_LOST_BUFFER, T_LOST_CANCELLED, T_PENDING_START, T_FLAGGED, T_RATE_PEAK,
    T_BYTES_UP, T_BYTES_DOWN, T_MIRRORED, T_MIRROR_DROPPED, T_INSPECTED,
) = range(TALLY_AT, TALLY_AT + len(SCALARS))  # fmt: skip
PER_SERVICE: Final = ("attempts", "accepted", "throttled", "no_session", "failed_upstream")
N_SERVICES: Final = len(SERVICES)
IP: Final = SERVICES.index("ip")
T_ATTEMPTS, T_ACCEPTED, T_THROTTLED, T_NO_SESSION, T_FAILED = (
    TALLY_AT + len(SCALARS) + N_SERVICES * place for place in range(len(PER_SERVICE))
)
TALLY_SIZE: Final = len(SCALARS) + N_SERVICES * len(PER_SERVICE)
DELAYS_AT: Final = TALLY_AT + TALLY_SIZE
BUCKETS: Final = 8192
"""Delay buckets: more than any delay of a run can reach."""

# ---- tables in the head --------------------------------------------------------------------------

V_BUCKET, V_COST, V_PATH_US, V_DOWN, V_A, V_B = range(6)
SERVICE_SIZE: Final = 6
SERVICES_AT: Final = DELAYS_AT + BUCKETS

MINUTE_ROW: Final = (
    "minute_start_us", "attempts", "accepted", "throttled", "busiest_second_us", "rate_peak_per_s",
    "attach_attempts", "sessions_refused", "lines_peak",
)  # fmt: skip
MINUTE_SIZE: Final = len(MINUTE_ROW)
MINUTE_ROWS: Final = 512
MINUTES_AT: Final = SERVICES_AT + N_SERVICES * SERVICE_SIZE

STACK_AT: Final = MINUTES_AT + MINUTE_ROWS * MINUTE_SIZE
"""What is still to be done at this very instant, last first."""
STEP_SIZE: Final = 3
STACK_ROWS: Final = 256
HEAD_SIZE: Final = STACK_AT + STACK_ROWS * STEP_SIZE

# ---- tables behind the head ----------------------------------------------------------------------

(
    F_INDEPENDENT, F_HOLDS, F_AT_START, F_DURATION, F_DURATION_US, F_REATTACH_US,
    F_NOTICE_US, F_BUFFER, F_RETRY, F_ATTACH_RETRY,
) = range(10)  # fmt: skip
FLEET_SIZE: Final = 10
BY_IDLE, BY_LENGTH, BY_LAW = range(3)
"""How a session's duration is given: idle timeout, fixed length, exponential law."""

Q_JITTER_PPM, Q_TRIES_MAX, Q_DEADLINE_US, Q_RETRY_AFTER, Q_CYCLE, Q_BEGIN, Q_END = range(7)
POLICY_SIZE: Final = 7
STEP_DELAY_US, STEP_COUNT = range(2)

S_RANK, S_SERVICE, S_RETRY, S_UPSTREAM, S_MIRROR = range(5)
SOURCE_SIZE: Final = 5

P_INDEX, P_CAPACITY, P_LOSS_PPM, P_WINDOW_S, P_USED, P_DOWN = range(6)
PEER_SIZE: Final = 6

(
    L_FLEET, L_INDEX, L_JOINED, L_STATE, L_SESSION, L_GHOST, L_SEQ, L_BYTES, L_ACTIVE_US,
    L_ATTACHES, L_ATTACH_NO, L_ATTACH_TRIES, L_ATTACH_BEGAN, L_EVICTED, L_GAVE_UP, L_POWER, L_RADIO,
    L_INSPECTED, L_SENDING, L_STATUS, L_ASSIGNED, L_BUSY, L_BUSY_NO, L_OPEN_HEAD, L_OPEN_TAIL,
    L_PARK_HEAD, L_PARK_TAIL, L_PARKED, L_QUEUE_HEAD, L_QUEUE_TAIL, L_QUEUED,
) = range(31)  # fmt: skip
LINE_SIZE: Final = 31
IDLE, ATTACHING, ATTACHED = range(3)
STATUSES: Final = ("ready", "active", "standby", "inactive", "suspended", "terminated")
INACTIVE: Final = STATUSES.index("inactive")
"""From here on a line may not attach, and from the next one on it is silent."""

(
    M_LINE, M_SOURCE, M_NUMBER, M_CREATED, M_UP, M_DOWN, M_TRIES, M_SERIAL, M_OPEN_NEXT,
    M_OPEN_PREV, M_WAITS_IN, M_NEXT, M_PREV,
) = range(13)  # fmt: skip
MESSAGE_SIZE: Final = 13
NOWHERE, PARKED, QUEUED = range(3)

E_TIME, E_LINE, E_AGE, E_ORDER, E_SEQUENCE, E_KIND, E_NOTE, E_NOTE2 = range(8)
EVENT_SIZE: Final = 8
(
    RETRY, QUEUE_ENDS, EXPIRES, ATTACH_DUE, IDLE_CHECK, LENGTH_OVER, REATTACH, TOO_LONG, NOTICE_DUE,
    GHOST_ENDS, ORPHAN_ENDS, RELEASE_DUE, POWER_ON,
) = range(13)  # fmt: skip
OF_MESSAGE: Final = EXPIRES
"""Kinds of events up to here belong to a message, the others to a line."""

A_TIME, A_LINE, A_SOURCE, A_NUMBER, A_UP, A_DOWN = range(6)
ARRIVAL_SIZE: Final = 6

# ---- codes ---------------------------------------------------------------------------------------

ACCEPTED, THROTTLED, NO_SESSION, WAITING, DECISION_EXPIRES = range(5)
"""Decisions on a try."""
(
    SUBMIT, SUBMITTED, TRY, DECIDE, TRY_ATTACH, SUBMIT_PARKED, PARKED_REST, RELEASE, NOTICE,
) = range(9)  # fmt: skip
"""Steps on the stack: what ``steps`` does next at this instant."""
(
    CUT, SILENCE, ATTACH_ANY, ATTACH_IDLE, RADIO_LOST, RADIO_BACK, POWER_LOST, POWER_BACK, STATUS,
    FORGET_ORPHANS,
) = range(10)  # fmt: skip
"""Commands: what events of the scenario do to a line."""
C_WHAT, C_LINE, C_NOTE = range(3)
COMMAND_SIZE: Final = 3
DONE, NEEDS_ROOM, STACK_FULL = range(3)
"""What the kernel answers."""
