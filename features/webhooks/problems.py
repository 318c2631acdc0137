"""What can go wrong with a redelivery, as its client sees it."""

from __future__ import annotations

from shared.web.problems import BadRequest


class NothingToRedeliver(BadRequest):
    """Only the webhook of a job that has one and has ended can be sent again."""

    slug = "nothing-to-redeliver"
    title = "Nothing to redeliver"
