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


@pytest.fixture
def rules() -> InputRules:
    """Rules of an endpoint that takes a list, a plain parameter, and parameters whose names are the client's."""
    router = APIRouter()

    @router.get("/things")
    @accept_parameters("x.")
    async def list_things(kind: Annotated[list[str], Query(default_factory=list)], one: int | None = None) -> dict[str, Any]:
        return {"kind": kind, "one": one}

    app = FastAPI()
    app.include_router(router)
    return InputRules(router.routes)  # type: ignore[arg-type]  # they are API routes


def _scope(query: str, path: str = "/things") -> dict[str, Any]:
    return {"type": "http", "method": "GET", "path": path, "query_string": query.encode(), "headers": []}


@pytest.mark.parametrize(
    ("query", "is_refused"),
    [("kind=a&kind=b&one=1&x.y=2", False), ("x.y=", False), ("one=1&one=2", True), ("x=1", True), ("x.=1", True), ("x%2E=", True), ("x.y=&x.y=", True)],
)
def test_lists_and_prefixes_are_taken_as_declared(rules: InputRules, query: str, is_refused: bool) -> None:
    assert (rules.find_problem(_scope(query)) is not None) is is_refused


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("", ""),
        ("one=1", "one=1"),
        ("one=&kind=a&kind=", "kind=a"),
        ("one", ""),
        ("one=%20&kind==", "one=%20&kind=="),
        ("x.y=&one=", "x.y="),
        ("x.y", "x.y"),
        ("x%2ey=", "x%2ey="),
    ],
)
def test_empty_parameter_counts_as_absent_unless_its_name_is_the_client_s(rules: InputRules, query: str, kept: str) -> None:
    assert rules.drop_empty(_scope(query)) == kept.encode()


def test_empty_parameter_of_an_unknown_path_counts_as_absent(rules: InputRules) -> None:
    assert rules.drop_empty(_scope("x.y=&one=", path="/others")) == b""


async def test_prefix_without_a_name_is_refused_with_a_sentence_that_shows_the_form(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/jobs?label.=x")
    assert answer.status_code == 400
    assert answer.json()["errors"] == [{"field": "label.", "message": "A name is missing after label.; write label.NAME=VALUE."}]
