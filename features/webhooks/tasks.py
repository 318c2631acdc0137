"""Tasks that send deliveries from their own queue, find those whose message was lost, and remove those of deleted jobs."""

from __future__ import annotations

import structlog

from features.webhooks import queries
from features.webhooks.messages import SEND_DELIVERY, SendDelivery
from shared.contracts import MAINTENANCE_QUEUE
from shared.messages.outbox import enqueue
from shared.messages.refs import Nothing, TaskRef
from shared.messages.tasks import TaskContext, task

SEND_DUE = TaskRef("webhooks.send_due", MAINTENANCE_QUEUE, Nothing)
REMOVE_ORPHANS = TaskRef("webhooks.remove_orphans", MAINTENANCE_QUEUE, Nothing)
BATCH_DELIVERIES = 500

log = structlog.get_logger(__name__)


@task(SEND_DELIVERY, time_limit_s=600, detached=True, preload=["features.webhooks.deliver"])  # many deliveries to one receiver may wait long for their turns
async def send_delivery(context: TaskContext, payload: SendDelivery) -> None:
    """Attempt one delivery until it is over."""
    from features.webhooks.deliver import deliver  # noqa: PLC0415  # an HTTP client takes 5 MiB, which a worker does without

    await deliver(context, delivery_id=payload.delivery_id)


@task(SEND_DUE, every_s=5, time_limit_s=30)
async def send_due(context: TaskContext, _: Nothing) -> None:
    """Send messages for deliveries that are due but that no process has taken up."""
    async with context.database.unit_of_work() as session:
        unheard = await queries.ring_unheard(session, limit=BATCH_DELIVERIES)
        for delivery_id in unheard:
            enqueue(session, SEND_DELIVERY, SendDelivery(delivery_id=delivery_id), expires_s=10)
    if unheard:
        log.info("sent messages of deliveries again", deliveries=len(unheard))


@task(REMOVE_ORPHANS, every_s=600, time_limit_s=300)
async def remove_orphans(context: TaskContext, _: Nothing) -> None:
    """Remove ended deliveries of jobs that are gone."""
    removed = BATCH_DELIVERIES
    while removed == BATCH_DELIVERIES:
        async with context.database.unit_of_work() as session:
            removed = await queries.delete_orphans(session, limit=BATCH_DELIVERIES)
