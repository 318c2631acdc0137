from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from shared.settings import Settings
from shared.web.auth import parse_api_keys

GOOD: dict[str, Any] = {"database_url": "postgresql://u:p@h/d", "redis_url": "redis://h:6379/0", "upload_dir": "/tmp/u"}


def make(**changes: Any) -> Settings:
    return Settings(_env_file=None, **{**GOOD, **changes})


def test_plain_postgresql_url_is_given_the_async_driver() -> None:
    assert make().database_url == "postgresql+asyncpg://u:p@h/d"
    assert make(database_url="postgresql+asyncpg://u:p@h/d").database_url == "postgresql+asyncpg://u:p@h/d"


@pytest.mark.parametrize(
    "changes",
    [
        {"database_url": "mysql://h/d"}, {"database_url": "nonsense"}, {"redis_url": "http://h"}, {"max_upload_size_bytes": 0},
        {"upload_chunk_size_bytes": 1}, {"upload_chunk_size_bytes": 8192, "max_upload_size_bytes": 100}, {"chunk_rows": 0}, {"job_lease_s": 0},
        {"progress_interval_s": 50, "job_lease_s": 2}, {"excel_reader": "calamine"}, {"webhook_secret": "not base64!"}, {"webhook_secret": "c2hvcnQ="},
        {"webhook_allowed_hosts": "https://example.com"}, {"webhook_allowed_hosts": "example.com:443"}, {"webhook_allowed_hosts": "a.*.example.com"},
        {"webhook_allowed_hosts": "example.com, *"}, {"webhook_attempts_per_receiver": 0},
        {"db_pool_timeout_s": 60}, {"log_level": "LOUD"}, {"max_stored_errors_per_job": -1},
    ],
)  # fmt: skip
def test_nonsense_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make(**changes)


OWN_PASSWORD = "postgresql://rowgate:chosen@db/rowgate"
SHIPPED = "postgresql://rowgate:rowgate@db/rowgate"


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.7", "service.example"])
def test_service_that_others_reach_needs_keys_and_a_password_of_its_own(address: str) -> None:
    for changes, says in (({"database_url": OWN_PASSWORD}, "API_KEYS"), ({"database_url": SHIPPED, "api_keys": "k" * 32}, "POSTGRES_PASSWORD")):
        with pytest.raises(ValidationError, match=says):
            make(publish_address=address, **changes)
    assert make(publish_address=address, database_url=OWN_PASSWORD, api_keys="k" * 32).publish_address == address


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "localhost", None])
def test_service_of_this_machine_alone_needs_neither(address: str | None) -> None:
    assert make(publish_address=address, database_url=SHIPPED).api_keys is None


def test_hosts_that_webhooks_may_go_to_are_read_from_a_list() -> None:
    assert make().webhook_hosts == []
    assert make(webhook_allowed_hosts="Hooks.example.com, *.example.org 10.0.0.1,::1").webhook_hosts == [
        "hooks.example.com",
        "*.example.org",
        "10.0.0.1",
        "::1",
    ]


def test_settings_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in GOOD:
        monkeypatch.delenv(name.upper(), raising=False)
    with pytest.raises(ValidationError) as caught:
        Settings(_env_file=None)
    assert {error["loc"][0] for error in caught.value.errors()} == set(GOOD)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHUNK_ROWS", "77")
    assert make().chunk_rows == 77


def test_keys_carry_names_and_roles() -> None:
    keys = parse_api_keys("plain, team:secret ,boss:top:admin")
    assert [(key.viewer.name, key.secret, key.viewer.sees_all) for key in keys] == [
        ("key-a116c9ed46d6", b"plain", False),
        ("team", b"secret", False),
        ("boss", b"top", True),
    ]
    assert parse_api_keys(None) == parse_api_keys(" , ") == []


@pytest.mark.parametrize("text", ["a:b:c", "a:", ":b", "a:b:admin:x", "x:k,y:k", "x:1,x:2"])
def test_keys_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="API_KEYS"):
        parse_api_keys(text)
