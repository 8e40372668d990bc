"""What contradicts its type in a usage event is told, and nothing else is."""

from __future__ import annotations

import pytest

from tests.support_service_store import T0, configured, request, told
from vpg.rating.events import Config, UsageEvent, config_of, contradiction
from vpg.rating.ledger import BillingState

SIM = "8981000000000000001"


@pytest.mark.parametrize(
    "one",
    [
        request("x", T0),
        request("x", T0, bytesUp=5, bytesDown=6, flagged=1, delayUs=3, ratePerS=9),
        request("x", T0, outcome="throttled", requests=0, ratePerS=9),
        request("x", T0, requests=9, flagged=9, inspected=(SIM,)),
        told("session.created.v1", "x", T0, subject=SIM, sessions=1, attachPerS=2, flagged=1),
        told("session.deleted.v1", "x", T0, subject=SIM, ghost=True),
        told("session.modified.v1", "x", T0, subject=SIM, ghosts=1, ghost=True),
        told("session.refused.v1", "x", T0, outcome="line_cap", requests=7, attachPerS=8),
        told("mirror.v1", "x", T0, bytesMirrored=1, mirrorDropped=2),
        told("message.v1", "x", T0, outcome="lost_deadline", requests=3),
        configured("x", T0),
    ],
)
def test_what_a_type_may_carry(one: UsageEvent) -> None:
    assert contradiction(one) == ""


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (request("x", T0, service=""), "data.service"),
        (request("x", T0, outcome="line_cap"), "data.outcome"),
        (request("x", T0, outcome="throttled", bytesUp=1), "data.bytesUp"),
        (request("x", T0, outcome="no_session", bytesDown=1), "data.bytesDown"),
        (request("x", T0, flagged=2), "data.flagged"),
        (request("x", T0, requests=2, delayUs=1), "data.delayUs"),
        (request("x", T0, sessions=1), "data.sessions"),
        (request("x", T0, config=Config()), "data.config"),
        (told("session.created.v1", "x", T0), "subject"),
        (told("session.created.v1", "x", T0, subject=SIM, requests=2), "data.requests"),
        (told("session.deleted.v1", "x", T0, subject=SIM, service="beam"), "data.service"),
        (told("session.refused.v1", "x", T0), "data.outcome"),
        (told("mirror.v1", "x", T0, bytesUp=1), "data.bytesUp"),
        (told("message.v1", "x", T0, outcome="accepted"), "data.outcome"),
        (told("config.v1", "x", T0), "data.config"),
    ],
)
def test_what_contradicts_its_type(one: UsageEvent, words: str) -> None:
    assert words in contradiction(one)


def test_a_config_says_the_whole_state() -> None:
    state = BillingState(
        type="D",
        size="small",
        peering=1,
        vif=2,
        vpn=3,
        mirroring=True,
        redirection=True,
        inspection=True,
        fixed_ip_sets=4,
    )
    assert config_of(state, resized=True, one_off=("change_fee_d",)) == Config(
        type="D",
        size="small",
        peering=1,
        vif=2,
        vpn=3,
        mirroring=True,
        redirection=True,
        inspection=True,
        fixedIpSets=4,
        oneOff=("change_fee_d",),
        resized=True,
    )
