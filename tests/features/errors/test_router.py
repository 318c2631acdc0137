from __future__ import annotations

import itertools
import uuid
from typing import Any

import httpx
import pytest

from shared.db.models import Job, JobStatus
from tests.factories import Factory

PLACES = [(2, 1, "type-error"), (2, None, "primary-key-error"), (3, 2, "required-error"), (10, 1, "type-error"), (9, 3, "enum-error"), (9, 1, "type-error")]
IN_ORDER = [(2, None), (2, 1), (3, 2), (9, 1), (9, 3), (10, 1)]
ERROR_FIELDS = {
    "id", "job_id", "row_number", "column_number", "column_name", "cell", "error_type", "error_message", "params", "raw_value", "created_at",
}  # fmt: skip


@pytest.fixture
async def job(factory: Factory) -> Job:
    made = await factory.ended_job(rows_processed=20, rows_failed=4)
    await factory.errors(made, PLACES)
    return made


def places(page: dict[str, Any]) -> list[tuple[int, int | None]]:
    return [(error["row_number"], error["column_number"]) for error in page["errors"]]


async def test_errors_are_listed_by_row_and_column(client: httpx.AsyncClient, job: Job) -> None:
    page = (await client.get(f"/api/jobs/{job.id}/errors")).json()
    assert places(page) == IN_ORDER
    assert (page["total"], page["total_pages"], page["next_cursor"]) == (6, 1, None)
    assert set(page["errors"][0]) == ERROR_FIELDS


async def test_pages_and_cursors_give_the_same_errors(client: httpx.AsyncClient, job: Job) -> None:
    url = f"/api/jobs/{job.id}/errors"
    by_page = [places((await client.get(url, params={"page": page, "page_size": 4})).json()) for page in (1, 2, 3)]
    assert list(itertools.chain(*by_page)) == IN_ORDER
    by_cursor, cursor = [], None
    for _ in range(10):
        page = (await client.get(url, params={"page_size": 1} | ({"cursor": cursor} if cursor else {}))).json()
        by_cursor += places(page)
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert by_cursor == IN_ORDER


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"error_type": "type-error"}, [(2, 1), (9, 1), (10, 1)]),
        ({"column_name": "id1"}, [(2, 1), (9, 1), (10, 1)]),
        ({"column_name": "id3", "error_type": "enum-error"}, [(9, 3)]),
        ({"column_name": "id3", "error_type": "type-error"}, []),
        ({"error_type": "no-such-type"}, []),
    ],
)
async def test_filters_find_only_what_fits_and_count_it(client: httpx.AsyncClient, job: Job, params: dict[str, Any], expected: list[Any]) -> None:
    page = (await client.get(f"/api/jobs/{job.id}/errors", params=params)).json()
    assert places(page) == expected
    assert page["total"] == len(expected)


async def test_errors_of_older_attempts_are_out_of_sight(client: httpx.AsyncClient, factory: Factory, job: Job) -> None:
    await factory.errors(job, [(5, 1, "type-error")], attempt=job.attempt - 1)
    await factory.errors(job, PLACES[:1])
    page = (await client.get(f"/api/jobs/{job.id}/errors")).json()
    assert (5, 1) not in places(page)


@pytest.mark.parametrize(
    "params",
    [
        {"page": 0}, {"page_size": 1001}, {"cursor": "x"}, {"cursor": "W10"}, {"cursor": "WzEsMiwieCJd"},
        {"cursor": "bnVsbA"}, {"cursor": "é"}, {"error_type": "x" * 101},
    ],
)  # fmt: skip
async def test_nonsense_in_the_query_is_a_400(client: httpx.AsyncClient, job: Job, params: dict[str, Any]) -> None:
    response = await client.get(f"/api/jobs/{job.id}/errors", params=params)
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == next(iter(params))


async def test_page_past_the_end_is_an_empty_list(client: httpx.AsyncClient, job: Job) -> None:
    page = (await client.get(f"/api/jobs/{job.id}/errors", params={"page": 2**40, "page_size": 1000})).json()
    assert page["errors"] == []
    assert page["total"] == 6


async def test_summary_counts_by_type_and_column(client: httpx.AsyncClient, job: Job) -> None:
    summary = (await client.get(f"/api/jobs/{job.id}/errors/summary")).json()
    assert (summary["rows_processed"], summary["rows_failed"], summary["error_count"], summary["errors_truncated"]) == (20, 4, 6, False)
    assert summary["by_type"][0] == {"error_type": "type-error", "count": 3}
    untold: dict[str, Any] = {"error_message": None, "first_row_number": None, "examples": []}
    assert {"column_name": None, "error_type": "primary-key-error", "count": 1} | untold in summary["by_column"]
    assert sum(entry["count"] for entry in summary["by_column"]) == 6


async def test_summary_has_a_line_for_each_cause(client: httpx.AsyncClient, factory: Factory, job: Job) -> None:
    causes = [
        {"error_message": "This value must be a whole number.", "count": 5, "first_row_number": 3, "examples": ["x", "y"]},
        {"error_message": "This value must be a whole number; it has a blank at its end.", "count": 7, "first_row_number": 9, "examples": ["4 "]},
    ]
    tally = [{"column_number": 1, "column_name": "id1", "error_type": "type-error", "count": 12, "stored": 12, "causes": causes}]
    await factory.set(job.id, error_tally=tally, error_count=12, errors_stored=12)
    summary = (await client.get(f"/api/jobs/{job.id}/errors/summary")).json()
    assert summary["by_type"] == [{"error_type": "type-error", "count": 12}]
    assert summary["by_column"] == [{"column_name": "id1", "error_type": "type-error"} | cause for cause in reversed(causes)]


async def test_summary_counts_what_is_not_stored_as_well(client: httpx.AsyncClient, factory: Factory, job: Job) -> None:
    tally = [{"column_number": 1, "column_name": "id1", "error_type": "type-error", "count": 100, "stored": 3}]
    await factory.set(job.id, error_tally=tally, error_count=100, errors_stored=3)
    summary = (await client.get(f"/api/jobs/{job.id}/errors/summary")).json()
    assert (summary["error_count"], summary["errors_truncated"]) == (100, True)
    assert summary["by_type"] == [{"error_type": "type-error", "count": 100}]
    assert (await client.get(f"/api/jobs/{job.id}/errors")).json()["total"] == 3


async def test_job_without_errors_has_an_empty_list_and_summary(client: httpx.AsyncClient, factory: Factory) -> None:
    job = await factory.job()
    assert (await client.get(f"/api/jobs/{job.id}/errors")).json()["errors"] == []
    summary = (await client.get(f"/api/jobs/{job.id}/errors/summary")).json()
    assert summary == {"rows_processed": 0, "rows_failed": 0, "error_count": 0, "errors_truncated": False, "valid": None, "by_type": [], "by_column": []}


async def test_deleted_job_has_no_errors(client: httpx.AsyncClient, job: Job) -> None:
    await client.delete(f"/api/jobs/{job.id}")
    assert (await client.get(f"/api/jobs/{job.id}/errors")).status_code == 404
    assert (await client.get(f"/api/jobs/{job.id}/errors/summary")).status_code == 404
    assert (await client.get(f"/api/jobs/{uuid.uuid4()}/errors")).status_code == 404
    assert job.status == JobStatus.COMPLETED
