from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from shared.settings import Settings, SettingsInvalid, parse_api_keys, read_settings
from tests.paths import ROOT

GOOD: dict[str, Any] = {"database_url": "postgresql://u:p@h/d", "redis_url": "redis://h:6379/0", "upload_dir": "/tmp/u"}


def make(**changes: Any) -> Settings:
    return Settings(**{**GOOD, **changes})


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
        Settings()
    assert {error["loc"][0] for error in caught.value.errors()} == set(GOOD)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHUNK_ROWS", "77")
    assert make().chunk_rows == 77


PLAIN, TEAM, TOP = "plain-key-of-nobody", "secret-of-the-team", "secret-of-the-boss"


def test_keys_carry_names_and_roles() -> None:
    keys = parse_api_keys(f"{PLAIN}, team:{TEAM} ,boss:{TOP}:admin,")
    assert [(key.name, key.secret.decode(), key.is_admin) for key in keys] == [
        (f"key-{hashlib.sha256(PLAIN.encode()).hexdigest()[:12]}", PLAIN, False),
        ("team", TEAM, False),
        ("boss", TOP, True),
    ]
    assert parse_api_keys(None) == []


@pytest.mark.parametrize(
    "text",
    [
        ",", " , ", " ", "\t", f"a:{TEAM}:c", "a:", f":{TEAM}", f"a:{TEAM}:admin:x", f"x:{TEAM},y:{TEAM}", f"x:{TEAM},x:{TOP}", "short", "a:fifteen-charact",
        f"a:{TEAM}:", f"a:{TEAM}:Admin", f"a:{TEAM}\x00", f"a:{TEAM}é", f"a:{TEAM} {TOP}", f"{TEAM};{TOP} {PLAIN}",
    ],
)  # fmt: skip
def test_keys_that_make_no_sense_are_refused_without_a_secret_in_the_message(text: str) -> None:
    with pytest.raises(ValidationError, match="api_keys") as caught:
        make(api_keys=text)
    assert "secret" not in str(caught.value)
    assert PLAIN not in str(caught.value)


COMMANDS = [
    ["-m", "uvicorn", "main:app", "--port", "1"],
    ["-m", "celery", "-A", "celery_app", "worker"],
    ["-m", "alembic", "current"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=[command[1] for command in COMMANDS])
def test_nonsense_is_named_in_one_line_as_it_was_written(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "settings").write_text("CHUNK_ROWS=none\nAPI_KEYS=,\n")
    known = {"PATH": os.environ["PATH"], "ENV_FILE": str(tmp_path / "settings")}
    broken = {"DATABASE_URL": "postgresql://u@127.0.0.1:1/d", "REDIS_URL": "redis://127.0.0.1:1", "JOB_LEASE_S": "4"}
    result = subprocess.run([sys.executable, *command], cwd=ROOT, env=known | broken, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode != 0
    [line] = result.stderr.strip().splitlines()
    assert line.startswith("rowgate: ")
    assert "UPLOAD_DIR is missing" in line
    assert "CHUNK_ROWS: " in line
    assert "API_KEYS: there is no key in it" in line


def test_file_of_settings_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "no-text").write_bytes(b"LOG_LEVEL=\xff\xfe")
    (tmp_path / ".env").mkdir()
    for path in ("no-text", "not-there", "."):
        monkeypatch.setenv("ENV_FILE", path)
        with pytest.raises(SettingsInvalid, match=f"ENV_FILE: {path} .*read"):
            read_settings(**GOOD)
    monkeypatch.delenv("ENV_FILE")
    with pytest.raises(SettingsInvalid, match=r"ENV_FILE: \.env is not a file"):
        read_settings(**GOOD)


def test_file_of_settings_is_read_unless_its_name_is_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("CHUNK_ROWS=77")
    assert read_settings(**GOOD).chunk_rows == 10_000
    monkeypatch.delenv("ENV_FILE")
    assert read_settings(**GOOD).chunk_rows == 77
