"""Write a delivery each time a job ends, in the transaction that ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from features.webhooks import queries
from features.webhooks.messages import SEND_DELIVERY, SendDelivery
from shared.contracts import JobFinished
from shared.messages.events import subscribe
from shared.messages.outbox import enqueue
from shared.web.schemas import format_time

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from shared.db.models import Job


@subscribe(JobFinished)
async def record_delivery(session: AsyncSession, event: JobFinished) -> None:
    """Write the delivery in the transaction that ends the job; it is sent after the commit."""
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
    """Return the webhook's body for the end of a job."""
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
