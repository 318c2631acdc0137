"""Problems that a redelivery can be answered with. Each docstring is the default `detail` that the client reads."""

from __future__ import annotations

from shared.web.problems import BadRequest


class NothingToRedeliver(BadRequest):
    """A webhook can only be sent again if the job has a webhook_url and has ended."""

    slug = "nothing-to-redeliver"
    title = "Nothing to redeliver"
