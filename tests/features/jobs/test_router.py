from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from shared.db.models import JobStatus
from shared.db.session import Database
from shared.jobs import job_state
from shared.messages.outbox import Message
from shared.settings import Settings
from shared.storage.names import name_file
from tests.factories import Factory

JOB_FIELDS = {
    "id", "filename", "file_size", "file_type", "status", "progress", "rows_processed", "rows_failed", "total_rows", "error_count", "errors_truncated",
    "error_message", "webhook_url", "created_at", "started_at", "completed_at", "updated_at", "attempt", "valid", "source", "notes", "sha256", "schema",
    "submitted_by", "external_id", "labels", "checked_again_from", "queue_position",
}  # fmt: skip


async def test_no_jobs_is_an_empty_page(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/jobs")).json() == {"total": 0, "page": 1, "page_size": 50, "total_pages": 0, "next_cursor": None, "jobs": []}


async def test_jobs_are_listed_newest_first_with_ids_breaking_ties(client: httpx.AsyncClient, factory: Factory) -> None:
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    old = await factory.job(created_at=moment - timedelta(days=1))
    same = [await factory.job(created_at=moment) for _ in range(3)]
    listed = (await client.get("/api/jobs")).json()
    expected = [str(job.id) for job in sorted(same, key=lambda job: job.id, reverse=True)] + [str(old.id)]
    assert [job["id"] for job in listed["jobs"]] == expected
    assert set(listed["jobs"][0]) == JOB_FIELDS - {"schema", "queue_position"}


async def test_pages_cover_all_jobs_once(client: httpx.AsyncClient, factory: Factory) -> None:
    ids = {str((await factory.job()).id) for _ in range(5)}
    pages = [(await client.get("/api/jobs", params={"page": page, "page_size": 2})).json() for page in (1, 2, 3, 4)]
    assert [len(page["jobs"]) for page in pages] == [2, 2, 1, 0]
    assert {job["id"] for page in pages for job in page["jobs"]} == ids
    assert all((page["total"], page["total_pages"]) == (5, 3) for page in pages)


async def test_status_filter_finds_only_that_status(client: httpx.AsyncClient, factory: Factory) -> None:
    await factory.job()
    failed = await factory.ended_job(JobStatus.FAILED)
    listed = (await client.get("/api/jobs", params={"status": "FAILED"})).json()
    assert [job["id"] for job in listed["jobs"]] == [str(failed.id)]


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({"from_date": "2026-03-02"}, {"start", "middle", "end", "after"}),
        ({"to_date": "2026-03-02"}, {"before", "start", "middle", "end"}),
        ({"from_date": "2026-03-02", "to_date": "2026-03-02"}, {"start", "middle", "end"}),
        ({"from_date": "2026-03-02T12:00:00Z"}, {"middle", "end", "after"}),
        ({"to_date": "2026-03-02T12:00:00Z"}, {"before", "start", "middle"}),
        ({"from_date": "2026-03-02T14:00:00+02:00"}, {"middle", "end", "after"}),
        ({"from_date": "2026-03-02T12:00:00"}, {"middle", "end", "after"}),
        ({"from_date": "2026-03-04"}, set()),
    ],
)
async def test_dates_are_inclusive_and_a_bare_date_is_its_whole_day(
    client: httpx.AsyncClient, factory: Factory, params: dict[str, Any], found: set[str]
) -> None:
    moments = {
        "before": datetime(2026, 3, 1, 23, 59, 59, 999999, tzinfo=UTC),
        "start": datetime(2026, 3, 2, tzinfo=UTC),
        "middle": datetime(2026, 3, 2, 12, tzinfo=UTC),
        "end": datetime(2026, 3, 2, 23, 59, 59, 999999, tzinfo=UTC),
        "after": datetime(2026, 3, 3, tzinfo=UTC),
    }
    for name, moment in moments.items():
        await factory.job(filename=f"{name}.csv", created_at=moment)
    listed = (await client.get("/api/jobs", params=params)).json()
    assert {job["filename"].removesuffix(".csv") for job in listed["jobs"]} == found
    assert listed["total"] == len(found)


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"page": 0}, "page"),
        ({"page": "x"}, "page"),
        ({"page_size": 0}, "page_size"),
        ({"page_size": 1001}, "page_size"),
        ({"status": "DONE"}, "status"),
        ({"file_type": "pdf"}, "file_type"),
        ({"file_type": ".csv"}, "file_type"),
        ({"file_type": "csv "}, "file_type"),
        ({"from_date": "yesterday"}, "from_date"),
        ({"to_date": "2026-13-01"}, "to_date"),
        ({"to_date": "9999-12-31T23:59:59-23:00"}, "to_date"),
    ],
)
async def test_nonsense_in_the_query_is_a_400_that_names_it(client: httpx.AsyncClient, params: dict[str, Any], field: str) -> None:
    response = await client.get("/api/jobs", params=params)
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    assert [error["field"] for error in response.json()["errors"]] == [field]


async def test_file_type_that_there_is_not_is_answered_with_those_that_there_are(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/jobs", params={"file_type": "p" * 30})
    assert answer.status_code == 400
    assert answer.json()["errors"] == [{"field": "file_type", "message": f"There is no file type {'p' * 30!r}; there are csv, xls, xlsx."}]
    document = (await client.get("/openapi.json")).json()
    [described] = [each for each in document["paths"]["/api/jobs"]["get"]["parameters"] if each["name"] == "file_type"]
    assert "csv, xls, xlsx" in described["description"]


async def test_page_far_past_the_end_is_an_empty_list(client: httpx.AsyncClient, factory: Factory) -> None:
    await factory.job()
    response = await client.get("/api/jobs", params={"page": 10**30, "page_size": 1000, "status": "", "from_date": "", "to_date": ""})
    assert response.status_code == 200
    assert response.json()["jobs"] == []


async def test_job_is_shown_with_times_to_the_microsecond(client: httpx.AsyncClient, factory: Factory) -> None:
    job = await factory.job(created_at=datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC))
    shown = (await client.get(f"/api/jobs/{job.id}")).json()
    assert set(shown) == JOB_FIELDS
    assert shown["created_at"] == "2026-01-02T03:04:05.000006Z"
    assert shown["started_at"] is None
    assert shown["source"] is None
    assert shown["schema"] is None


@pytest.mark.parametrize("job_id", ["6f1c2f0a-3f0e-4f6c-9a51-2d5b9f3f7c11", "nonsense", "1", "%00"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""), ("DELETE", ""), ("GET", "/schema"), ("GET", "/errors"), ("GET", "/errors/summary"), ("POST", "/retry"),
        ("GET", "/deliveries"), ("POST", "/deliveries/redeliver"),
    ],
)  # fmt: skip
async def test_unknown_job_is_a_404_everywhere(client: httpx.AsyncClient, job_id: str, method: str, path: str) -> None:
    response = await client.request(method, f"/api/jobs/{job_id}{path}")
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"] == "/problems/job-not-found"


@pytest.mark.parametrize("status", [JobStatus.QUEUED, JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED])
async def test_delete_of_a_job_that_does_not_run_removes_it_and_its_file(
    client: httpx.AsyncClient, factory: Factory, settings: Settings, sent: list[Message], status: JobStatus
) -> None:
    job = await factory.job(status=status)
    response = await client.delete(f"/api/jobs/{job.id}")
    assert response.status_code == 204
    assert response.content == b""
    assert (await client.get(f"/api/jobs/{job.id}")).status_code == 404
    assert (await client.get("/api/jobs")).json()["total"] == 0
    assert (await client.delete(f"/api/jobs/{job.id}")).status_code == 404
    assert not (settings.upload_folder / name_file(job.id, job.filename)).exists()
    assert [message.task for message in sent] == ["errors.purge_job"]


async def test_delete_of_a_running_job_cancels_it_and_keeps_its_file(client: httpx.AsyncClient, factory: Factory, settings: Settings) -> None:
    job = await factory.job(status=JobStatus.PROCESSING, attempt=1, rows_processed=7)
    assert (await client.delete(f"/api/jobs/{job.id}")).status_code == 204
    shown = (await client.get(f"/api/jobs/{job.id}")).json()
    assert shown["status"] == "CANCELLED"
    assert shown["completed_at"] is not None
    assert shown["rows_processed"] == 7
    assert (settings.upload_folder / name_file(job.id, job.filename)).exists()


async def test_schema_is_a_404_until_it_is_known(client: httpx.AsyncClient, factory: Factory) -> None:
    job = await factory.job()
    response = await client.get(f"/api/jobs/{job.id}/schema")
    assert response.status_code == 404
    assert response.json()["type"] == "/problems/schema-not-known"


async def test_schema_that_was_given_goes_before_an_inferred_one(client: httpx.AsyncClient, factory: Factory) -> None:
    job = await factory.job(schema_given={"fields": [{"name": "given"}]}, schema_inferred={"fields": [{"name": "inferred"}]})
    assert (await client.get(f"/api/jobs/{job.id}/schema")).json() == {"fields": [{"name": "given"}]}
    assert (await client.get(f"/api/jobs/{job.id}")).json()["schema"] == {"fields": [{"name": "given"}]}


async def test_pages_and_cursors_give_the_same_jobs(client: httpx.AsyncClient, factory: Factory) -> None:
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    for number in range(7):
        await factory.job(created_at=moment + timedelta(microseconds=number // 2))
    listed = [job["id"] for job in (await client.get("/api/jobs")).json()["jobs"]]
    followed, cursor = [], None
    while True:
        page = (await client.get("/api/jobs", params={"page_size": 2} | ({"cursor": cursor} if cursor else {}))).json()
        followed += [job["id"] for job in page["jobs"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert followed == listed
    assert len(listed) == 7


@pytest.mark.parametrize(
    "cursor", ["x", "W10", "WyIyMDI2LTAxLTAyIiwieCJd", "WyIyMDI2LTAxLTAyVDAwOjAwOjAwIiwiNmYxYzJmMGEtM2YwZS00ZjZjLTlhNTEtMmQ1YjlmM2Y3YzExIl0"]
)
async def test_cursor_of_another_make_is_refused(client: httpx.AsyncClient, cursor: str) -> None:
    answer = await client.get("/api/jobs", params={"cursor": cursor})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "cursor"


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({"q": "ORDERS"}, {"orders"}),
        ({"q": "100%"}, {"percent"}),
        ({"q": "_"}, {"people"}),
        ({"external_id": "4711"}, {"people"}),
        ({"label.team": "sales"}, {"orders", "people"}),
        ({"label.team": "sales", "label.region": "north"}, {"orders"}),
        ({"label.team": "SALES"}, set()),
        ({"label.team": ""}, {"percent"}),
        ({"label.team": "", "label.region": "north"}, set()),
        ({"file_type": "XLSX"}, {"percent"}),
        ({"q": "o", "label.team": "sales", "file_type": "csv"}, {"orders", "people"}),
    ],
)
async def test_jobs_are_found_by_name_id_labels_and_type(client: httpx.AsyncClient, factory: Factory, params: dict[str, str], found: set[str]) -> None:
    jobs = {
        "orders": await factory.job(filename="Orders-May.csv", labels={"team": "sales", "region": "north"}),
        "people": await factory.job(filename="people_of.csv", labels={"team": "sales"}, external_id="4711"),
        "percent": await factory.job(filename="100%.xlsx", file_type="xlsx", labels={"team": ""}),
    }
    page = (await client.get("/api/jobs", params=params)).json()
    assert {job["id"] for job in page["jobs"]} == {str(jobs[name].id) for name in found}
    assert page["total"] == len(found)


@pytest.mark.parametrize(
    ("status", "errors", "valid"),
    [
        (JobStatus.QUEUED, 0, None),
        (JobStatus.PROCESSING, 0, None),
        (JobStatus.COMPLETED, 0, True),
        (JobStatus.COMPLETED, 1, False),
        (JobStatus.FAILED, 0, False),
        (JobStatus.CANCELLED, 0, False),
    ],
)
async def test_job_says_whether_its_file_is_valid(client: httpx.AsyncClient, factory: Factory, status: JobStatus, errors: int, valid: bool | None) -> None:
    job = await factory.job(status=status, error_count=errors)
    assert (await client.get(f"/api/jobs/{job.id}")).json()["valid"] is valid


async def test_queued_job_has_a_place_in_the_queue(client: httpx.AsyncClient, factory: Factory) -> None:
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    first, running, last = [
        await factory.job(status=status, created_at=moment + timedelta(seconds=n))
        for n, status in enumerate((JobStatus.QUEUED, JobStatus.PROCESSING, JobStatus.QUEUED))
    ]
    shown = {job.id: (await client.get(f"/api/jobs/{job.id}")).json()["queue_position"] for job in (first, running, last)}
    assert shown == {first.id: 1, running.id: None, last.id: 2}


@pytest.mark.parametrize("status", [JobStatus.QUEUED, JobStatus.PROCESSING])
async def test_cancel_ends_a_job_and_keeps_it(client: httpx.AsyncClient, factory: Factory, settings: Settings, status: JobStatus) -> None:
    job = await factory.job(status=status)
    answer = await client.post(f"/api/jobs/{job.id}/cancel")
    assert (answer.status_code, answer.json()["status"], answer.json()["valid"]) == (202, "CANCELLED", False)
    assert (await client.get(f"/api/jobs/{job.id}")).json()["completed_at"] is not None
    assert (settings.upload_folder / name_file(job.id, job.filename)).exists()
    again = await client.post(f"/api/jobs/{job.id}/cancel")
    assert (again.status_code, again.json()["type"]) == (409, "/problems/already-ended")


async def test_retry_runs_a_job_that_was_cancelled_before_it_began(client: httpx.AsyncClient, factory: Factory) -> None:
    job = await factory.job()
    await client.post(f"/api/jobs/{job.id}/cancel")
    assert (await client.post(f"/api/jobs/{job.id}/retry")).json()["status"] == "QUEUED"


async def test_updated_at_moves_with_what_clients_see_and_with_nothing_else(client: httpx.AsyncClient, factory: Factory, database: Database) -> None:
    job = await factory.job(status=JobStatus.PROCESSING, attempt=1)
    before = (await client.get(f"/api/jobs/{job.id}")).json()["updated_at"]
    async with database.unit_of_work() as session:
        assert await job_state.renew(session, job_id=job.id, attempt=1, lease_s=30)
    assert (await client.get(f"/api/jobs/{job.id}")).json()["updated_at"] == before
    changed = (await client.patch(f"/api/jobs/{job.id}", json={"labels": {"a": "b"}})).json()["updated_at"]
    assert changed > before
    assert (await client.post(f"/api/jobs/{job.id}/cancel")).json()["updated_at"] > changed
