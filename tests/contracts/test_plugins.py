"""Slices, a check, a row check and a format are added to a copy of the project by one file or folder each; nothing else is edited, and every check passes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contracts.documents import place_blocks, write_files
from tests.paths import ROOT
from tests.services import Servers

pytestmark = pytest.mark.slow

ADDED = {
    # The slice, the check and the row check of the README, each with its test.
    **{path: text for path, text in place_blocks().items() if "/" in path},
    "features/ping/__init__.py": '"""Answers whoever asks."""\n',
    "features/ping/router.py": '''"""GET /api/ping."""

from __future__ import annotations

from fastapi import APIRouter

from shared.web.auth import ViewerDep
from shared.web.problems import NotAuthenticated, responses

router = APIRouter(prefix="/api/ping", tags=["ping"])


@router.get("", responses=responses(NotAuthenticated))
async def ping(viewer: ViewerDep) -> dict[str, str | None]:
    """Say who asks."""
    return {"name": viewer.name}
''',
    "features/processing/readers/tsv/__init__.py": '"""Reads tab-separated text."""\n',
    "features/processing/readers/tsv/format.py": '''"""Declares the format TSV."""

from __future__ import annotations

from shared.formats import FileFormat, register_format

register_format(
    FileFormat(
        extensions=("tsv",),
        media_types=("text/tab-separated-values",),
        description="a TSV file",
        family="table as text",
        remedy="Export it as tab-separated text",
        opener="features.processing.readers.tsv.table:open_tsv",
    )
)
''',
    "features/processing/readers/tsv/table.py": '''"""A TSV file: every line is a row, every tab ends a cell, nothing is quoted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from features.processing.readers.base import Chunk, FileUnreadable, Finding, Note, ReadLimits, Source
from shared.descriptors.table_dialect import TableDialect


def open_tsv(path: Path, *, dialect: TableDialect | None, encoding: str | None, limits: ReadLimits, field_names: Sequence[str] | None) -> TsvTable:
    """Open a small TSV file. Raises `FileUnreadable` if it is empty."""
    del dialect, limits, field_names
    return TsvTable(path, encoding or "utf-8")


class TsvTable:
    """A TSV file, opened: see `base.Table`."""

    def __init__(self, path: Path, encoding: str) -> None:
        lines = path.read_text(encoding).splitlines()
        if not lines:
            raise FileUnreadable("The file is empty.")
        self.labels: Sequence[str] | None = lines[0].split("\\t")
        self._rows = [line.split("\\t") for line in lines[1:]]
        self.bytes_total = path.stat().st_size
        self.source = Source(encoding=encoding, delimiter="\\t", header_row=1)
        self.notes: Sequence[Note] = ()
        self.header_findings: Sequence[Finding] = ()
        self.column_numbers: Sequence[int] | None = None

    def chunks(self) -> Iterator[Chunk]:
        """See `base.Table`."""
        columns = [pa.array(column, pa.string()) for column in zip(*self._rows, strict=True)]
        yield Chunk(columns=columns, row_numbers=np.arange(2, len(self._rows) + 2), bytes_read=self.bytes_total)

    def close(self) -> None:
        """See `base.Table`."""
''',
}
USED = """
import asyncio, json, subprocess, sys
from pathlib import Path
import httpx, main

SCHEMA = {"fields": [{"name": "name", "type": "string", "trimmed": True}, {"name": "start", "type": "date"}, {"name": "end", "type": "date"}]}
Path("schema.json").write_text(json.dumps(SCHEMA))
Path("f.tsv").write_text("name\\tstart\\tend\\n a\\t2024-01-02\\t2024-01-01\\nb\\t2024-01-01\\t2024-01-02\\n")
command = [sys.executable, "-m", "features.processing", "f.tsv", "--schema", "schema.json", "--format", "json"]
result = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
assert [(error["row_number"], error["error_type"]) for error in result["errors"]] == [(2, "trimmed-error"), (2, "period-error")], result


async def ask():
    async with main.app.router.lifespan_context(main.app):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=main.app), base_url="http://rowgate") as client:
            assert (await client.get("/api/ping")).json() == {"name": None}
            sent = await client.post("/api/files/upload", files={"file": ("F.TSV", Path("f.tsv").read_bytes())})
            assert (sent.status_code, sent.json()["file_type"]) == (202, "tsv"), sent.text
            assert (await client.delete(sent.headers["location"])).status_code == 204
            refused = await client.post("/api/files/upload", files={"file": ("f.tsv", b"PK\\x03\\x04")})
            assert "Export it as tab-separated text" in refused.json()["detail"], refused.text
            unknown = await client.post("/api/files/upload", files={"file": ("f.txt", b"a")})
            assert ".tsv" in unknown.json()["detail"], unknown.text


asyncio.run(ask())
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with all of them."""
    target = tmp_path_factory.mktemp("extended") / "project"
    ignored = shutil.ignore_patterns("__pycache__", ".git", ".venv", ".local", ".data", ".peers", ".env", ".pytest_cache", ".hypothesis", ".coverage*")
    shutil.copytree(ROOT, target, ignore=ignored)
    write_files(target, ADDED)
    return target


@pytest.mark.timeout(300)
def test_extended_project_passes_every_check(tree: Path) -> None:
    result = subprocess.run([sys.executable, "-m", "compose.check"], cwd=tree, capture_output=True, text=True, check=False, timeout=290)
    assert result.returncode == 0, result.stdout + result.stderr


def test_what_was_added_works(tree: Path, servers: Servers, tmp_path: Path, clean: None) -> None:
    places = {"DATABASE_URL": servers.database_url, "REDIS_URL": servers.redis_url, "UPLOAD_DIR": str(tmp_path)}
    result = subprocess.run([sys.executable, "-c", USED], cwd=tree, env={**os.environ, **places}, capture_output=True, text=True, check=False, timeout=110)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.timeout(300)
def test_rules_about_all_slices_checks_and_formats_hold_for_them(tree: Path, servers: Servers) -> None:
    """The tests that find slices, routes, checks and formats by themselves, run in the copy."""
    tests = [
        "tests/contracts/test_routes.py",
        "tests/contracts/test_transactions.py",
        "tests/contracts/test_slices.py::test_slice_says_what_it_writes_runs_and_hears",
        "tests/contracts/test_readme.py::test_endpoint_table_is_the_openapi_document",
        "tests/contracts/test_readme.py::test_places_are_there_and_complete",
        "tests/features/archive",
        "tests/features/processing/checking/test_declarations.py",
        "tests/features/processing/checking/test_row_checks.py",
        "tests/features/processing/checks",
        "tests/features/processing/test_main.py",
        "tests/shared/web/test_problems.py",
        "tests/features/upload/test_router.py",
    ]
    places = {"DATABASE_URL": servers.database_url, "REDIS_URL": servers.redis_url}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", *tests]
    result = subprocess.run(command, cwd=tree, env={**os.environ, **places}, capture_output=True, text=True, check=False, timeout=290)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
