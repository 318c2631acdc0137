"""The webhook address policy as clients see it: a forbidden address is refused with the reason at upload, or, if that only shows at sending, never called."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI

from shared.settings import Settings
from tests.features.webhooks.name_server import naming

URLS = [
    "http://127.0.0.1/", "http://localhost:8000/", "http://[::1]/", "http://10.1.2.3/", "http://169.254.169.254/latest/meta-data", "http://[fe80::1]/",
    "http://[::ffff:127.0.0.1]/", "http://[2002:7f00:1::]/", "http://[64:ff9b::7f00:1]/", "http://2130706433/", "http://0177.0.0.1/", "http://0x7f000001/",
    "http://127.1/", "https://0/", "http://[::]/", "http://224.0.0.1/", "http://255.255.255.255/",
]  # fmt: skip


@pytest.fixture
def strict(app: FastAPI, client: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client of a service that sends webhooks to public addresses only."""
    app.state.settings = app.state.settings.model_copy(update={"webhook_allow_private_addresses": False})
    return client


async def upload(client: httpx.AsyncClient, url: str) -> httpx.Response:
    return await client.post("/api/files/upload", files={"file": ("a.csv", b"a\n1\n")}, data={"webhook_url": url})


@pytest.mark.parametrize("url", URLS)
async def test_address_that_is_not_public_is_refused_at_upload_with_the_reason(strict: httpx.AsyncClient, url: str) -> None:
    answer = await upload(strict, url)
    assert answer.status_code == 400
    [problem] = answer.json()["errors"]
    assert problem["field"] == "webhook_url"
    assert "public" in problem["message"]


async def test_upload_does_not_tell_a_name_of_a_private_address_from_one_that_is_public_or_does_not_exist(
    strict: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {"inner.test": ["10.0.0.1"], "mixed.test": ["8.8.8.8", "192.168.0.1"], "public.test": ["8.8.8.8"], "new.test": [], "silent.test": None}
    async with naming(monkeypatch, lambda name, _: answers[name]) as server:
        for host in (*answers, "8.8.8.8", "[2606:4700::1111]"):
            assert (await upload(strict, f"https://{host}:8443/hook")).status_code == 202
        assert server.asked == []


@pytest.mark.parametrize(("url", "code"), [("https://1.1.1.1/hook", 400), ("https://8.8.8.8/hook", 202)])
async def test_host_that_is_not_in_the_list_is_refused_at_upload(app: FastAPI, client: httpx.AsyncClient, settings: Settings, url: str, code: int) -> None:
    app.state.settings = settings.model_copy(update={"webhook_allowed_hosts": "8.8.8.8, *.example.org"})
    response = await client.post("/api/files/upload", files={"file": ("a.csv", b"a\n1\n")}, data={"webhook_url": url})
    assert response.status_code == code, response.text
    if code == 400:
        [problem] = response.json()["errors"]
        assert problem["field"] == "webhook_url"
        assert "not among the hosts" in problem["message"]
