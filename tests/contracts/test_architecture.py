"""The rules of the house are kept by import-linter: each is broken here on purpose, in a copy, and must be seen."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT

pytestmark = pytest.mark.slow

SLICE = "features/added"
FILES = {
    f"{SLICE}/__init__.py": '"""A slice that no contract names."""\n',
    f"{SLICE}/router.py": "",
    f"{SLICE}/tasks.py": "",
    f"{SLICE}/service.py": "",
    f"{SLICE}/queries.py": "",
    f"{SLICE}/schemas.py": "",
}
VIOLATIONS = {
    "a slice imports no other slice": {f"{SLICE}/service.py": "import features.jobs.queries\n"},
    "shared knows no slice": {"shared/jobs/storage.py": "import features.jobs\n"},
    "in a slice: router | tasks, then queries, then schemas, then models (queries)": {f"{SLICE}/queries.py": "import features.added.router\n"},
    "in a slice: router | tasks, then queries, then schemas, then models (schemas)": {f"{SLICE}/schemas.py": "import features.added.queries\n"},
    "in a slice: router | tasks, then queries, then schemas, then models (siblings)": {f"{SLICE}/router.py": "import features.added.tasks\n"},
    "nobody imports a router or a task": {f"{SLICE}/service.py": "import features.added.router\n"},
    "nobody imports a router or a task (tasks)": {f"{SLICE}/service.py": "import features.added.tasks\n"},
    "only routers import FastAPI": {f"{SLICE}/service.py": "import fastapi\n"},
    "only queries.py, models.py, job_state.py and shared/db import SQLAlchemy": {f"{SLICE}/router.py": "import sqlalchemy\n"},
    "only queries.py, models.py, job_state.py and shared/db import SQLAlchemy (deep)": {f"{SLICE}/service.py": "from sqlalchemy.orm import Session\n"},
    "readers and checks know no web, no database, no Celery": {"features/processing/readers/base.py": "import sqlalchemy\n"},
    "readers and checks know no web, no database, no Celery (indirect)": {"features/processing/inference/infer.py": "import shared.jobs.job_state\n"},
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
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False, timeout=60)


def test_tree_with_a_new_slice_keeps_every_rule(tree: Path) -> None:
    result = lint(tree)
    assert result.returncode == 0, result.stdout
    assert "0 broken" in result.stdout


@pytest.mark.parametrize("name", VIOLATIONS)
def test_seeded_violation_is_seen(tree: Path, name: str) -> None:
    for path, text in VIOLATIONS[name].items():
        with (tree / path).open("a") as file:
            file.write(text)
    result = lint(tree)
    assert result.returncode == 1, result.stdout
    broken = " ".join(result.stdout.split())
    assert f"{name.partition(' (')[0]} BROKEN" in broken
