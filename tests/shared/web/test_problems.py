from __future__ import annotations

import asyncio

import httpx
import pytest
from fastapi import FastAPI

from shared.storage import s3_writer
from shared.web import middleware


@pytest.mark.parametrize(
    ("method", "path", "status", "slug"),
    [("GET", "/nowhere", 404, "not-found"), ("PUT", "/api/jobs", 405, "method-not-allowed"), ("GET", "/api/files/upload", 405, "method-not-allowed")],
)
async def test_unknown_path_and_wrong_method_are_problems(client: httpx.AsyncClient, method: str, path: str, status: int, slug: str) -> None:
    response = await client.request(method, path)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"] == f"/problems/{slug}"


async def test_unexpected_failure_shows_no_internals(app: FastAPI, client: httpx.AsyncClient) -> None:
    async def explode() -> None:
        raise RuntimeError("secret detail")

    app.add_api_route("/explode", explode)
    response = await client.get("/explode")
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert "secret" not in response.text
    assert response.headers["x-request-id"]


async def test_handler_that_hangs_is_a_503_in_time(app: FastAPI, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang() -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(middleware, "DEADLINE_S", 0.2)
    app.add_api_route("/hang", hang)
    response = await client.get("/hang")
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) > 0


async def test_request_id_comes_back_when_it_is_sensible(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/health/live", headers={"X-Request-ID": "abc-1"})).headers["x-request-id"] == "abc-1"
    odd = (await client.get("/api/health/live", headers={"X-Request-ID": "a b\tc"})).headers["x-request-id"]
    assert odd != "a b\tc"


async def test_document_has_problems_and_no_422(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    assert "HTTPValidationError" not in document["components"]["schemas"]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert "422" not in operation["responses"]
            if path.startswith(("/api/jobs", "/api/files")):
                assert {"401", "500", "503"} <= set(operation["responses"])
    upload = document["paths"]["/api/files/upload"]["post"]
    assert set(upload["responses"]) == {"200", "202", "400", "401", "408", "413", "500", "503", "507"}
    form = upload["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert set(form["properties"]) == {"file", "webhook_url", "schema", "dialect", "encoding", "outputs", "external_id", "labels"}


def test_deadline_leaves_time_to_answer_within_ten_seconds() -> None:
    assert middleware.DEADLINE_S <= 9.5
    assert middleware.DEADLINE_S + s3_writer.DISCARD_S <= 9.5  # an upload whose store hangs is given up first
