"""Write a delivery each time a job ends, and when the outputs that were asked for at upload are there, in the transaction that says so."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from features.webhooks import queries
from features.webhooks.messages import SEND_DELIVERY, SendDelivery
from features.webhooks.schemas import WebhookBody, WebhookEvent, WebhookOutput
from shared.contracts import JobFinished, OutputsReady
from shared.db.models import OutputStatus
from shared.messages.events import subscribe
from shared.messages.outbox import enqueue

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from shared.db.models import Job, Output

OUTPUTS_READY: Literal["job.outputs_ready"] = "job.outputs_ready"


@subscribe(JobFinished)
async def record_end(session: AsyncSession, event: JobFinished) -> None:
    """Write the delivery in the transaction that ends the job; it is sent after the commit, and waits for no output."""
    job = await queries.get_job(session, job_id=event.job_id)
    if job is None or job.webhook_url is None:
        return
    known = {output.name: output for output in await queries.list_wanted(session, job_id=job.id, attempt=event.attempt)}
    will_be_made = job.source is not None and event.name != "job.cancelled"
    outputs = [describe_output(job, known.get(name, name)) for name in dict.fromkeys(job.outputs_wanted)] if will_be_made else []
    await _record(session, job, event.attempt, event.name, describe_end(job, event, outputs), started_at=job.completed_at)


@subscribe(OutputsReady)
async def record_outputs(session: AsyncSession, event: OutputsReady) -> None:
    """Write the delivery in the transaction that ends the last of the outputs; once for each attempt of the job, also if one is made anew later."""
    job = await queries.get_job(session, job_id=event.job_id)
    if job is None or job.webhook_url is None:
        return
    outputs = [describe_output(job, output) for output in await queries.list_wanted(session, job_id=job.id, attempt=event.attempt)]
    await _record(session, job, event.attempt, OUTPUTS_READY, _describe(job, OUTPUTS_READY, outputs), started_at=None)


async def _record(session: AsyncSession, job: Job, attempt: int, name: str, payload: dict[str, Any], *, started_at: datetime | None) -> None:
    assert job.webhook_url is not None
    delivery_id = await queries.insert_delivery(session, job=job, attempt=attempt, event=name, url=job.webhook_url, payload=payload, started_at=started_at)
    if delivery_id is not None:
        enqueue(session, SEND_DELIVERY, SendDelivery(delivery_id=delivery_id))


def describe_end(job: Job, event: JobFinished, outputs: Sequence[WebhookOutput] = ()) -> dict[str, Any]:
    """Return the webhook's body for the end of a job."""
    return _describe(job, event.name, outputs)


def _describe(job: Job, name: WebhookEvent, outputs: Sequence[WebhookOutput]) -> dict[str, Any]:
    body = WebhookBody(
        type=name,
        job_id=job.id,
        status=job.status,
        valid=job.valid,
        filename=job.filename,
        external_id=job.external_id,
        labels=job.labels,
        rows_processed=job.rows_processed,
        rows_failed=job.rows_failed,
        error_count=job.error_count,
        error_message=job.error_message,
        completed_at=job.completed_at,
        outputs=list(outputs),
    )
    return body.model_dump(mode="json")


def describe_output(job: Job, output: Output | str) -> WebhookOutput:
    """Return an output as the body tells it; of one that is only known by its name, that it waits."""
    if isinstance(output, str):
        return WebhookOutput(name=output, status=OutputStatus.QUEUED, url=_locate(job, output))
    return WebhookOutput(
        name=output.name,
        status=output.status,
        size_bytes=output.size_bytes,
        row_count=output.row_count,
        sha256=output.sha256,
        error_message=output.error_message,
        url=_locate(job, output.name),
    )


def _locate(job: Job, name: str) -> str:
    return f"/api/jobs/{job.id}/outputs/{name}"
