"""Deliveries: written with the end of a job, sent from a queue of their own, and looked for where a message was lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from features.webhooks import queries
from features.webhooks.deliver import deliver
from features.webhooks.messages import SEND_DELIVERY, SendDelivery
from shared.contracts import MAINTENANCE_QUEUE, JobFinished
from shared.messages.messaging import Nothing, TaskContext, TaskRef, enqueue, subscribe, task
from shared.web.schemas import format_time

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from shared.db.models import Job


SEND_DUE = TaskRef("webhooks.send_due", MAINTENANCE_QUEUE, Nothing)
REMOVE_ORPHANS = TaskRef("webhooks.remove_orphans", MAINTENANCE_QUEUE, Nothing)
BATCH_DELIVERIES = 500

log = structlog.get_logger(__name__)


@subscribe(JobFinished)
async def record_delivery(session: AsyncSession, event: JobFinished) -> None:
    """Write the delivery in the transaction that ends the job, and have it sent after the commit."""
    job = await queries.get_job(session, job_id=event.job_id)
    if job is None or job.webhook_url is None:
        return
    delivery_id = await queries.insert_delivery(
        session,
        job=job,
        attempt=event.attempt,
        event=event.name,
        url=job.webhook_url,
        payload=describe_end(job, event),
    )
    if delivery_id is not None:
        enqueue(session, SEND_DELIVERY, SendDelivery(delivery_id=delivery_id))


def describe_end(job: Job, event: JobFinished) -> dict[str, Any]:
    """What is told of the end of a job."""
    return {
        "type": event.name,
        "job_id": str(job.id),
        "status": job.status.value,
        "filename": job.filename,
        "rows_processed": job.rows_processed,
        "rows_failed": job.rows_failed,
        "error_count": job.error_count,
        "error_message": job.error_message,
        "completed_at": format_time(job.completed_at) if job.completed_at else None,
    }


@task(SEND_DELIVERY, time_limit_s=600, detached=True)  # a crowd at one receiver may wait long for its turns
async def send_delivery(context: TaskContext, payload: SendDelivery) -> None:
    """Attempt one delivery until it is over."""
    await deliver(context, delivery_id=payload.delivery_id)


@task(SEND_DUE, every_s=5, time_limit_s=30)
async def send_due(context: TaskContext, _: Nothing) -> None:
    """Send messages for deliveries that are due and that nobody took up."""
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
