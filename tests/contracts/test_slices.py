"""Adding a folder adds a feature; a slice that cannot be imported stops the start with the real error."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT

pytestmark = pytest.mark.slow

ROOMS = ("router.py", "schemas.py", "queries.py", "tasks.py")
ROUTER = """
from fastapi import APIRouter

router = APIRouter()


@router.get("/api/added")
async def show_added() -> dict[str, str]:
    return {"added": "yes"}
"""
TASKS = """
from shared.contracts import MAINTENANCE_QUEUE
from shared.messages.refs import Nothing, TaskRef
from shared.messages.tasks import TaskContext, task

ADDED = TaskRef("added.run", MAINTENANCE_QUEUE, Nothing)


@task(ADDED, every_s=5)
async def run(context: TaskContext, _: Nothing) -> None:
    await context.redis.set("added", "yes")
"""
ASK = """
import asyncio, httpx, main, celery_app
assert "added.run" in celery_app.app.tasks
assert celery_app.app.conf.beat_schedule["added.run"]["options"]["queue"] == "maintenance"
async def ask():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=main.app), base_url="http://rowgate") as client:
        return (await client.get("/api/added")).json()
print(asyncio.run(ask()))
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The project by links, with a `features` folder of its own."""
    for name in ("main.py", "celery_app.py", "shared"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "features").mkdir()
    for entry in (ROOT / "features").iterdir():
        if entry.name != "__pycache__":
            (tmp_path / "features" / entry.name).symlink_to(entry)
    return tmp_path


def run(tree: Path, code: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DATABASE_URL": "postgresql://u@127.0.0.1:1/d", "REDIS_URL": "redis://127.0.0.1:1/0", "UPLOAD_DIR": str(tree)}
    return subprocess.run([sys.executable, "-c", code], cwd=tree, env=environment, capture_output=True, text=True, check=False, timeout=60)


def add_slice(tree: Path, **files: str) -> None:
    folder = tree / "features" / "added"
    folder.mkdir()
    (folder / "__init__.py").write_text('"""Added by a test."""\n')
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)


def test_new_folder_with_a_router_and_a_task_is_live_without_another_edit(tree: Path) -> None:
    add_slice(tree, router=ROUTER, tasks=TASKS)
    result = run(tree, ASK)
    assert result.returncode == 0, result.stderr
    assert "{'added': 'yes'}" in result.stdout


@pytest.mark.parametrize("module", ["main", "celery_app"])
@pytest.mark.parametrize(
    ("text", "error"),
    [("import no_such_module_anywhere\n", "no_such_module_anywhere"), ("1 / 0\n", "ZeroDivisionError"), ("def broken(:\n", "SyntaxError")],
)
def test_slice_that_cannot_be_imported_stops_the_start(tree: Path, module: str, text: str, error: str) -> None:
    add_slice(tree, tasks=text)
    result = run(tree, f"import {module}")
    assert result.returncode != 0
    assert error in result.stderr


def test_folder_without_an_init_is_not_passed_over_in_silence(tree: Path) -> None:
    add_slice(tree, tasks=TASKS)
    (tree / "features" / "added" / "__init__.py").unlink()
    result = run(tree, "import main")
    assert result.returncode != 0
    assert "no __init__.py" in result.stderr


def test_every_slice_has_its_rooms_and_says_what_it_does() -> None:
    slices = sorted(entry for entry in (ROOT / "features").iterdir() if (entry / "__init__.py").exists())
    assert [entry.name for entry in slices] == ["errors", "health", "jobs", "processing", "retry", "upload", "webhooks"]
    for entry in slices:
        assert all((entry / room).exists() for room in ROOMS), entry.name
        docstring = (entry / "__init__.py").read_text()
        assert "Writes:" in docstring
        assert "Runs:" in docstring
