"""The mapped class of error records is read-only, and has exactly the fields of a record and the records that clients see."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime

import httpx
import pytest
from sqlalchemy import delete, insert, inspect, select, text, update
from sqlalchemy.exc import DBAPIError

from features.errors.schemas import ErrorRead
from shared.db.models import Job, JobStatus, ProcessingError
from shared.db.session import Database
from shared.jobs import job_state
from tests.factories import Factory

FIELDS = ["id", "job_id", "row_number", "column_name", "column_number", "error_type", "error_message", "raw_value", "params", "created_at"]


def test_fields_are_those_of_the_record() -> None:
    assert [column.key for column in inspect(ProcessingError).columns] == FIELDS


async def test_records_are_those_that_the_api_shows(client: httpx.AsyncClient, factory: Factory) -> None:
    job = await factory.ended_job()
    await factory.errors(job, [(2, 1, "type-error"), (2, 2, "enum-error"), (5, None, "blank-row")], piece_size=2)
    shown = (await client.get(f"/api/jobs/{job.id}/errors")).json()["errors"]
    found = [ErrorRead.model_validate(error).model_dump(mode="json") for error in await factory.list_errors(job.id)]
    assert found == shown
    for error in await factory.list_errors(job.id):
        assert error.job_id == job.id


async def test_records_of_an_older_attempt_and_of_a_deleted_job_are_not_there(database: Database, factory: Factory) -> None:
    job = await factory.ended_job(JobStatus.FAILED)
    await factory.errors(job, [(2, 1, "type-error")])
    deleted = await factory.ended_job()
    await factory.errors(deleted, [(2, 1, "type-error")])
    async with database.unit_of_work() as session:
        assert await job_state.retry(session, job_id=job.id)
        assert await job_state.hide(session, job_id=deleted.id)
    for each in (job, deleted):
        assert await factory.list_errors(each.id) == []
        assert await factory.count_pieces(each.id) == 1


async def test_objects_cannot_be_written(database: Database, factory: Factory) -> None:
    job = await factory.ended_job()
    await factory.errors(job, [(2, 1, "type-error")])
    new = {"error_type": "x", "error_message": "x", "created_at": datetime.now(UTC)}
    with pytest.raises(TypeError, match="read-only"):
        async with database.unit_of_work() as session:
            session.add(ProcessingError(id=uuid.uuid4(), job_id=job.id, row_number=3, **new))
    with pytest.raises(TypeError, match="read-only"):
        async with database.unit_of_work() as session:
            record = (await session.scalars(select(ProcessingError).where(ProcessingError.job_id == job.id))).one()
            record.error_message = "changed"
    with pytest.raises(TypeError, match="read-only"):
        async with database.unit_of_work() as session:
            await session.delete((await session.scalars(select(ProcessingError).where(ProcessingError.job_id == job.id))).one())


@pytest.mark.parametrize(
    "statement",
    [delete(ProcessingError), update(ProcessingError).values(error_type="x"), insert(ProcessingError).values(id=uuid.uuid4(), row_number=2, error_type="x")],
    ids=["delete", "update", "insert"],
)
async def test_statements_are_refused_by_the_database(database: Database, factory: Factory, statement: object) -> None:
    job = await factory.ended_job()
    await factory.errors(job, [(2, 1, "type-error")])
    with pytest.raises(DBAPIError, match="view"):
        async with database.unit_of_work() as session:
            await session.execute(statement, execution_options={"synchronize_session": False})  # type: ignore[call-overload]
    assert len(await factory.list_errors(job.id)) == 1


async def test_view_of_one_job_reads_that_job_only(database: Database, factory: Factory) -> None:
    for _ in range(3):
        await factory.errors(await factory.ended_job(), [(row, 1, "type-error") for row in range(2, 60)], piece_size=10)
    job = await factory.ended_job()
    await factory.errors(job, [(2, 1, "type-error")])
    async with database.unit_of_work() as session:
        joined = await session.execute(
            select(Job.filename, ProcessingError.row_number).join(ProcessingError, ProcessingError.job_id == Job.id).where(Job.id == job.id)
        )
        assert joined.all() == [("people.csv", 2)]
        await session.execute(text("SET LOCAL enable_seqscan = off"))
        plan = (await session.scalars(text(f"EXPLAIN SELECT * FROM processing_errors WHERE job_id = '{job.id}'"))).all()
    assert any(re.search(r"Index Cond: \(+job_id = ", line) for line in plan), plan
