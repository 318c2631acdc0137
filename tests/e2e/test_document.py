"""The OpenAPI document matches the service: schemathesis tests the running service against it, and a generated client works."""

from __future__ import annotations

import importlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Api, Service, running_api
from tests.services import Servers

CASES = int(os.environ.get("FUZZ_CASES", "15"))
"""Test cases for each endpoint and phase; `make fuzz CASES=2000` runs more."""
KEY, ADMIN_KEY = "k" * 32, "a" * 32
CONFIGURATION = """
[checks]
# What a file holds, and in which status a job is, decide as well: no document can say so.
positive_data_acceptance.enabled = false

[[operations]]
include-operation-id = ["follow_job", "follow_jobs"]
# A stream does not end before its job does; test_events.py follows it.
enabled = false

[[operations]]
include-operation-id = ["list_jobs", "list_errors"]
# A parameter without a value counts as absent.
checks.negative_data_rejection.enabled = false

[[operations]]
exclude-operation-id = ["upload_file", "delete_or_cancel_job"]
parameters = {{ "path.job_id" = "{job_id}" }}
"""


@pytest.fixture(scope="module")
def api(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running_api(servers, tmp_path_factory.mktemp("document"), API_KEYS=f"ada:{KEY},root:{ADMIN_KEY}:admin") as running:
        yield running


@pytest.mark.timeout(120 + 20 * CASES)
def test_no_answer_is_outside_the_document(api: Api, tmp_path: Path) -> None:
    headers = {"X-API-Key": KEY}
    uploaded = httpx.post(f"{api.url}/api/files/upload", files={"file": ("a.csv", b"a\n1\n")}, headers=headers)
    (tmp_path / "schemathesis.toml").write_text(CONFIGURATION.format(job_id=uploaded.json()["job_id"]))
    command = [str(Path(sys.executable).with_name("st")), "--config-file", str(tmp_path / "schemathesis.toml"), "run", f"{api.url}/openapi.json"]
    options = ["--max-examples", str(CASES), "--workers", "1", "--no-color", "-H", f"X-API-Key: {KEY}", "--generation-database", "none"]
    done = subprocess.run([*command, *options], check=False, capture_output=True, text=True, cwd=tmp_path)
    print(done.stdout[-6000:])
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


@pytest.fixture
def made_client(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The package that openapi-python-client generates from the document."""
    (tmp_path / "openapi.json").write_text(json.dumps(api.client.get("/openapi.json").json()))
    (tmp_path / "config.yml").write_text("post_hooks: []\npackage_name_override: made_client\n")
    arguments = ["generate", "--path", "openapi.json", "--meta", "none", "--config", "config.yml", "--output-path", "made_client", "--fail-on-warning"]
    command = [str(Path(sys.executable).with_name("openapi-python-client")), *arguments]
    done = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    monkeypatch.syspath_prepend(str(tmp_path))
    return importlib.import_module("made_client")


def test_generated_client_uploads_and_reads_errors(made_client: Any, service: Service) -> None:
    def part(name: str) -> Any:
        return importlib.import_module(f"made_client.{name}")

    client = made_client.Client(base_url=service.url)
    file = part("types").File(payload=io.BytesIO(b"id,age\n1,x\n2,3\n"), file_name="people.csv", mime_type="text/csv")
    schema = json.dumps({"fields": [{"name": "id", "type": "integer"}, {"name": "age", "type": "integer"}]})
    accepted = part("api.upload.upload_file").sync(client=client, body=part("models").UploadFileUpload(file=file, schema=schema))
    assert accepted.status == "QUEUED"
    service.wait_for(str(accepted.job_id))
    job = part("api.jobs.show_job").sync(accepted.job_id, client=client)
    assert (job.status, job.rows_processed, job.error_count) == ("COMPLETED", 2, 1)
    page = part("api.errors.list_errors").sync(accepted.job_id, client=client)
    assert [(error.row_number, error.column_name, error.error_type, error.raw_value) for error in page.errors] == [(2, "age", "type-error", "x")]
    problem = part("api.jobs.list_jobs").sync(client=client, page=10**6, page_size=1)
    assert problem.jobs == []


def test_docs_page_needs_no_internet(api: Api) -> None:
    page = api.client.get("/docs")
    assert page.status_code == 200
    assert "//" not in page.text.replace("<!DOCTYPE html>", "").replace("http://www.w3.org", "")
    for path in ("/docs-files/swagger-ui-bundle.js", "/docs-files/swagger-ui.css"):
        assert path in page.text
        assert api.client.get(path).status_code == 200
    assert "script-src 'self'" in page.headers["content-security-policy"]


def test_every_answer_carries_security_headers(api: Api) -> None:
    for path in ("/api/jobs", "/api/health", "/nothing", "/metrics"):
        headers = api.client.get(path).headers
        assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert (headers["x-content-type-options"], headers["x-frame-options"], headers["referrer-policy"]) == ("nosniff", "DENY", "no-referrer")
        assert headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in headers
