"""A file's whole way through real API, worker and dispatcher processes, as a client sees it."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import openpyxl
import pytest
import xlwt

from compose.processes import wait_until
from tests.e2e.conftest import Service

pytestmark = pytest.mark.timeout(180)

HEADER = ["id", "name", "born"]
GOOD: list[list[Any]] = [[number, f"Name {number}", "2001-02-03"] for number in range(1, 51)]
BAD: list[list[Any]] = [["oops", "Bad", "2001-02-03"], [52, "", "2001-02-03"], [53, "C", "soon"]]
ROWS = GOOD + BAD
EXPECTED = [(52, 1, "id", "type-error", "oops"), (53, 2, "name", "required-error", ""), (54, 3, "born", "type-error", "soon")]

# RE2 has no look-ahead, so each of these values is checked separately; this leaves time to see a running job on any machine.
SLOW_SCHEMA = json.dumps(
    {"fields": [{"name": "id", "type": "string", "constraints": {"pattern": "(?=[0-9])[0-9]+"}}, {"name": "name"}, {"name": "born", "type": "date"}]}
)


def make_csv(rows: list[list[Any]] = ROWS) -> bytes:
    return "".join(",".join(str(cell) for cell in row) + "\n" for row in [HEADER, *rows]).encode()


def make_xlsx() -> bytes:
    workbook = openpyxl.Workbook()
    sheet = workbook.create_sheet("People", 0)
    for row in [HEADER, *ROWS]:
        sheet.append(row)
    buffer = io.BytesIO()
    workbook.save(buffer)
    return buffer.getvalue()


def make_xls() -> bytes:
    workbook = xlwt.Workbook()
    sheet = workbook.add_sheet("Sheet")
    for number, row in enumerate([HEADER, *ROWS]):
        for column, cell in enumerate(row):
            sheet.write(number, column, cell)
    buffer = io.BytesIO()
    workbook.save(buffer)
    return buffer.getvalue()


MAKERS = {"csv": make_csv, "xlsx": make_xlsx, "xls": make_xls}


@pytest.fixture
def hook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A webhook receiver: its URL, and the bodies it received."""
    told: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            told.append({"at": time.time(), "id": self.headers["webhook-id"], **json.loads(body)})
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/hook", told
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("file_type", MAKERS)
def test_file_of_each_type_runs_to_its_end_and_tells_its_webhook(service: Service, hook: tuple[str, list[dict[str, Any]]], file_type: str) -> None:
    url, told = hook
    job_id = service.upload(f"people.{file_type}", MAKERS[file_type](), webhook_url=url)
    job = service.wait_for(job_id)
    assert (job["status"], job["progress"], job["rows_processed"], job["rows_failed"], job["total_rows"]) == ("COMPLETED", 100, 53, 3, 53), job
    errors = service.client.get(f"/api/jobs/{job_id}/errors").json()["errors"]
    assert [(e["row_number"], e["column_number"], e["column_name"], e["error_type"], e["raw_value"]) for e in errors] == EXPECTED
    deadline = time.time() + 10
    while not told and time.time() < deadline:
        time.sleep(0.05)
    [event] = told
    assert (event["type"], event["job_id"], event["rows_processed"], event["rows_failed"]) == ("job.completed", job_id, 53, 3)
    assert event["completed_at"] == job["completed_at"]
    deliveries = service.client.get(f"/api/jobs/{job_id}/deliveries").json()["deliveries"]
    assert [delivery["id"] for delivery in deliveries] == [event["id"]]


def test_outputs_that_are_asked_for_at_upload_are_made_and_told(service: Service, hook: tuple[str, list[dict[str, Any]]]) -> None:
    url, told = hook
    service.upload("people.csv", make_csv(), webhook_url=url, outputs="valid.csv,rejected.xlsx,errors.parquet")
    assert wait_until(lambda: len(told) == 2, timeout_s=30), (told, service.tail())
    end, ready = told
    assert (end["type"], end["valid"], {output["status"] for output in end["outputs"]}) == ("job.completed", False, {"QUEUED"})
    assert end["at"] - datetime.fromisoformat(end["completed_at"]).timestamp() < 2
    assert ready["type"] == "job.outputs_ready"
    assert {output["name"]: (output["status"], output["row_count"]) for output in ready["outputs"]} == {
        "valid.csv": ("READY", 50),
        "rejected.xlsx": ("READY", 3),
        "errors.parquet": ("READY", 3),
    }
    for output in ready["outputs"]:
        content = service.client.get(output["url"]).content
        assert (len(content), hashlib.sha256(content).hexdigest()) == (output["size_bytes"], output["sha256"])


def test_running_job_is_cancelled_and_runs_to_its_end_when_retried(service: Service) -> None:
    rows = 1_000_001
    content = b"id,name,born\n" + b"".join(b"%d,Name,2001-02-03\n" % number for number in range(rows - 1)) + b"x,y,z\n"
    job_id = service.upload("large.csv", content, encoding="utf-8", schema=SLOW_SCHEMA)
    service.wait_for(job_id, lambda job: job["status"] == "PROCESSING" and job["rows_processed"] > 0)
    assert service.client.delete(f"/api/jobs/{job_id}").status_code == 204
    cancelled = service.job(job_id)
    assert cancelled["status"] == "CANCELLED"
    assert 0 < cancelled["rows_processed"] < rows
    time.sleep(1)
    assert service.job(job_id) == cancelled
    assert service.client.post(f"/api/jobs/{job_id}/retry").status_code == 202
    job = service.wait_for(job_id)
    assert (job["status"], job["rows_processed"], job["error_count"]) == ("COMPLETED", rows, 2)


def test_corrupt_workbook_fails_with_a_sentence_and_fails_again(service: Service) -> None:
    job_id = service.upload("broken.xlsx", make_xlsx()[:3000])
    job = service.wait_for(job_id)
    assert job["status"] == "FAILED"
    assert job["error_message"].endswith(".")
    assert service.client.post(f"/api/jobs/{job_id}/retry").json()["status"] == "QUEUED"
    assert service.wait_for(job_id)["status"] == "FAILED"


def test_three_jobs_run_at_the_same_time_on_one_worker(service: Service) -> None:
    content = make_csv([[number, "Name", "2001-02-03"] for number in range(300_000)])
    ids = [service.upload(f"part{number}.csv", content, schema=SLOW_SCHEMA) for number in range(3)]
    together = 0
    while any(service.job(job_id)["status"] not in {"COMPLETED", "FAILED"} for job_id in ids):
        together = max(together, sum(service.job(job_id)["status"] == "PROCESSING" for job_id in ids))
    jobs = [service.job(job_id) for job_id in ids]
    assert [(job["status"], job["rows_processed"], job["error_count"]) for job in jobs] == [("COMPLETED", 300_000, 0)] * 3
    assert together >= 2


def test_deleted_job_leaves_neither_row_nor_file(service: Service) -> None:
    from pathlib import Path

    job_id = service.upload("gone.csv", make_csv())
    service.wait_for(job_id)
    assert service.client.delete(f"/api/jobs/{job_id}").status_code == 204
    assert service.client.get(f"/api/jobs/{job_id}").status_code == 404
    assert not list(Path(service.environment["UPLOAD_DIR"]).glob(f"{job_id}*"))


def test_nothing_went_wrong_unseen(service: Service) -> None:
    job_id = service.upload("last.csv", make_csv())
    service.wait_for(job_id)
    for path in service.logs.glob("*.log"):
        text = path.read_text()
        assert "Traceback" not in text, text
        assert "[error" not in text, text
