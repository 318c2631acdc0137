"""Errors and counts of whole jobs agree, in whatever order errors are found and however storing them ends."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from features.processing import queries
from shared.db.models import ErrorPiece, JobStatus
from shared.messages.tasks import TaskContext
from tests.factories import Factory
from tests.features.processing.test_tasks import ROWS, change, get, process

LATE_SCHEMA = {
    "fields": [{"name": "id", "type": "integer"}, {"name": "parent", "type": "integer"}],
    "foreignKeys": [{"fields": "parent", "reference": {"resource": "", "fields": "id"}}],
}


async def test_findings_after_the_last_row_take_their_place_among_the_others(context: TaskContext, factory: Factory) -> None:
    lines = ["x,1" if row % 50 == 0 else f"{row},{-row}" if row % 7 == 0 else f"{row},{row}" for row in range(2, 2002)]
    job = await factory.job(content="\n".join(["id,parent", *lines, ""]).encode(), schema_given=LATE_SCHEMA)
    await process(change(context, chunk_rows=100, progress_interval_s=0.001), job)
    done = await get(factory, job)
    expected = []
    for row in range(2, 2002):
        if row % 50 == 0:
            expected += [(row, None, "foreign-key-error"), (row, 1, "type-error")]
        elif row % 7 == 0:
            expected.append((row, None, "foreign-key-error"))
    assert done.status == JobStatus.COMPLETED
    assert done.error_count == done.errors_stored == len(expected)
    async with context.database.unit_of_work() as session:
        pieces = (await session.scalars(select(ErrorPiece).where(ErrorPiece.job_id == job.id).order_by(ErrorPiece.first_row, ErrorPiece.first_column))).all()
    rules = [[(rule["column_number"], rule["error_type"]) for rule in piece.rules] for piece in pieces]
    stored = [(row, *rules[index][number]) for index, piece in enumerate(pieces) for row, number in zip(piece.row_numbers, piece.rule_numbers, strict=True)]
    assert stored == expected
    assert len(pieces) > 1


@pytest.mark.parametrize("limit", [1, 45, 250])
async def test_limit_of_stored_errors_holds_for_late_findings_too(context: TaskContext, factory: Factory, limit: int) -> None:
    lines = ["x,1" if row % 50 == 0 else f"{row},{-row}" if row % 7 == 0 else f"{row},{row}" for row in range(2, 2002)]
    job = await factory.job(content="\n".join(["id,parent", *lines, ""]).encode(), schema_given=LATE_SCHEMA)
    await process(change(context, chunk_rows=100, progress_interval_s=0.001, max_stored_errors_per_job=limit), job)
    done = await get(factory, job)
    assert done.errors_stored == limit == sum(entry["stored"] for entry in done.error_tally) == len(await factory.list_errors(job.id))
    assert done.errors_truncated


async def test_errors_that_cannot_be_stored_are_a_crash(context: TaskContext, factory: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("bug")

    monkeypatch.setattr(queries, "copy_pieces", fail)
    job = await factory.job(content=ROWS)
    await process(context, job)
    again = await get(factory, job)
    assert (again.status, again.crashes, again.errors_stored) == (JobStatus.QUEUED, 1, 0)
    assert await factory.count_pieces(job.id) == 0
