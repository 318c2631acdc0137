"""Problems that a redelivery can be answered with. Each docstring is the default `detail` that the client reads."""

from __future__ import annotations

from http import HTTPStatus

from shared.web.problems import BadRequest, Problem


class NothingToRedeliver(BadRequest):
    """A webhook can only be sent again if the job has a webhook_url and has ended."""

    slug = "nothing-to-redeliver"
    title = "Nothing to redeliver"


class DeliveryPending(Problem):
    """The webhook is being sent already; wait until its delivery is no longer PENDING."""

    status = HTTPStatus.CONFLICT
    slug = "delivery-pending"
    title = "Delivery pending"
