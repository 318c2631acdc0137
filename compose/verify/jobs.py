"""Files with one bad cell each, sent through the service: what comes back is known."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Sequence
from pathlib import Path

import httpx
import openpyxl
import xlwt

from compose.verify.stack import STEP_TIMEOUT_S, require, say, wait_for
from shared.output_names import OUTPUT_NAMES

HEADINGS, BAD_ROW = ("id", "amount"), 21
LONG_ROWS = 1_000_000


def make_csv(rows: int) -> bytes:
    """Make a CSV table with one bad cell, in row 21."""
    lines = [",".join(HEADINGS), *(f"{number},{'many' if number == BAD_ROW - 1 else number * 3}" for number in range(1, rows + 1))]
    return ("\n".join(lines) + "\n").encode()


def make_xlsx(folder: Path) -> bytes:
    """Make the same table as an XLSX workbook."""
    workbook = openpyxl.Workbook(write_only=True)
    sheet = workbook.create_sheet()
    for row in csv.reader(make_csv(20).decode().splitlines()):
        sheet.append([int(cell) if cell.isdecimal() else cell for cell in row])
    workbook.save(folder / "table.xlsx")
    return (folder / "table.xlsx").read_bytes()


def make_xls(folder: Path) -> bytes:
    """Make the same table as an XLS workbook."""
    workbook = xlwt.Workbook()
    sheet = workbook.add_sheet("table")
    for number, row in enumerate(csv.reader(make_csv(20).decode().splitlines())):
        for column, cell in enumerate(row):
            sheet.write(number, column, int(cell) if cell.isdecimal() else cell)
    workbook.save(str(folder / "table.xls"))
    return (folder / "table.xls").read_bytes()


def send(client: httpx.Client, name: str, content: bytes, *, outputs: Sequence[str] = ()) -> str:
    """Upload a file and return the job's id."""
    # RE2 has no look-ahead, so each of these values is checked separately and a long file takes some seconds on any machine.
    schema = {"fields": [{"name": "id", "type": "string", "constraints": {"pattern": "(?=[0-9])[0-9]+"}}, {"name": "amount", "type": "integer"}]}
    fields = {"webhook_url": "http://receiver:9000/done", "schema": json.dumps(schema), "outputs": ",".join(outputs)}
    answer = client.post("/api/files/upload", files={"file": (name, content)}, data=fields)
    require(answer.status_code == httpx.codes.ACCEPTED, f"The upload of {name} answered {answer.status_code}: {answer.text}")
    return str(answer.json()["job_id"])


def prove_end(client: httpx.Client, job_id: str, *, rows: int) -> None:
    """Check that the job ends with the one error that its file has, and that its webhook arrives."""
    job = wait_for(client, f"/api/jobs/{job_id}", "The end of the job", lambda job: job.get("status") not in {"QUEUED", "PROCESSING"})
    require((job["status"], job["rows_processed"], job["rows_failed"]) == ("COMPLETED", rows, 1), f"The job ended as {job}")
    errors = client.get(f"/api/jobs/{job_id}/errors").raise_for_status().json()["errors"]
    found = [(error["row_number"], error["column_name"], error["error_type"], error["raw_value"]) for error in errors]
    require(found == [(BAD_ROW, "amount", "type-error", "many")], f"The errors are {found}")
    wait_for(
        client,
        f"/api/jobs/{job_id}/deliveries",
        "The webhook's arrival",
        lambda answer: {delivery["status"] for delivery in answer["deliveries"]} == {"DELIVERED"},
    )


def start_long_job(client: httpx.Client) -> str:
    """Start a job that runs for some seconds; return its id once it is running."""
    job_id = send(client, "long.csv", make_csv(LONG_ROWS))
    wait_for(client, f"/api/jobs/{job_id}", "The start of the job", lambda job: 0 < job["rows_processed"] < LONG_ROWS)
    return job_id


def prove_jobs(client: httpx.Client, folder: Path) -> str:
    """Check a file of each type from its upload to its webhook and its outputs; return the id of the last job."""
    say("sending a file of each type, and fetching every output")
    files = (("table.csv", make_csv(20)), ("table.xlsx", make_xlsx(folder)), ("table.xls", make_xls(folder)))
    jobs = [send(client, name, content, outputs=OUTPUT_NAMES) for name, content in files]
    for job_id in jobs:
        prove_end(client, job_id, rows=20)
        for name in OUTPUT_NAMES:
            prove_output(client, f"/api/jobs/{job_id}/outputs/{name}")
    return jobs[-1]


def prove_output(client: httpx.Client, path: str) -> None:
    """Check that an output is made."""
    deadline = time.monotonic() + STEP_TIMEOUT_S
    while (answer := client.get(path)).status_code == httpx.codes.ACCEPTED:
        require(time.monotonic() < deadline, f"{path} was not made: {answer.text}")
        time.sleep(0.25)
    require(answer.status_code == httpx.codes.OK and answer.content, f"{path} answered {answer.status_code}.")
