"""Rules about transactions and states that imports cannot show: which code commits or sets a status, and that no connection leaks."""

from __future__ import annotations

import ast
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.responses import StreamingResponse
from sqlalchemy import text
from sqlalchemy.exc import IllegalStateChangeError, InvalidRequestError

from shared.db.session import Database
from shared.web.database import ReadingDep
from tests.paths import ROOT

SOURCES = sorted(path for folder in ("features", "shared") for path in (ROOT / folder).rglob("*.py") if "versions" not in path.parts)
COMMITS = {"commit", "begin", "begin_nested"}
MAY_COMMIT = {Path("shared/db/session.py"), Path("shared/migrations/env.py")}
MAY_SET_STATUS = {"Job": Path("shared/jobs/job_state.py"), "Output": Path("shared/jobs/output_state.py")}
TABLE_NAMES = {"Job": "jobs", "Output": "outputs"}


def find_commits(tree: ast.AST) -> Iterator[int]:
    """Yield the lines that begin or end their own transaction: `….commit()`, `….begin()`; what begins with something is no transaction."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in COMMITS and not node.args:
            yield node.lineno


def find_status_changes(tree: ast.AST, model: str = "Job") -> Iterator[int]:
    """Yield the lines that change, or may change, the status of a job or output: by an UPDATE of the ORM or in SQL, or as an attribute."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "values" and is_update_of(model, node.func):
            # `**` hides what is set, and so does a dictionary that is made elsewhere.
            if any(keyword.arg in {"status", None} for keyword in node.keywords) or any("status" in names for names in map(name_keys, node.args)):
                yield node.lineno
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "execute" and len(node.args) > 1:
            if is_update_of(model, node.args[0]):
                yield node.lineno
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "setattr":
            if ast.unparse(node.args[1]) == "'status'":
                yield node.lineno
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if re.search(rf"(?i)\bupdate\s+(only\s+)?{TABLE_NAMES[model]}\b", node.value):
                yield node.lineno
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(target, ast.Attribute) and target.attr == "status" and ast.unparse(target.value) != "self" for target in targets):
                yield node.lineno


def is_update_of(model: str, tree: ast.AST) -> bool:
    """Whether `update(Job)`, or that of another module's name for it, is a part of the expression."""
    calls = [inner for inner in ast.walk(tree) if isinstance(inner, ast.Call) and inner.args]
    names = {model, TABLE_NAMES[model], "__table__"}
    return any(ast.unparse(call.func).rpartition(".")[2] == "update" and ast.unparse(call.args[0]).rpartition(".")[2] in names for call in calls)


def name_keys(argument: ast.expr) -> set[str]:
    """The columns that a dictionary sets, without their table; a dictionary that is not written there may set any."""
    if not isinstance(argument, ast.Dict):
        return {"status"}
    return {ast.unparse(key).strip("'").rpartition(".")[2] if key is not None else "status" for key in argument.keys}


@pytest.mark.parametrize(
    ("code", "lines"),
    [("session.commit()", 1), ("async with session.begin():\n    pass", 1), ("await connection.commit()", 1)],
)
def test_commit_would_be_seen(code: str, lines: int) -> None:
    assert len(list(find_commits(ast.parse(f"async def f():\n    {code.replace(chr(10), chr(10) + '    ')}")))) == lines


@pytest.mark.parametrize(
    "code",
    [
        "update(Job).where(True).values(status=1, progress=2)",
        "update(Job).values(**values)",
        "update(Job).values(values)",
        "update(Job).values({'status': 1})",
        "update(Job).values({Job.status: 1})",
        "update(Job).values({**values})",
        "sqlalchemy.update(models.Job).values(status=1)",
        "session.execute(update(Job), [{'status': 1}])",
        "text('UPDATE jobs SET status = 1')",
        "setattr(row, 'status', 1)",
        "job.status = 1",
        "self.job.status: int = 1",
        "row.status = 1",
    ],
)
@pytest.mark.parametrize("model", list(MAY_SET_STATUS))
def test_change_of_a_status_would_be_seen(code: str, model: str) -> None:
    code = code.replace("Job", model).replace("jobs", TABLE_NAMES[model])
    assert list(find_status_changes(ast.parse(code), model)) == [1]


def test_only_the_session_commits() -> None:
    found = {
        f"{path.relative_to(ROOT)}:{line}" for path in SOURCES for line in find_commits(ast.parse(path.read_text())) if path.relative_to(ROOT) not in MAY_COMMIT
    }
    assert found == set()


@pytest.mark.parametrize(("model", "allowed"), MAY_SET_STATUS.items())
def test_only_one_module_sets_a_status(model: str, allowed: Path) -> None:
    found = {
        f"{path.relative_to(ROOT)}:{line}"
        for path in SOURCES
        for line in find_status_changes(ast.parse(path.read_text()), model)
        if path.relative_to(ROOT) != allowed
    }
    assert found == set()
    assert len(list(find_status_changes(ast.parse((ROOT / allowed).read_text()), model))) >= 5


@pytest.mark.parametrize("code", ["update(Job).values(progress=1)", "update(Job).values({'labels': 1})", "self.status = 1", "execute(update(Job))"])
def test_what_changes_no_status_is_left_alone(code: str) -> None:
    assert list(find_status_changes(ast.parse(code))) == []


async def test_session_that_outlives_its_request_is_an_error_and_leaks_no_connection(app: FastAPI, client: httpx.AsyncClient) -> None:
    """This is an easy mistake to make: a streamed answer reads with the request's session, which is closed by then."""
    router = APIRouter()

    @router.get("/leak")
    async def leak(session: ReadingDep) -> StreamingResponse:
        async def stream() -> AsyncIterator[bytes]:
            yield str(await session.scalar(text("SELECT 1"))).encode()

        return StreamingResponse(stream())

    app.include_router(router)
    database: Database = app.state.database
    with pytest.raises((InvalidRequestError, IllegalStateChangeError), match="closed"):
        await client.get("/leak")
    assert database.engine.sync_engine.pool.checkedout() == 0  # type: ignore[attr-defined]  # of a queue pool
