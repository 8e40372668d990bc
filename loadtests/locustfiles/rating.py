"""Locust users of the rating path: ``vpg load rating``, or plainly ``locust -f`` this file."""

from __future__ import annotations

from loadtests.locustfiles.driving import OpenUser


class Rating(OpenUser):
    """Sends usage events by an open schedule."""

    kind = "rating"
