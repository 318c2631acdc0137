"""Send a messy sample file through the service, over HTTP like any client, show what was found, and take two outputs away.

    python -m compose.demo

Uses the stack that answers on `PORT` (8000). If there is none, it starts one and stops it afterwards.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table
from rich.text import Text

from compose.local import ROOT, StackFailed, StopAsked, chosen_port, chosen_run_dir, is_healthy, require_valid_settings, running_stack
from compose.services import ServiceFailed
from shared.secret_settings import parse_api_keys

SAMPLE = ROOT / "tests" / "data" / "orders.csv"
ENDED = {"COMPLETED", "FAILED", "CANCELLED"}
JOB_TIMEOUT_S = 120.0
POLL_S = 0.2
ERRORS_SHOWN = 20
OUTPUTS = ("rejected.xlsx", "valid.csv")
"""What is asked for at upload and saved in the folder `demo` of `RUN_DIR`."""
JOB_FIELDS = ("id", "filename", "status", "progress", "rows_processed", "rows_failed", "error_count", "error_message", "started_at", "completed_at")

Json = dict[str, Any]


class DemoFailed(Exception):
    """The service did not do what it was asked to; the message says what."""


def upload(client: httpx.Client) -> str:
    """Send the sample and return its job's id."""
    with SAMPLE.open("rb") as file:
        fields = {"outputs": ",".join(OUTPUTS)}
        accepted = ask(client, "POST", "/api/files/upload", files={"file": (SAMPLE.name, file, "text/csv")}, data=fields)
    return str(accepted["job_id"])


def follow(client: httpx.Client, job_id: str, console: Console) -> Json:
    """Show the job's progress until it has ended, and return the job. Raises `DemoFailed` after `JOB_TIMEOUT_S`."""
    deadline = time.monotonic() + JOB_TIMEOUT_S
    with Progress(TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), console=console, transient=True) as progress:
        bar = progress.add_task("waiting", total=100)
        while True:
            job = ask(client, "GET", f"/api/jobs/{job_id}")
            progress.update(bar, description=job["status"].lower(), completed=job["progress"])
            if job["status"] in ENDED:
                return job
            if time.monotonic() > deadline:
                raise DemoFailed(f"The job is still {job['status']} after {JOB_TIMEOUT_S:.0f} s.")
            time.sleep(POLL_S)


def key_headers() -> Mapping[str, str]:
    """Return the header with the first key of `API_KEYS` or its file, which the environment or `.env` sets; no header if there is none."""
    keys = parse_api_keys(require_valid_settings().api_keys)
    return {"X-API-Key": keys[0].secret.decode()} if keys else {}


def ask(client: httpx.Client, method: str, path: str, **request: Any) -> Json:  # noqa: ANN401  # handed on to httpx
    """Send a request and return the answer's JSON. Raises `DemoFailed` if the answer is an error."""
    response = client.request(method, path, **request)
    if response.is_error:
        raise DemoFailed(f"{method} {path} answered {response.status_code}: {response.text}")
    body: Json = response.json()
    return body


def as_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """Make a table for the terminal; cell contents are shown as they are and never read as markup."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in {"count", "row", "first row"} else "left")
    for row in rows:
        table.add_row(*(printable(value) for value in row))
    return table


def printable(value: object) -> Text:
    """Turn a value into one line of plain text."""
    return Text("" if value is None else str(value).replace("\n", "⏎"))


def show(client: httpx.Client, job: Mapping[str, Any], console: Console) -> None:
    """Print the job, its summary and its first errors."""
    job_id = job["id"]
    summary = ask(client, "GET", f"/api/jobs/{job_id}/errors/summary")
    errors = ask(client, "GET", f"/api/jobs/{job_id}/errors?page_size={ERRORS_SHOWN}")
    console.print(as_table("The job", ("field", "value"), [(field, job[field]) for field in JOB_FIELDS]))
    causes = [
        (f"{entry['count']:,}", entry["column_name"] or "(row)", entry["error_type"], entry["error_message"], entry["first_row_number"])
        for entry in summary["by_column"]
    ]
    title = f"{summary['error_count']:,} errors in {summary['rows_failed']:,} of {summary['rows_processed']:,} rows"
    console.print(as_table(title, ("count", "column_name", "error_type", "error_message", "first row"), causes))
    records = [[error[field] for field in ("row_number", "column_name", "error_type", "raw_value", "error_message")] for error in errors["errors"]]
    console.print(as_table(f"The first {len(records)} of them", ("row", "column_name", "error_type", "raw_value", "error_message"), records))


def save_outputs(client: httpx.Client, job_id: str, folder: Path) -> list[Path]:
    """Wait until the outputs are made, save each in `folder`, and return their paths. Raises `DemoFailed` after `JOB_TIMEOUT_S`."""
    folder.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + JOB_TIMEOUT_S
    return [_save_output(client, f"/api/jobs/{job_id}/outputs/{name}", folder / name, deadline) for name in OUTPUTS]


def _save_output(client: httpx.Client, url: str, path: Path, deadline: float) -> Path:
    while True:
        with client.stream("GET", url) as response:
            if response.status_code == HTTPStatus.OK:
                with path.open("wb") as file:
                    for block in response.iter_bytes():
                        file.write(block)
                return path
            response.read()
            if response.status_code != HTTPStatus.ACCEPTED:
                raise DemoFailed(f"GET {url} answered {response.status_code}: {response.text}")
        if time.monotonic() > deadline:
            raise DemoFailed(f"{path.name} is still not there after {JOB_TIMEOUT_S:.0f} s.")
        time.sleep(POLL_S)


def main() -> int:
    """Run the demo and return the exit code."""
    console = Console()
    try:
        with ExitStack() as stack:
            require_valid_settings()
            port = chosen_port()
            if not is_healthy(port):
                port = stack.enter_context(running_stack()).port
            client = stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=key_headers(), timeout=15.0))
            console.print(f"Sending {SAMPLE.relative_to(ROOT)} ({SAMPLE.stat().st_size:,} bytes) to {client.base_url} …")
            job = follow(client, upload(client), console)
            show(client, job, console)
            for path in save_outputs(client, job["id"], chosen_run_dir() / "demo"):
                console.print(f"Saved {os.path.relpath(path, ROOT)} ({path.stat().st_size:,} bytes)", highlight=False)
            console.print("rejected.xlsx has the rows to mend, each with what is wrong; valid.csv has all others.")
            return 0 if job["status"] == "COMPLETED" else 1
    except StopAsked:
        return 0
    except (DemoFailed, StackFailed, ServiceFailed, OSError, httpx.HTTPError) as problem:
        print(f"demo: {problem}", file=sys.stderr)  # noqa: T201  # a command's report
        return 1


if __name__ == "__main__":
    sys.exit(main())
