from __future__ import annotations

from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Query

from shared.web.parameters import InputRules, accept_parameters
from tests.factories import Factory


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/jobs?pagesize=10", "pagesize"),
        ("/api/jobs?page_size=10&x=", "x"),
        ("/api/jobs?page=1&page=2", "page"),
        ("/api/jobs?label.=x&labels.team=y", "labels.team"),
        ("/api/health?verbose=1", "verbose"),
        ("/api/jobs/6f1c2f0a-3f0e-4f6c-9a51-2d5b9f3f7c11/errors?type=type-error", "type"),
        ("/api/jobs?%1b%5b31m=1", "\\x1b[31m"),
    ],
)
async def test_parameter_that_is_not_known_or_given_twice_is_refused(client: httpx.AsyncClient, path: str, field: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 400
    assert field in [part["field"] for part in answer.json()["errors"]]


async def test_every_wrong_parameter_is_named_with_those_that_there_are(client: httpx.AsyncClient) -> None:
    problem = (await client.get("/api/jobs", params={"a": "1", "b": "2"})).json()
    assert [part["field"] for part in problem["errors"]] == ["a", "b"]
    assert "page_size" in problem["errors"][0]["message"]


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/retry"), ("POST", "/cancel"), ("POST", "/deliveries/redeliver"), ("DELETE", ""), ("PUT", "/outputs/valid.csv")]
)
async def test_body_is_refused_where_none_is_taken(client: httpx.AsyncClient, factory: Factory, method: str, path: str) -> None:
    job = await factory.job()
    answer = await client.request(method, f"/api/jobs/{job.id}{path}", json={"labels": {}})
    assert answer.status_code == 400
    assert answer.json()["errors"] == [{"field": "body", "message": "This request takes no body; leave it out."}]
    assert (await client.get(f"/api/jobs/{job.id}")).status_code == 200


async def test_empty_body_is_none(client: httpx.AsyncClient, factory: Factory) -> None:
    job = await factory.job()
    assert (await client.post(f"/api/jobs/{job.id}/cancel", content=b"", headers={"Content-Length": "0"})).status_code == 202


def test_lists_and_prefixes_are_taken_as_declared() -> None:
    router = APIRouter()

    @router.get("/things")
    @accept_parameters("x.")
    async def list_things(kind: Annotated[list[str], Query(default_factory=list)], one: int | None = None) -> dict[str, Any]:
        return {"kind": kind, "one": one}

    app = FastAPI()
    app.include_router(router)
    rules = InputRules(router.routes)  # type: ignore[arg-type]  # they are API routes

    def is_refused(query: str) -> bool:
        scope = {"type": "http", "method": "GET", "path": "/things", "query_string": query.encode(), "headers": []}
        return rules.find_problem(scope) is not None

    assert not is_refused("kind=a&kind=b&one=1&x.y=2")
    assert is_refused("one=1&one=2")
    assert is_refused("x=1")
