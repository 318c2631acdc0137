from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import select

from features.webhooks import queries
from features.webhooks.models import Delivery
from shared.db.models import Job, JobStatus, Output
from shared.jobs import job_state, output_state
from shared.jobs.job_state import Progress
from shared.jobs.output_state import Made
from shared.messages.outbox import Message
from shared.messages.tasks import TaskContext
from tests.factories import Factory

URL = "http://127.0.0.1:9/hook"
SOURCE = {"encoding": "utf-8", "delimiter": ",", "quote_char": '"', "sheet": None, "header_row": 1}
MADE = Made(size_bytes=10, row_count=2, sha256="a" * 64, notes=["cut"])


def progress(error_count: int) -> Progress:
    return Progress(percent=50, rows_processed=3, rows_failed=1, total_rows=None, error_count=error_count, errors_stored=0, error_tally=[])


async def end_job(context: TaskContext, factory: Factory, *, errors: int = 1, **values: Any) -> Job:
    job = await factory.job(status=JobStatus.PROCESSING, attempt=1, **{"webhook_url": URL, "source": SOURCE, **values})
    async with context.database.unit_of_work() as session:
        assert await job_state.finish(session, job_id=job.id, attempt=1, progress=progress(errors))
    return job


async def list_payloads(context: TaskContext, job_id: uuid.UUID) -> dict[str, dict[str, Any]]:
    async with context.database.unit_of_work() as session:
        return {delivery.event: delivery.payload for delivery in await queries.list_deliveries(session, job_id=job_id)}


async def list_outputs(context: TaskContext, job_id: uuid.UUID) -> list[Output]:
    async with context.database.reading() as session:
        return list((await session.scalars(select(Output).where(Output.job_id == job_id).order_by(Output.name))).all())


async def test_end_tells_validity_labels_and_outputs_that_are_wanted(context: TaskContext, factory: Factory) -> None:
    wanted = ["valid.csv", "rejected.xlsx"]
    job = await end_job(context, factory, errors=0, outputs_wanted=wanted, external_id="order-4711", labels={"team": "sales"})
    payload = (await list_payloads(context, job.id))["job.completed"]
    assert (payload["valid"], payload["external_id"], payload["labels"]) == (True, "order-4711", {"team": "sales"})
    assert [(output["name"], output["status"], output["url"]) for output in payload["outputs"]] == [
        (name, "QUEUED", f"/api/jobs/{job.id}/outputs/{name}") for name in wanted
    ]
    assert [(output.name, output.is_wanted) for output in await list_outputs(context, job.id)] == [("rejected.xlsx", True), ("valid.csv", True)]


async def test_job_with_errors_is_told_as_invalid_and_without_wishes_has_no_outputs(context: TaskContext, factory: Factory) -> None:
    job = await end_job(context, factory)
    payload = (await list_payloads(context, job.id))["job.completed"]
    assert (payload["valid"], payload["external_id"], payload["labels"], payload["outputs"]) == (False, None, {}, [])


async def test_outputs_are_told_once_when_the_last_of_them_has_ended(context: TaskContext, factory: Factory, sent: list[Message]) -> None:
    job = await end_job(context, factory, outputs_wanted=["valid.csv", "errors.csv"])
    errors, valid = await list_outputs(context, job.id)
    for _ in (valid, errors):
        async with context.database.unit_of_work() as session:
            assert await output_state.claim(session, lease_s=30) is not None
    async with context.database.unit_of_work() as session:
        assert await output_state.finish(session, output_id=valid.id, claim=1, made=MADE)
    assert set(await list_payloads(context, job.id)) == {"job.completed"}
    async with context.database.unit_of_work() as session:
        assert await output_state.fail(session, output_id=errors.id, claim=1, message="No.")
    payload = (await list_payloads(context, job.id))["job.outputs_ready"]
    url = f"/api/jobs/{job.id}/outputs"
    assert payload["outputs"] == [
        {"name": "errors.csv", "status": "FAILED", "size_bytes": None, "row_count": None, "sha256": None, "error_message": "No.", "url": f"{url}/errors.csv"},
        {"name": "valid.csv", "status": "READY", "size_bytes": 10, "row_count": 2, "sha256": "a" * 64, "error_message": None, "url": f"{url}/valid.csv"},
    ]
    assert (payload["type"], payload["status"], payload["valid"]) == ("job.outputs_ready", "COMPLETED", False)
    assert len([message for message in sent if message.task == "webhooks.send_delivery"]) == 2
    async with context.database.unit_of_work() as session:
        await output_state.ask(session, job_id=job.id, attempt=1, name="errors.csv")
    async with context.database.unit_of_work() as session:
        again = await output_state.claim(session, lease_s=30)
        assert again is not None
        assert await output_state.finish(session, output_id=errors.id, claim=again.claim, made=MADE)
    assert len(await list_payloads(context, job.id)) == 2


async def test_ten_seconds_of_outputs_count_from_their_own_moment(context: TaskContext, factory: Factory) -> None:
    job = await end_job(context, factory, outputs_wanted=["valid.csv"])
    [output] = await list_outputs(context, job.id)
    async with context.database.unit_of_work() as session:
        await output_state.claim(session, lease_s=30)
        await output_state.finish(session, output_id=output.id, claim=1, made=MADE)
    async with context.database.reading() as session:
        started = {row.event: row.round_started_at for row in await session.scalars(select(Delivery).where(Delivery.job_id == job.id))}
    ended = await factory.get(job.id)
    assert ended is not None
    assert started["job.completed"] == ended.completed_at
    assert started["job.outputs_ready"] > started["job.completed"]


async def test_output_that_nobody_wanted_at_upload_is_not_told(context: TaskContext, factory: Factory) -> None:
    job = await end_job(context, factory)
    async with context.database.unit_of_work() as session:
        output = await output_state.ask(session, job_id=job.id, attempt=1, name="valid.csv")
        await output_state.claim(session, lease_s=30)
        assert await output_state.finish(session, output_id=output.id, claim=1, made=MADE)
    assert set(await list_payloads(context, job.id)) == {"job.completed"}


async def test_job_whose_rows_were_never_read_has_no_outputs_to_wait_for(context: TaskContext, factory: Factory) -> None:
    job = await factory.job(status=JobStatus.PROCESSING, attempt=1, webhook_url=URL, outputs_wanted=["valid.csv"])
    async with context.database.unit_of_work() as session:
        assert await job_state.fail(session, job_id=job.id, attempt=1, message="It is damaged.", progress=None)
    assert (await list_payloads(context, job.id))["job.failed"]["outputs"] == []
    assert await list_outputs(context, job.id) == []


async def test_cancelled_job_has_nothing_made_unasked(context: TaskContext, factory: Factory) -> None:
    job = await factory.job(status=JobStatus.PROCESSING, attempt=1, webhook_url=URL, outputs_wanted=["valid.csv"], source=SOURCE)
    async with context.database.unit_of_work() as session:
        assert await job_state.cancel(session, job_id=job.id)
    assert (await list_payloads(context, job.id))["job.cancelled"]["outputs"] == []
    assert await list_outputs(context, job.id) == []
