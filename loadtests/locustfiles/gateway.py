"""Locust users of the entry points: ``vpg load gateway``, or plainly ``locust -f`` this file."""

from __future__ import annotations

from loadtests.locustfiles.driving import OpenUser


class Gateway(OpenUser):
    """Sends requests of lines over Beam, Funnel and Funk by an open schedule."""

    kind = "gateway"
