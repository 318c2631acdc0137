from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from shared.db.models import JobStatus, Output
from shared.messages.tasks import TaskContext
from shared.settings import Settings
from shared.storage.names import name_file
from tests.factories import Factory
from tests.features.outputs.conftest import EndedJob, MakeAll
from tests.features.outputs.test_router import list_files

CSV = b"id,name\n" + b"".join(b"%d,Name %d\n" % (n, n) for n in range(2, 1000)) + b"x,Linus\n\n1001,Ada\n"


async def ready(client: httpx.AsyncClient, ended_job: EndedJob, make_all: MakeAll) -> uuid.UUID:
    job = await ended_job(CSV)
    await client.get(f"/api/jobs/{job.id}/rows")
    await make_all()
    return job.id


async def show(client: httpx.AsyncClient, job_id: uuid.UUID, **query: Any) -> httpx.Response:
    return await client.get(f"/api/jobs/{job_id}/rows", params=query)


async def test_rows_are_made_ready_when_they_are_first_asked_for(client: httpx.AsyncClient, ended_job: EndedJob, make_all: MakeAll) -> None:
    job = await ended_job(CSV)
    for _ in range(2):
        waiting = await show(client, job.id)
        assert (waiting.status_code, waiting.headers["retry-after"], waiting.json()) == (202, "1", {"status": "QUEUED", "progress": 0})
    await make_all()
    answer = (await show(client, job.id, limit=2)).json()
    assert answer == {
        "columns": ["id", "name"],
        "rows": [
            {"row_number": 1, "cells": ["id", "name"], "errors": []},
            {"row_number": 2, "cells": ["2", "Name 2"], "errors": []},
        ],
        "next_from_row": 3,
    }
    listed = (await client.get(f"/api/jobs/{job.id}/outputs")).json()
    assert listed["outputs"] == []
    assert "rows.index" not in listed["available"]
    assert (await client.get(f"/api/jobs/{job.id}/outputs/rows.index")).status_code == 404


async def test_rows_around_one_show_its_errors(client: httpx.AsyncClient, ended_job: EndedJob, make_all: MakeAll) -> None:
    job_id = await ready(client, ended_job, make_all)
    rows = (await show(client, job_id, around_row=1000)).json()["rows"]
    assert [row["row_number"] for row in rows] == [997, 998, 999, 1000, 1001, 1002]
    assert [error["error_type"] for error in rows[3]["errors"]] == ["type-error"]
    assert rows[3]["errors"][0]["column_number"] == 1
    assert rows[4]["cells"] == []
    assert [error["error_type"] for error in rows[4]["errors"]] == ["blank-row"]
    assert len((await show(client, job_id, around_row=500, context=0)).json()["rows"]) == 1


async def test_only_failed_rows_are_those_with_errors(client: httpx.AsyncClient, ended_job: EndedJob, make_all: MakeAll) -> None:
    job_id = await ready(client, ended_job, make_all)
    first = (await show(client, job_id, only="failed", limit=1)).json()
    assert ([row["row_number"] for row in first["rows"]], first["next_from_row"]) == ([1000], 1001)
    rest = (await show(client, job_id, only="failed", from_row=1001)).json()
    assert ([row["row_number"] for row in rest["rows"]], rest["next_from_row"]) == ([1001], None)
    around = (await show(client, job_id, only="failed", around_row=5)).json()
    assert [row["row_number"] for row in around["rows"]] == [1000, 1001]


@pytest.mark.parametrize(
    "query",
    [
        {"from_row": 1, "around_row": 1},
        {"limit": 1, "around_row": 1},
        {"context": 1},
        {"context": 1, "from_row": 1},
        {"from_row": 0},
        {"from_row": 2**63},
        {"around_row": -1},
        {"limit": 0},
        {"limit": 201},
        {"around_row": 1, "context": 101},
        {"only": "good"},
        {"from_row": "x"},
    ],
)
async def test_forms_that_do_not_go_together_are_a_400(client: httpx.AsyncClient, ended_job: EndedJob, query: dict[str, Any]) -> None:
    job = await ended_job()
    answer = await show(client, job.id, **query)
    assert answer.status_code == 400
    assert answer.json()["errors"]


async def test_job_that_has_not_ended_is_a_409_and_no_job_a_404(client: httpx.AsyncClient, factory: Factory) -> None:
    job = await factory.job(status=JobStatus.PROCESSING, attempt=1)
    assert (await show(client, job.id)).status_code == 409
    assert (await show(client, uuid.uuid4())).status_code == 404


@pytest.mark.parametrize("fault", ["expired", "vanished", "damaged"])
async def test_index_that_is_not_there_is_made_anew(
    client: httpx.AsyncClient, context: TaskContext, ended_job: EndedJob, make_all: MakeAll, settings: Settings, fault: str
) -> None:
    job_id = await ready(client, ended_job, make_all)
    [path] = list_files(settings.upload_folder)
    if fault == "expired":
        async with context.database.unit_of_work() as session:
            await session.execute(update(Output).values(expired_at=datetime.now(UTC)))
    elif fault == "vanished":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1])
    assert (await show(client, job_id)).status_code == 202
    await make_all()
    assert (await show(client, job_id)).status_code == 200


async def test_index_that_failed_says_why_and_is_made_anew_later(
    client: httpx.AsyncClient, context: TaskContext, ended_job: EndedJob, make_all: MakeAll, settings: Settings
) -> None:
    job = await ended_job(CSV)
    await show(client, job.id)
    path = settings.upload_folder / name_file(job.id, job.filename)
    away = path.rename(path.with_suffix(".away"))
    for _ in range(3):  # it is looked for so many times
        await make_all()
    answer = await show(client, job.id)
    assert answer.status_code == 409
    assert "no longer stored" in answer.json()["detail"]
    away.rename(path)
    async with context.database.unit_of_work() as session:
        await session.execute(update(Output).values(completed_at=datetime.now(UTC) - timedelta(minutes=1)))
    assert (await show(client, job.id)).status_code == 202
    await make_all()
    assert (await show(client, job.id)).status_code == 200
