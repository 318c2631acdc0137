"""Adding a folder adds a feature; a slice that cannot be imported stops the start with the real error."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from shared import slices
from shared.messages.tasks import declared_tasks
from tests.paths import ROOT
from tests.services import Servers

pytestmark = pytest.mark.slow

ROUTER = """
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI, Request
from features.added.metrics import ADDED
from shared.web.body_limit import accept_body


@asynccontextmanager
async def open_added(app: FastAPI) -> AsyncIterator[None]:
    app.state.added = "open"
    yield
    app.state.added = "closed"


router = APIRouter(lifespan=open_added)


@router.get("/api/added")
async def show_added(request: Request) -> dict[str, str]:
    ADDED.inc()
    return {"added": request.app.state.added}


@router.put("/api/added")
@accept_body(200_000)
async def put_added(request: Request) -> dict[str, int]:
    return {"bytes": len(await request.body())}


@router.patch("/api/added")
async def patch_added(request: Request) -> dict[str, int]:
    return {"bytes": len(await request.body())}
"""
METRICS = """
from shared.observing.metrics import Counter

ADDED = Counter("rowgate_added", "Times that it was asked for")
"""
EVENTS = """
from shared.contracts import JobFinished
from shared.messages.events import subscribe


@subscribe(JobFinished)
async def hear(session: object, event: JobFinished) -> None: ...
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
from shared.messages import events
assert "added.run" in celery_app.app.tasks
assert celery_app.app.conf.beat_schedule["added.run"]["options"]["queue"] == "maintenance"
assert "features.added.events" in {function.__module__ for functions in events._subscribers.values() for function in functions}
URL = "/api/added"


async def pieces(size):
    for _ in range(size // 10_000):
        yield b"x" * 10_000


async def ask():
    async with main.app.router.lifespan_context(main.app):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=main.app), base_url="http://rowgate") as client:
            assert (await client.get(URL)).json() == {"added": "open"}
            assert "rowgate_added_total 1.0" in (await client.get("/metrics")).text
            # A body that announces its size, and one that does not: both are held to what the route declares.
            assert (await client.put(URL, content=b"x" * 150_000)).json() == {"bytes": 150_000}
            assert (await client.put(URL, content=pieces(150_000))).json() == {"bytes": 150_000}
            for refused in (
                await client.put(URL, content=b"x" * 250_000),
                await client.put(URL, content=pieces(250_000)),
                await client.patch(URL, content=b"x" * 80_000),
                await client.patch(URL, content=pieces(80_000)),
            ):
                assert (refused.status_code, refused.json()["type"]) == (413, "/problems/body-too-large"), refused.text
            preflight = {"Origin": "https://page.example", "Access-Control-Request-Method": "PUT"}
            allowed = await client.options(URL, headers=preflight)
            assert allowed.status_code == 200, allowed.text
            assert "PUT" in allowed.headers["access-control-allow-methods"]
            assert "Idempotency-Key" in allowed.headers["access-control-allow-headers"]
    assert main.app.state.added == "closed"


asyncio.run(ask())
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the project, made of symbolic links, with its own `features` folder."""
    for name in ("main.py", "celery_app.py", "shared"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "features").mkdir()
    for entry in (ROOT / "features").iterdir():
        if entry.name != "__pycache__":
            (tmp_path / "features" / entry.name).symlink_to(entry)
    return tmp_path


def run(tree: Path, code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "DATABASE_URL": "postgresql://u@127.0.0.1:1/d",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "UPLOAD_DIR": str(tree),
        "CORS_ORIGINS": "https://page.example",
        **variables,
    }
    return subprocess.run([sys.executable, "-c", code], cwd=tree, env=environment, capture_output=True, text=True, check=False, timeout=60)


def add_slice(tree: Path, **files: str) -> None:
    folder = tree / "features" / "added"
    folder.mkdir()
    (folder / "__init__.py").write_text('"""Added by a test."""\n')
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)


def test_new_folder_is_live_without_another_edit(tree: Path) -> None:
    """This covers its endpoints, tasks, subscribers and metrics, its lifespan, its body limit, and the requests that other origins may send to it."""
    add_slice(tree, router=ROUTER, tasks=TASKS, events=EVENTS, metrics=METRICS)
    result = run(tree, ASK)
    assert result.returncode == 0, result.stderr


def test_router_of_routers_is_refused_by_name(tree: Path) -> None:
    """What nested routes declare of their bodies and headers would not be found."""
    add_slice(tree, router="from fastapi import APIRouter\n\nrouter = APIRouter()\nrouter.include_router(APIRouter(prefix='/x'))\n")
    result = run(tree, "import main")
    assert result.returncode != 0
    assert "features.added.router: a router must have its routes itself" in result.stderr


def test_headers_of_a_dependency_may_come_from_other_origins(tree: Path) -> None:
    text = """
from typing import Annotated
from fastapi import APIRouter, Depends, Header

def get_match(if_match: Annotated[str | None, Header()] = None): ...
def get_deep(match: Annotated[None, Depends(get_match)]): ...

router = APIRouter()

@router.get("/api/added")
async def show(deep: Annotated[None, Depends(get_deep)]) -> None: ...
"""
    ask = """
import asyncio, httpx, main

async def ask():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=main.app), base_url="http://rowgate") as client:
        headers = {"Origin": "https://page.example", "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "If-Match"}
        allowed = await client.options("/api/added", headers=headers)
        assert allowed.status_code == 200, allowed.text
        assert "If-Match" in allowed.headers["access-control-allow-headers"]

asyncio.run(ask())
"""
    add_slice(tree, router=text)
    result = run(tree, ask)
    assert result.returncode == 0, result.stderr


def test_slice_may_have_a_router_alone(tree: Path) -> None:
    add_slice(tree, router="from fastapi import APIRouter\n\nrouter = APIRouter()\n")
    result = run(tree, "import main, celery_app")
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(("room", "module"), [("router", "main"), ("tasks", "celery_app"), ("events", "main"), ("events", "celery_app"), ("metrics", "main")])
@pytest.mark.parametrize(
    ("text", "error"),
    [("import no_such_module_anywhere\n", "no_such_module_anywhere"), ("1 / 0\n", "ZeroDivisionError"), ("def broken(:\n", "SyntaxError")],
)
def test_slice_that_cannot_be_imported_stops_the_start(tree: Path, room: str, module: str, text: str, error: str) -> None:
    add_slice(tree, **{room: text})
    result = run(tree, f"import {module}")
    assert result.returncode != 0
    assert error in result.stderr


@pytest.mark.parametrize(("room", "module"), [("router", "main"), ("tasks", "celery_app")])
def test_folder_without_an_init_is_not_passed_over_in_silence(tree: Path, room: str, module: str) -> None:
    add_slice(tree, **{room: ""})
    (tree / "features" / "added" / "__init__.py").unlink()
    result = run(tree, f"import {module}")
    assert result.returncode != 0
    assert "no __init__.py" in result.stderr


HEAVY = ("pyarrow", "pandas", "openpyxl", "xlrd", "msoffcrypto", "olefile", "numpy", "features.processing.engine")
SERVE = f"""
import asyncio, sys, httpx, main


async def serve():
    async with main.app.router.lifespan_context(main.app):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=main.app), base_url="http://rowgate") as client:
            for name, content in (("a.csv", b"a\\n1\\n"), ("a.xlsx", b"PK\\x03\\x04" + bytes(200)), ("a.xls", bytes.fromhex("d0cf11e0a1b11ae1") + bytes(200))):
                sent = await client.post("/api/files/upload", files={{"file": (name, content)}}, data={{"schema": '{{"fields": [{{"name": "a"}}]}}'}})
                assert sent.status_code == 202, sent.text
                job = sent.headers["location"]
                for path in (job, f"{{job}}/errors", f"{{job}}/errors/summary", f"{{job}}/deliveries", "/api/jobs", "/api/health", "/metrics", "/openapi.json"):
                    assert (await client.get(path)).status_code == 200, path
                assert (await client.patch(job, json={{"labels": {{"a": "b"}}}})).status_code == 200
                assert (await client.delete(job)).status_code == 204


asyncio.run(serve())
print([name for name in {HEAVY} if name in sys.modules])
"""


def test_the_api_does_not_carry_the_engine(tree: Path, servers: Servers, clean: None) -> None:
    """There are four API processes; in each, pyarrow, pandas and openpyxl would take 100 MiB, and three seconds at every start."""
    result = run(tree, SERVE, DATABASE_URL=servers.database_url, REDIS_URL=servers.redis_url)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "[]"


SLICES = sorted(entry for entry in (ROOT / "features").iterdir() if (entry / "__init__.py").exists())


@pytest.mark.parametrize("entry", SLICES, ids=[entry.name for entry in SLICES])
def test_slice_says_what_it_writes_runs_and_hears(entry: Path) -> None:
    """Only what applies is required, because a slice has only the modules that it needs."""
    docstring = ast.get_docstring(ast.parse((entry / "__init__.py").read_text())) or ""
    assert docstring
    rooms = {path.stem: path.read_text() for path in entry.glob("*.py")}
    if "queries" in rooms or "models" in rooms:
        assert "Writes:" in docstring or "Reads:" in docstring
    slices.load("features", "tasks")
    for declaration in declared_tasks():
        if declaration.function.__module__.startswith(f"features.{entry.name}."):
            assert f"`{declaration.ref.name}`" in docstring
    for event in re.findall(r"@subscribe\((\w+)\)", rooms.get("events", "")):
        assert event in docstring
