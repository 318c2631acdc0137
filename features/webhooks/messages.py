"""The webhook slice's own message."""

from __future__ import annotations

import uuid

from shared.contracts import WEBHOOKS_QUEUE
from shared.messages.refs import Payload, TaskRef


class SendDelivery(Payload):
    """Attempt this delivery if it is due."""

    delivery_id: uuid.UUID


SEND_DELIVERY = TaskRef("webhooks.send_delivery", WEBHOOKS_QUEUE, SendDelivery)
