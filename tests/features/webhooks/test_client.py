"""One POST to real receivers in a separate process, each within its time limit."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import trustme
from standardwebhooks import Webhook, WebhookVerificationError

from features.webhooks import client
from features.webhooks.client import MAX_RETRY_AFTER_S, parse_retry_after, post
from features.webhooks.deliver import ATTEMPT_S
from features.webhooks.types import AttemptResult, ClaimedDelivery, Failure
from shared.settings import Settings
from tests.features.webhooks.name_server import naming
from tests.paths import ROOT

SLACK_S = 5.0
"""Time that a slow machine may take in addition to a promised time."""
PATIENCE_S = 30.0
"""For what comes at once: on a busy machine, an attempt's usual time may not be enough."""
NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Receivers:
    ports: dict[str, int]
    authority: trustme.CA

    def get_url(self, path: str, *, port: str = "http", host: str = "127.0.0.1") -> str:
        return f"{'http' if port == 'http' else 'https'}://{host}:{self.ports[port]}/{path}"

    def get_heard(self, claimed: ClaimedDelivery) -> Any:
        return httpx.get(self.get_url(f"heard/{claimed.id}"), trust_env=False).json()


@pytest.fixture(scope="module")
def receivers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receivers]:
    authority, stranger = trustme.CA(), trustme.CA()
    certificates = {
        "good": authority.issue_cert("hook.test"),
        "of-address": authority.issue_cert("127.0.0.1"),
        "of-other-name": authority.issue_cert("other.test"),
        "expired": authority.issue_cert("hook.test", not_after=datetime.now(UTC) - timedelta(days=1)),
        "of-stranger": stranger.issue_cert("hook.test"),
    }
    folder = tmp_path_factory.mktemp("certificates")
    for name, certificate in certificates.items():
        certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / f"{name}.pem"))
    command = [sys.executable, "-m", "tests.features.webhooks.receivers", str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Receivers(json.loads(process.stdout.readline()), authority)
        process.stdin.close()


@pytest.fixture
def trusting(receivers: Receivers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the system trust the receivers' certificate authority."""
    context = httpx.create_ssl_context(trust_env=False)
    receivers.authority.configure_trust(context)
    monkeypatch.setattr(client, "get_tls", lambda: context)


def make_settings(**changes: Any) -> Settings:
    given = {"database_url": "postgresql://h/d", "redis_url": "redis://h", "upload_dir": "/nowhere", "webhook_allow_private_addresses": True, **changes}
    return Settings(**given)


def claim(url: str) -> ClaimedDelivery:
    body: dict[str, object] = {"type": "job.completed", "filename": "bücher \U0001f4da.csv", "rows_processed": 3}
    return ClaimedDelivery(
        id=uuid.uuid4(), job_id=uuid.uuid4(), url=url, body=body, event="job.completed", round_started_at=NOW, round_attempt=1, time_left_s=10
    )


async def send(url: str, *, timeout_s: float = PATIENCE_S, **settings: Any) -> AttemptResult:
    return await post(claim(url), settings=make_settings(**settings), timeout_s=timeout_s)


@pytest.mark.parametrize(
    ("path", "excerpt"),
    [
        ("answer", "thanks"),
        ("binary", "\\x00\ufffd<p>"),
        ("kilobytes", "ab" * 499 + "a…"),
        ("hint-first", "thanks"),
        ("until-close", "thanks"),
        ("says-less", "thanks"),
        ("gzip", "\\x1f\ufffdno gzip at all"),
    ],
)
async def test_answer_is_recorded_with_its_first_thousand_characters(receivers: Receivers, path: str, excerpt: str) -> None:
    result = await send(receivers.get_url(path))
    assert (result.status_code, result.error, result.failure, result.response_excerpt) == (200, None, None, excerpt)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("reset", ""),
        ("close", "RemoteProtocolError"),
        ("half-a-head", "RemoteProtocolError"),
        ("says-more", "RemoteProtocolError"),
        ("no-http", "RemoteProtocolError"),
        ("huge-header", "RemoteProtocolError"),
        ("many-headers", "RemoteProtocolError"),
        ("two-lengths", "RemoteProtocolError"),
    ],
)
async def test_what_is_no_whole_answer_is_an_error_at_once(receivers: Receivers, path: str, says: str) -> None:
    result = await send(receivers.get_url(path))
    assert (result.status_code, result.failure, result.response_excerpt) == (None, Failure.CONNECTION, None)
    assert says in str(result.error)


async def test_every_way_to_be_slow_is_cut_off_in_time(receivers: Receivers, monkeypatch: pytest.MonkeyPatch) -> None:
    urls = {
        "no answer": receivers.get_url("hang"),
        "a byte of the head at a time": receivers.get_url("drip-head"),
        "a byte of the body at a time": receivers.get_url("drip-body"),
        "no TLS handshake": receivers.get_url("answer").replace("http:", "https:"),
    }
    async with naming(monkeypatch, lambda *_: None):
        results = await asyncio.gather(*(send(url, timeout_s=ATTEMPT_S) for url in [*urls.values(), "http://silent.test/"]))
    *slow, silent = results
    for what, result in zip(urls, slow, strict=True):
        assert (result.status_code, result.failure) == (None, Failure.TIMEOUT), what
        assert 1000 * ATTEMPT_S - 20 <= result.duration_ms <= 1000 * (ATTEMPT_S + SLACK_S), what
    assert silent.failure in {Failure.NOT_FOUND, Failure.TIMEOUT}
    assert silent.duration_ms <= 1000 * (ATTEMPT_S + SLACK_S)


async def test_answer_without_end_is_read_to_a_limit(receivers: Receivers) -> None:
    claimed = claim(receivers.get_url("stream"))
    result = await post(claimed, settings=make_settings(), timeout_s=PATIENCE_S)
    assert (result.status_code, result.response_excerpt) == (200, "." * 999 + "…")
    heard = receivers.get_heard(claimed)
    # The receiver can also fill the system's buffers, which the client does not read.
    assert 64 * 1024 <= heard["taken"] < 16 * 2**20


@pytest.mark.parametrize(("path", "code"), [("redirect", 302), ("redirect-forever", 307)])
async def test_redirect_is_recorded_and_not_followed(receivers: Receivers, path: str, code: int) -> None:
    claimed = claim(receivers.get_url(path))
    result = await post(claimed, settings=make_settings(), timeout_s=PATIENCE_S)
    assert result.status_code == code
    heard = receivers.get_heard(claimed)
    assert (heard["count"], heard["target"]) == (1, f"/{path}")


async def test_exact_bytes_are_signed_with_every_secret(receivers: Receivers) -> None:
    new, old, wrong = ("whsec_" + letter * 32 for letter in "ABC")
    claimed = claim(receivers.get_url("answer?x=1"))
    await post(claimed, settings=make_settings(webhook_secret=f"{new},{old}"), timeout_s=PATIENCE_S)
    heard = receivers.get_heard(claimed)
    assert heard["target"] == "/answer?x=1"
    assert len(heard["headers"]["webhook-signature"].split()) == 2
    for secret in (new, old):
        assert Webhook(secret).verify(heard["body"], heard["headers"]) == claimed.body
    with pytest.raises(WebhookVerificationError):
        Webhook(wrong).verify(heard["body"], heard["headers"])
    with pytest.raises(WebhookVerificationError):
        Webhook(new).verify(heard["body"].replace("3", "4"), heard["headers"])


async def test_tls_is_verified_against_the_name_and_not_the_address(receivers: Receivers, trusting: None, monkeypatch: pytest.MonkeyPatch) -> None:
    claimed = claim(receivers.get_url("answer", port="good", host="hook.test"))
    async with naming(monkeypatch, lambda *_: ["127.0.0.1"]):
        result = await post(claimed, settings=make_settings(), timeout_s=PATIENCE_S)
    assert (result.status_code, result.error) == (200, None)
    heard = receivers.get_heard(claimed)
    assert (heard["sni"], heard["headers"]["host"]) == ("hook.test", f"hook.test:{receivers.ports['good']}")


@pytest.mark.parametrize("port", ["of-address", "of-other-name", "expired", "of-stranger"])
async def test_bad_certificate_is_refused_before_anything_is_sent(receivers: Receivers, trusting: None, monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    claimed = claim(receivers.get_url("answer", port=port, host="hook.test"))
    async with naming(monkeypatch, lambda *_: ["127.0.0.1", "127.0.0.1"]):
        result = await post(claimed, settings=make_settings(), timeout_s=PATIENCE_S)
    assert (result.status_code, result.failure) == (None, Failure.CERTIFICATE)
    assert "certificate verify failed" in str(result.error)
    assert receivers.get_heard(claimed) is None


async def test_address_with_a_certificate_of_its_own_is_called(receivers: Receivers, trusting: None) -> None:
    assert (await send(receivers.get_url("answer", port="of-address"))).status_code == 200


async def test_unknown_authority_is_refused_without_any_setting(receivers: Receivers) -> None:
    result = await send(receivers.get_url("answer", port="of-address"))
    assert result.failure is Failure.CERTIFICATE
    assert client.get_tls().verify_mode is ssl.CERT_REQUIRED


async def test_retry_after_is_recorded_as_seconds_and_as_a_date(receivers: Receivers) -> None:
    assert (await send(receivers.get_url("wait"))).retry_after_s == 7
    assert (await send(receivers.get_url("wait-until"))).retry_after_s == MAX_RETRY_AFTER_S
    assert (await send(receivers.get_url("answer"))).retry_after_s is None


@pytest.mark.parametrize(
    ("value", "wanted_s"),
    [
        ("0", 0), ("3", 3), ("99999999999999999999", MAX_RETRY_AFTER_S), ("Tue, 24 Nov 2026 12:00:04 GMT", 4), ("Tuesday, 24-Nov-26 12:00:04 GMT", 4),
        ("Tue Nov 24 12:00:04 2026", 4), ("Tue, 24 Nov 2026 11:00:00 GMT", 0), ("Tue, 24 Nov 9999 12:00:00 GMT", MAX_RETRY_AFTER_S),
        (None, None), ("", None), ("-1", None), ("1.5", None), ("soon", None), ("²", None), ("Tue, 99 Nov 2026 12:00:04 GMT", None),
    ],
)  # fmt: skip
def test_retry_after_is_read_in_all_its_forms(value: str | None, wanted_s: float | None) -> None:
    assert parse_retry_after(value, now=NOW) == wanted_s
