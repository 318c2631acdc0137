from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from shared.secret_settings import SECRETS, name_file_setting, parse_api_keys, parse_webhook_secrets
from shared.settings import Settings, SettingsInvalid, read_settings
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
        {"cors_origins": "app.example"}, {"cors_origins": "https://app.example/"}, {"cors_origins": "https://a.example, https://App.example"},
        {"db_pool_timeout_s": 60}, {"log_level": "LOUD"}, {"max_stored_errors_per_job": -1},
    ],
)  # fmt: skip
def test_nonsense_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make(**changes)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"database_url": "postgresql://h/d?sslmode=full"}, "sslmode must be one of disable, allow, prefer, require, verify-ca, verify-full"),
        ({"database_url": "postgresql://h/d?sslmode=verify-full&sslrootcert=/nowhere.pem"}, "sslrootcert names a file that cannot be read: /nowhere.pem"),
        ({"database_url": "postgresql://h/d?sslmode=require&channel_binding=require"}, "channel_binding is unknown to the driver: remove it"),
        ({"redis_url": "rediss://h/0?ssl_cert_reqs=CERT_REQUIRED"}, "ssl_cert_reqs must be one of required, optional, none"),
        ({"redis_url": "rediss://h/0?ssl_ca_certs=/nowhere.pem"}, "ssl_ca_certs names a file that cannot be read: /nowhere.pem"),
    ],
)
def test_tls_that_could_only_fail_is_refused_at_the_start(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        make(**changes)


def test_tls_with_files_that_are_there_and_with_the_authorities_of_the_system_is_taken(tmp_path: Path) -> None:
    (authority := tmp_path / "ca.pem").write_text("")
    assert make(database_url=f"postgresql://h/d?sslmode=verify-full&sslrootcert={authority}").database_url.endswith(str(authority))
    assert make(database_url="postgresql://h/d?sslmode=verify-full&sslrootcert=system").database_url.endswith("system")
    assert make(redis_url=f"rediss://h/0?ssl_cert_reqs=required&ssl_ca_certs={authority}").redis_url.endswith(str(authority))


BUCKET = {"storage_url": "s3://bucket/prefix"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"storage_url": "https://bucket.example.com"}, "must begin with s3:// or file:///"),
        ({"storage_url": "s3://key:hidden@bucket/prefix"}, "must have no user, password"),
        ({"storage_url": "s3://Bucket"}, "must name a bucket"),
        ({"storage_url": "s3://bucket/a prefix"}, "must have a prefix of letters"),
        ({"storage_url": "file://server/uploads"}, "must have three slashes"),
        ({"storage_url": "file:///elsewhere", "upload_dir": "/uploads"}, "name different folders"),
        ({"s3_redirect_downloads": True}, "needs a STORAGE_URL of an S3 store"),
        ({**BUCKET, "aws_ca_bundle": "/nowhere.pem"}, "is not a file that can be read"),
        ({**BUCKET, "aws_access_key_id": "key"}, "belong together"),
        ({**BUCKET, "max_upload_size_bytes": 5 * 2**30 + 1}, "must not exceed 5 GiB with an S3 store"),
    ],
)
def test_store_that_could_not_work_is_refused_at_the_start(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        make(**changes)


def test_store_and_folder_are_told_apart_by_the_url() -> None:
    assert make(**BUCKET, max_upload_size_bytes=5 * 2**30).bucket == ("bucket", "prefix")
    assert make(storage_url="s3://bucket").bucket == ("bucket", "")
    in_folder = make(storage_url="file:///srv/row%20gate", upload_dir=None, max_upload_size_bytes=6 * 2**30)
    assert (in_folder.bucket, str(in_folder.upload_folder)) == (None, "/srv/row gate")


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


def test_origins_are_read_from_a_list() -> None:
    assert make(cors_origins="https://app.example, http://localhost:3000 http://[::1]:80,*").allowed_origins == [
        "https://app.example", "http://localhost:3000", "http://[::1]:80", "*",
    ]  # fmt: skip


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
    keys = parse_api_keys(f"team:{TEAM} ,boss:{TOP}:admin,\n\nteam: {PLAIN}")
    assert [(key.name, key.secret.decode(), key.is_admin) for key in keys] == [("team", TEAM, False), ("boss", TOP, True), ("team", PLAIN, False)]
    assert parse_api_keys(None) == []


def test_role_is_that_of_the_key_and_not_of_its_name() -> None:
    assert [key.is_admin for key in parse_api_keys(f"team:{TEAM},team:{TOP}:admin")] == [False, True]


def test_single_key_without_a_name_keeps_its_jobs_when_it_is_given_the_name_that_is_told() -> None:
    [alone] = parse_api_keys(PLAIN)
    assert (alone.name, alone.is_named) == (f"key-{hashlib.sha256(PLAIN.encode()).hexdigest()[:12]}", False)
    with pytest.raises(ValueError, match=f"needs a name .* belong to {alone.name}: write {alone.name}:key, and") as refused:
        parse_api_keys(f"{PLAIN},team:{TEAM}")
    assert PLAIN not in str(refused.value)
    assert {key.name for key in parse_api_keys(f"{alone.name}:{TEAM},{alone.name}:{PLAIN}")} == {alone.name}


NEW, OLD = "whsec_" + "A" * 32, "whsec_" + "B" * 32


def test_webhook_secrets_may_belong_to_the_name_of_a_key() -> None:
    secrets = parse_webhook_secrets(f"{OLD} ann={NEW}\nann={OLD}, {'C' * 43}=")
    assert secrets.find("ann") == [NEW, OLD]
    assert secrets.find("bob") == secrets.find(None) == [OLD, "C" * 43 + "="]
    assert parse_webhook_secrets(f"ann={NEW}").find("bob") == []
    assert parse_webhook_secrets(None).find("ann") == []


@pytest.mark.parametrize("text", [f"={NEW}", "ann=whsec_c2hvcnQ=", "ann=secretsecretsecretsecretsecretse", "ann=", "=", f"{OLD};{NEW}"])
def test_webhook_secrets_that_make_no_sense_are_refused_without_a_secret_in_the_message(text: str) -> None:
    with pytest.raises(ValidationError, match="webhook_secret") as refused:
        make(webhook_secret=text)
    assert not any(part in str(refused.value) for part in ("AAAA", "BBBB", "secretsecret", "c2hv"))


@pytest.mark.parametrize(
    "text",
    [
        ",", " , ", " ", "\t", f"a:{TEAM}:c", "a:", f":{TEAM}", f"a:{TEAM}:admin:x", f"x:{TEAM},y:{TEAM}", f"x:{TEAM},x:{TEAM}", f"{PLAIN},x:{TOP}",
        f"{PLAIN},{TEAM}", "short", "a:fifteen-charact",
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
def test_nonsense_is_named_in_one_line_for_each_mistake_as_it_was_written(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "settings").write_text("CHUNK_ROWS=none\nAPI_KEYS=,\n")
    known = {"PATH": os.environ["PATH"], "ENV_FILE": str(tmp_path / "settings"), "LOG_FORMAT": "text"}
    broken = {"DATABASE_URL": "postgresql://u@127.0.0.1:1/d", "REDIS_URL": "redis://127.0.0.1:1", "JOB_LEASE_S": "4"}
    result = subprocess.run([sys.executable, *command], cwd=ROOT, env=known | broken, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode != 0
    lines = result.stderr.strip().splitlines()
    assert [line.partition(":")[0] for line in lines] == ["rowgate"] * 3
    assert {" ".join(line.split()[1:3]) for line in lines} == {"UPLOAD_DIR is", "CHUNK_ROWS: Input", "API_KEYS: there"}


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


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_every_secret_may_come_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {
        "database_url": "postgresql://u:p@h/d",
        "redis_url": "redis://:p@h/0",
        "webhook_secret": NEW,
        "api_keys": f"ann:{TEAM}\nbob:{TOP}:admin",
        "aws_secret_access_key": "s3cret/+=",
    }
    assert texts.keys() == SECRETS.keys()
    for name, text in texts.items():
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.setenv(name_file_setting(name).upper(), str(write(tmp_path, name, f"\ufeff{text}\r\n")))
    settings = read_settings(upload_dir="/tmp/u")
    assert {name: getattr(settings, name) for name in texts} == {**texts, "database_url": "postgresql+asyncpg://u:p@h/d"}


def test_secret_and_its_file_are_not_set_both(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        read_settings(**GOOD, api_keys="k" * 32, api_keys_file=write(tmp_path, "keys", "k" * 32), redis_url_file=tmp_path / "none")
    assert refused.value.problems == [
        "REDIS_URL: REDIS_URL_FILE is set as well; set only one of them",
        "API_KEYS: API_KEYS_FILE is set as well; set only one of them",
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"), (b" \n", "is empty"), (b"\xff\xfesecret", "is not text in UTF-8"), (b"secret\x00" * 4, "is not text in UTF-8"),
        (b"secret" * 200_000, "is larger than 1,048,576 bytes"), (b"secret", "the key of entry 1 is shorter than 16 characters"),
        (b"no-such-file", "cannot be read: No such file or directory"), (b"folder", "is not a file"), (b"pipe", "is not a file"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_file_of_a_secret_is_told_under_the_name_that_was_written(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "keys"
    match content:
        case b"folder":
            path.mkdir()
        case b"pipe":
            os.mkfifo(path)
        case b"no-such-file":
            pass
        case _:
            path.write_bytes(content)
    with pytest.raises(SettingsInvalid) as refused:
        read_settings(**GOOD, api_keys_file=path)
    [problem] = refused.value.problems
    assert problem.startswith("API_KEYS_FILE: ")
    assert says in problem
    assert "secret" not in problem


def test_each_combination_that_makes_no_sense_is_told() -> None:
    with pytest.raises(SettingsInvalid) as refused:
        read_settings(**{**GOOD, "database_url": SHIPPED}, publish_address="0.0.0.0", progress_interval_s=50, job_lease_s=2)
    assert [problem.split()[0] for problem in refused.value.problems] == ["PROGRESS_INTERVAL_S", "PUBLISH_ADDRESS=0.0.0.0", "PUBLISH_ADDRESS=0.0.0.0"]
