"""import-linter enforces the rules of the architecture: each rule is broken on purpose in a copy of the code, and must be reported."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.paths import ROOT

pytestmark = pytest.mark.slow

SLICE = "features/added"
ROOMS = "in a slice: router | tasks | events, then services, then queries, then types | schemas | problems | metrics, then models"
QUERIES = "queries know no service: SQL needs data types, models and shared"
TYPES = "types, schemas, problems, metrics and models know no service"
DOORS = "nobody imports a router, a task or a subscriber"
SQLALCHEMY = "only queries.py, models.py, job_state.py, output_state.py, shared/db and shared/web/database.py import SQLAlchemy"
PURE = "reading and checking know no web, no database, no Celery"
PROCESSING = "in processing: the runs of jobs and outputs, then exporting, recording, the engine, checks, what runs them, keys, readers, columns"
SHARED = "in shared: workers, then jobs, then the web, then the database, then messages, then stored files, then observing, then descriptors and settings"
FILES = {f"{SLICE}/{name}.py": "" for name in ("router", "tasks", "events", "service", "queries", "types", "schemas", "problems", "metrics", "models")} | {
    f"{SLICE}/__init__.py": '"""A slice that no contract names."""\n'
}
VIOLATIONS = {
    "a slice imports no other slice": {f"{SLICE}/service.py": "import features.jobs.queries\n"},
    "shared knows no slice": {"shared/storage/folder.py": "import features.jobs\n"},
    f"{ROOMS} (queries)": {f"{SLICE}/queries.py": "import features.added.router\n"},
    f"{ROOMS} (schemas)": {f"{SLICE}/schemas.py": "import features.added.queries\n"},
    f"{ROOMS} (siblings)": {f"{SLICE}/router.py": "import features.added.tasks\n"},
    f"{ROOMS} (events)": {f"{SLICE}/events.py": "import features.added.tasks\n"},
    f"{QUERIES} (module)": {f"{SLICE}/queries.py": "import features.added.service\n"},
    f"{QUERIES} (package)": {f"{SLICE}/queries.py": "import features.added.room.part\n", f"{SLICE}/room/__init__.py": "", f"{SLICE}/room/part.py": ""},
    f"{TYPES} (types)": {f"{SLICE}/types.py": "import features.added.service\n"},
    f"{TYPES} (problems)": {f"{SLICE}/types.py": "import features.added.problems\n"},
    f"{TYPES} (models)": {f"{SLICE}/models.py": "import features.added.schemas\n"},
    f"{DOORS} (router)": {f"{SLICE}/service.py": "import features.added.router\n"},
    f"{DOORS} (tasks)": {f"{SLICE}/service.py": "import features.added.tasks\n"},
    f"{DOORS} (events)": {f"{SLICE}/service.py": "import features.added.events\n"},
    "only routers and shared/web import FastAPI": {f"{SLICE}/service.py": "import fastapi\n"},
    f"{SQLALCHEMY} (router)": {f"{SLICE}/router.py": "import sqlalchemy\n"},
    f"{SQLALCHEMY} (deep)": {f"{SLICE}/service.py": "from sqlalchemy.orm import Session\n"},
    "only shared/observing/open_telemetry.py imports OpenTelemetry": {f"{SLICE}/service.py": "from opentelemetry import trace\n"},
    f"{PURE} (direct)": {"features/processing/readers/base.py": "import sqlalchemy\n"},
    f"{PURE} (indirect)": {"features/processing/inference/infer.py": "import shared.jobs.job_state\n"},
    f"{PROCESSING} (readers)": {
        "features/processing/readers/base.py": "import features.processing.checking.column_of\n",
        "features/processing/checking/column_of.py": "",
    },
    f"{PROCESSING} (engine)": {"features/processing/engine.py": "import features.processing.recording.tally\n"},
    "readers of one format know no other format": {"features/processing/readers/csv/scan.py": "import features.processing.readers.excel.cell_text\n"},
    "readers of one workbook format know no other": {"features/processing/readers/excel/xls/table.py": "import features.processing.readers.excel.xlsx.cells\n"},
    f"{SHARED} (database)": {"shared/db/base.py": "import shared.web.auth\n"},
    f"{SHARED} (messages)": {"shared/messages/outbox.py": "import shared.db.session\n"},
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("features", "shared"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False, timeout=180)


def test_every_rule_is_broken_once() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert {contract["name"] for contract in contracts} == {name.partition(" (")[0] for name in VIOLATIONS}


def test_tree_with_a_new_slice_keeps_every_rule(tree: Path) -> None:
    result = lint(tree)
    assert result.returncode == 0, result.stdout
    assert "0 broken" in result.stdout


@pytest.mark.parametrize("name", VIOLATIONS)
def test_seeded_violation_is_seen(tree: Path, name: str) -> None:
    for path, text in VIOLATIONS[name].items():
        (tree / path).parent.mkdir(exist_ok=True)
        with (tree / path).open("a") as file:
            file.write(text)
    result = lint(tree)
    assert result.returncode == 1, result.stdout
    broken = " ".join(result.stdout.split())
    assert f"{name.partition(' (')[0]} BROKEN" in broken
