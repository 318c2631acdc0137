from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI

from shared.settings import Settings
from tests.factories import CSV, use_keys


@pytest.fixture
def keyed(app: FastAPI, client: httpx.AsyncClient) -> httpx.AsyncClient:
    use_keys(app, "ann:the-long-key-of-a,bob:the-long-key-of-b,boss:the-long-key-of-c:admin")
    return client


def key(name: str) -> dict[str, str]:
    return {"X-API-Key": f"the-long-key-of-{name}"}


@pytest.mark.parametrize("headers", [{}, {"X-API-Key": "wrong"}, {"X-API-Key": ""}, {"Authorization": "Bearer nope"}, {"Authorization": "Basic a2V5LWE="}])
async def test_missing_or_wrong_key_is_a_401(keyed: httpx.AsyncClient, headers: dict[str, str]) -> None:
    for method, path in (("GET", "/api/jobs"), ("POST", "/api/files/upload"), ("GET", "/api/jobs/00000000-0000-4000-8000-000000000000")):
        response = await keyed.request(method, path, headers=headers)
        assert response.status_code == 401
        assert response.headers["content-type"] == "application/problem+json"
        assert response.headers["www-authenticate"] == "Bearer"


async def test_health_and_docs_stay_open(keyed: httpx.AsyncClient) -> None:
    for path in ("/api/health", "/api/health/live", "/api/health/ready", "/docs", "/openapi.json"):
        for headers in ({}, {"X-API-Key": "wrong"}):
            assert (await keyed.get(path, headers=headers)).status_code == 200


async def test_health_shows_versions_to_those_with_a_key(keyed: httpx.AsyncClient, client: httpx.AsyncClient) -> None:
    for headers, is_known in (({}, False), ({"X-API-Key": "wrong"}, False), (key("a"), True)):
        health = (await keyed.get("/api/health", headers=headers)).json()
        assert health["status"] == health["database"]["status"] == "healthy"
        assert (health["details"] is not None) == is_known


async def test_metrics_are_for_admins_alone_unless_they_are_open(app: FastAPI, keyed: httpx.AsyncClient, settings: Settings) -> None:
    async def get(headers: dict[str, str]) -> tuple[int, str | None]:
        answer = await keyed.get("/metrics", headers=headers)
        return answer.status_code, None if answer.is_success else answer.json()["type"]

    sent: list[dict[str, str]] = [{}, key("a"), key("c"), {"Authorization": "Bearer the-long-key-of-c"}]
    assert [await get(headers) for headers in sent] == [(401, "/problems/not-authenticated"), (403, "/problems/not-allowed"), (200, None), (200, None)]
    app.state.settings = settings.model_copy(update={"metrics_open": True})
    assert [await get(headers) for headers in sent] == [(200, None)] * 4
    app.state.settings = settings
    use_keys(app, None)
    assert await get({}) == (200, None)


async def test_job_exists_for_its_sender_and_for_admins_only(keyed: httpx.AsyncClient) -> None:
    response = await keyed.post("/api/files/upload", files={"file": ("a.csv", CSV)}, headers=key("a"))
    assert response.status_code == 202
    job = response.headers["location"]
    assert (await keyed.get(job, headers=key("a"))).json()["submitted_by"] == "ann"
    assert (await keyed.get(job, headers={"Authorization": "Bearer the-long-key-of-a"})).status_code == 200
    assert (await keyed.get(job, headers=key("c"))).status_code == 200
    for method, path in (
        ("GET", ""),
        ("GET", "/errors"),
        ("GET", "/errors/summary"),
        ("GET", "/schema"),
        ("GET", "/deliveries"),
        ("POST", "/retry"),
        ("DELETE", ""),
    ):
        assert (await keyed.request(method, job + path, headers=key("b"))).status_code == 404
    totals = [(await keyed.get("/api/jobs", headers=key(name))).json()["total"] for name in "abc"]
    assert totals == [1, 0, 1]


async def test_idempotency_keys_belong_to_the_api_key(keyed: httpx.AsyncClient) -> None:
    answers = [
        await keyed.post("/api/files/upload", files={"file": ("a.csv", CSV)}, headers={**key(name), "Idempotency-Key": "same"}) for name in ("a", "b", "a")
    ]
    assert [answer.status_code for answer in answers] == [202, 202, 200]
    assert answers[0].json()["job_id"] == answers[2].json()["job_id"] != answers[1].json()["job_id"]


@pytest.mark.parametrize(("origin", "is_allowed"), [("https://app.example", True), ("https://other.example", False)])
async def test_pages_of_named_origins_alone_may_call(app: FastAPI, settings: Settings, origin: str, is_allowed: bool) -> None:
    from main import create_app

    app = create_app(settings.model_copy(update={"cors_origins": "https://app.example, https://second.example"}))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key,idempotency-key,traceparent"}
        before = await client.options("/api/files/upload", headers=asked)
        after = await client.get("/api/health/live", headers={"Origin": origin})
    for answer in (before, after):
        assert answer.headers.get("access-control-allow-origin") == (origin if is_allowed else None)
    assert before.is_success == is_allowed
