"""Rules for every present and future route of every slice; the routes are found in the application, not listed here."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from shared import slices
from tests.factories import Factory, use_keys

PAGE = {"/", "/app", "/app/{path:path}", "/app/files/{path:path}"}
"""They hold no data of anybody; what the page shows it asks of the API, with a key."""
OPEN = {"/api/health", "/api/health/live", "/api/health/ready", *PAGE}
"""Routes that need no key, according to the contract."""
KEYS = "ann:key-of-ann-0123456789,bob:key-of-bob-0123456789"


def list_routes() -> Iterator[tuple[str, str]]:
    """Yield the (method, path) of every route of every slice."""
    for module in slices.load("features", "router"):
        for route in module.router.routes:
            assert isinstance(route, APIRoute)
            for method in sorted(route.methods or ()):
                yield method, route.path


ROUTES = sorted(set(list_routes()))
PROTECTED = [(method, path) for method, path in ROUTES if path not in OPEN]
OF_A_JOB = [(method, path) for method, path in PROTECTED if "{job_id}" in path]


@pytest.fixture
def keyed(app: FastAPI, client: httpx.AsyncClient) -> httpx.AsyncClient:
    use_keys(app, KEYS)
    return client


def test_routes_are_found() -> None:
    assert len(OF_A_JOB) >= 8
    assert {path for _, path in ROUTES} >= OPEN


@pytest.mark.parametrize(("method", "path"), PROTECTED)
async def test_route_without_a_key_is_a_401(keyed: httpx.AsyncClient, method: str, path: str) -> None:
    for headers in ({}, {"X-API-Key": "wrong-key-0123456789"}):
        answer = await keyed.request(method, path.format(job_id=uuid.uuid4(), name="valid.csv"), headers=headers)
        assert answer.status_code == 401, answer.text
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(("method", "path"), OF_A_JOB)
async def test_job_of_another_key_is_a_404_and_stays_as_it_is(keyed: httpx.AsyncClient, factory: Factory, method: str, path: str) -> None:
    job = await factory.ended_job(submitted_by="ann", webhook_url="http://127.0.0.1:9/hook")
    before = await factory.get(job.id)
    answer = await keyed.request(method, path.format(job_id=job.id, name="valid.csv"), headers={"X-API-Key": "key-of-bob-0123456789"}, **body_for(method))
    assert is_job_not_found(answer, method), answer.text
    after = await factory.get(job.id)
    assert before is not None
    assert after is not None
    assert {name: value for name, value in vars(after).items() if name[0] != "_"} == {name: value for name, value in vars(before).items() if name[0] != "_"}


@pytest.mark.parametrize(("method", "path"), OF_A_JOB)
async def test_job_id_that_is_no_uuid_is_a_404(client: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await client.request(method, path.format(job_id="nonsense", name="valid.csv"), **body_for(method))
    assert is_job_not_found(answer, method), answer.text


def is_job_not_found(answer: httpx.Response, method: str) -> bool:
    """Whether the answer says so; one to HEAD has no body."""
    return answer.status_code == 404 and (method == "HEAD" or answer.json()["type"] == "/problems/job-not-found")


def body_for(method: str) -> dict[str, Any]:
    """Return the arguments for a request body that is valid for every route that takes one."""
    return {"json": {}} if method == "PATCH" else {}


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_document_names_every_failure_that_holds_for_the_route(app: FastAPI, method: str, path: str) -> None:
    operation = app.openapi()["paths"].get(path, {}).get(method.lower())
    if operation is None:
        assert path not in {known for _, known in PROTECTED}
        return
    expected = ({"401", "500", "503"} if (method, path) in PROTECTED else set()) | ({"404"} if "{job_id}" in path else set())
    assert expected <= set(operation["responses"])
    assert "422" not in operation["responses"]
