"""Send a webhook again when a client asks for it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from features.webhooks import queries
from features.webhooks.messages import SEND_DELIVERY, SendDelivery
from features.webhooks.models import DeliveryStatus
from features.webhooks.problems import DeliveryPending, NothingToRedeliver
from shared.jobs.queries import require_job
from shared.messages.outbox import enqueue

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from shared.web.auth import Viewer


async def restart_delivery(session: AsyncSession, *, job_id: uuid.UUID, viewer: Viewer) -> uuid.UUID:
    """Begin a new round of the job's newest delivery and return its id. Raises `JobNotFound`, `NothingToRedeliver` or `DeliveryPending`."""
    job = await require_job(session, job_id=job_id, viewer=viewer)
    if job.webhook_url is None:
        raise NothingToRedeliver("This job has no webhook_url, so there is nowhere to send it.")
    if job.completed_at is None:
        raise NothingToRedeliver(f"This job is {job.status.value}; its webhook is sent when the job has ended.")
    newest = await queries.lock_newest(session, job_id=job_id)
    if newest is None:
        raise NothingToRedeliver
    delivery_id, status = newest
    if status is DeliveryStatus.PENDING:
        raise DeliveryPending
    await queries.restart(session, delivery_id=delivery_id)
    enqueue(session, SEND_DELIVERY, SendDelivery(delivery_id=delivery_id))
    return delivery_id
