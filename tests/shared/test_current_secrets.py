"""Secrets that change while a process runs: in files, in the database, in Redis."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError
from structlog.testing import capture_logs

from shared.current_secrets import LOOK_EVERY_S, CurrentSecrets, current_secrets
from shared.db.session import open_database, ping
from shared.messages.broker import Broker
from shared.messages.outbox import Message
from shared.messages.redis_client import open_redis
from shared.observing.metrics import SECRET_FILES_READ
from shared.settings import Settings
from shared.worker.celery_settings import create_celery
from shared.worker.presence import Presence, count_present

FIRST, SECOND, THIRD = (f"ann:{letter * 24}" for letter in "abc")
SETTLED_AGO_S = 60.0


def write(path: Path, text: str, *, is_settled: bool = True) -> None:
    """Replace a file as a whole."""
    beside = path.with_name("beside")
    beside.write_text(text)
    if is_settled:
        os.utime(beside, (time.time() - SETTLED_AGO_S,) * 2)
    beside.replace(path)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Move the clock that says when a file is looked at again."""
    now = [100.0]
    monkeypatch.setattr("shared.current_secrets.time.monotonic", lambda: now[0])

    def move(seconds: float) -> None:
        now[0] += seconds

    return move


@pytest.fixture
def keys(settings: Settings, tmp_path: Path) -> tuple[Path, CurrentSecrets]:
    path = tmp_path / "api-keys"
    write(path, FIRST)
    return path, CurrentSecrets(Settings(**{**settings.model_dump(), "api_keys_file": path}))


def known(secrets: CurrentSecrets) -> list[str]:
    return [f"{key.name}:{key.secret.decode()}" for key in secrets.api_keys()]


def test_changed_file_is_taken_up_without_a_restart(keys: tuple[Path, CurrentSecrets], clock: Callable[[float], None]) -> None:
    path, secrets = keys
    assert known(secrets) == [FIRST]
    write(path, f"{SECOND},{FIRST}")
    assert known(secrets) == [FIRST]  # it is looked at once a second
    clock(LOOK_EVERY_S)
    with capture_logs() as lines:
        assert known(secrets) == [SECOND, FIRST]
    assert [(line["log_level"], line["setting"]) for line in lines] == [("info", "API_KEYS_FILE")]


def test_file_that_is_being_written_is_read_when_it_is_whole(keys: tuple[Path, CurrentSecrets], clock: Callable[[float], None]) -> None:
    path, secrets = keys
    known(secrets)
    with capture_logs() as lines:
        for part in ("", f"{SECOND},ann", f"{SECOND},{THIRD}"):
            path.write_text(part)
            clock(LOOK_EVERY_S)
            assert known(secrets) == [FIRST]
        assert lines == []
        clock(LOOK_EVERY_S)
        assert known(secrets) == [SECOND, THIRD]


def test_file_behind_a_link_that_is_moved_on_is_taken_up(settings: Settings, tmp_path: Path, clock: Callable[[float], None]) -> None:
    """As Kubernetes does it: a link to a link to a folder."""
    for folder, text in (("one", FIRST), ("two", SECOND)):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / "keys", text)
    (tmp_path / "data").symlink_to("one")
    (tmp_path / "keys").symlink_to("data/keys")
    secrets = CurrentSecrets(Settings(**{**settings.model_dump(), "api_keys_file": tmp_path / "keys"}))
    assert known(secrets) == [FIRST]
    (tmp_path / "new").symlink_to("two")
    (tmp_path / "new").replace(tmp_path / "data")
    clock(LOOK_EVERY_S)
    assert known(secrets) == [SECOND]


@pytest.mark.parametrize(
    "content", ["", "short", "\x00" * 40, "ann:" + "x" * 24 + ",bob:" + "x" * 24, "k" * 24 + "," + "l" * 24, None, "folder", "pipe", "huge"]
)
def test_file_that_makes_no_sense_changes_nothing_and_is_told_once(
    keys: tuple[Path, CurrentSecrets], clock: Callable[[float], None], content: str | None
) -> None:
    path, secrets = keys
    known(secrets)
    path.unlink()
    if content == "folder":
        path.mkdir()
    elif content == "pipe":
        os.mkfifo(path)
    elif content is not None:
        write(path, content if content != "huge" else f"{FIRST}\n" * 100_000)
    refused = SECRET_FILES_READ.labels("API_KEYS_FILE", "refused")
    before = refused._value.get()
    with capture_logs() as lines:
        for _ in range(5):
            clock(LOOK_EVERY_S)
            assert known(secrets) == [FIRST]
    [line] = lines
    assert line["log_level"] == "error"
    assert line["setting"] == "API_KEYS_FILE"
    assert "xxxx" not in str(line)
    assert "kkkk" not in str(line)
    assert refused._value.get() == before + 1
    if content == "folder":
        path.rmdir()
    write(path, THIRD)
    clock(LOOK_EVERY_S)
    assert known(secrets) == [THIRD]


def test_file_that_changed_between_the_start_and_the_first_look_is_taken_up(keys: tuple[Path, CurrentSecrets]) -> None:
    path, secrets = keys
    write(path, SECOND)
    assert known(secrets) == [SECOND]


def test_secret_that_lets_the_world_in_is_not_taken_up(settings: Settings, tmp_path: Path, clock: Callable[[float], None]) -> None:
    path = tmp_path / "url"
    write(path, "postgresql://rowgate:chosen@h/d")
    published = {**settings.model_dump(), "publish_address": "0.0.0.0", "api_keys": FIRST, "database_url": None, "database_url_file": path}
    secrets = CurrentSecrets(Settings(**published))
    secrets.database_urls()
    write(path, "postgresql://rowgate:rowgate@h/d")
    clock(LOOK_EVERY_S)
    assert list(secrets.database_urls()) == ["postgresql+asyncpg://rowgate:chosen@h/d"]


async def test_owner_of_two_keys_sees_the_same_jobs_with_both(app: FastAPI, client: httpx.AsyncClient, settings: Settings, tmp_path: Path) -> None:
    """An only key without a name is replaced, under the name that its jobs belong to; nothing is restarted."""
    path, old, new = tmp_path / "keys", "o" * 24, "n" * 24
    write(path, old)
    app.state.secrets = secrets = CurrentSecrets(Settings(**{**settings.model_dump(), "api_keys_file": path}))

    async def count(key: str) -> int | None:
        answer = await client.get("/api/jobs", headers={"X-API-Key": key})
        return answer.json()["total"] if answer.is_success else None

    assert (await client.post("/api/files/upload", files={"file": ("a.csv", b"a\n1\n")}, headers={"X-API-Key": old})).status_code == 202
    [key] = secrets.api_keys()
    write(path, f"{key.name}:{new}\n{key.name}:{old}\n")
    secrets.refresh("api_keys")
    assert [await count(old), await count(new)] == [1, 1]
    write(path, f"{key.name}:{new}")
    secrets.refresh("api_keys")
    assert [await count(old), await count(new)] == [None, 1]


def acl(redis: Redis, *words: str) -> Awaitable[Any]:
    return redis.execute_command("ACL", *words)  # type: ignore[no-untyped-call]  # redis-py leaves it untyped


@asynccontextmanager
async def role(settings: Settings, name: str) -> AsyncIterator[tuple[asyncpg.Connection, Callable[[str], str]]]:
    """Yield a superuser's connection, and the URL of a role of its own by password."""
    url = settings.database_url.replace("+asyncpg", "")
    superuser = await asyncpg.connect(url)
    place = url.rpartition("@")[2]
    await superuser.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'first'")
    try:
        yield superuser, lambda password: f"postgresql://{name}:{password}@{place}"
    finally:
        await superuser.execute(f"DROP ROLE {name}")
        await superuser.close()


async def test_password_of_the_database_changes_first_in_the_file_and_no_connection_fails(settings: Settings, tmp_path: Path) -> None:
    async with role(settings, "rotated") as (superuser, url):
        path = tmp_path / "url"
        write(path, url("first"))
        given = {**settings.model_dump(), "database_url": None, "database_url_file": path}

        async def send(_messages: Any) -> bool:
            return True

        stop, connections = asyncio.Event(), 0

        async def poll() -> None:
            nonlocal connections
            database = open_database(Settings(**given), send=send, application_name="rotation", pool_size=1, max_overflow=0)
            while not stop.is_set():
                async with database.reading() as session:
                    await ping(session)
                await database.close()  # the next one makes a connection of its own
                connections += 1

        pollers = [asyncio.create_task(poll()) for _ in range(3)]
        await asyncio.sleep(0.5)
        for password, pause_s in (("second", 0.0), ("third", 2.5)):  # before and after the file is looked at
            write(path, url(password), is_settled=False)
            await asyncio.sleep(pause_s)
            await superuser.execute(f"ALTER ROLE rotated PASSWORD '{password}'")
            await asyncio.sleep(2.5)
        stop.set()
        await asyncio.gather(*pollers)  # raises if one failed
        assert connections > 30


async def test_password_that_works_is_kept_until_another_does_however_often_the_file_changes(settings: Settings, tmp_path: Path) -> None:
    async def send(_messages: Any) -> bool:
        return True

    async with role(settings, "rotated_twice") as (superuser, url):
        path = tmp_path / "url"
        write(path, url("first"))
        given = Settings(**{**settings.model_dump(), "database_url": None, "database_url_file": path})
        database = open_database(given, send=send, application_name="rotation", pool_size=1, max_overflow=0)

        async def connect() -> None:
            await database.close()  # the next session makes a connection of its own
            async with database.reading() as session:
                await ping(session)

        await connect()
        for password in ("second", "third"):
            write(path, url(password))
            current_secrets(given).refresh("database_url")
        await connect()
        await superuser.execute("ALTER ROLE rotated_twice PASSWORD 'third'")
        await connect()
        write(path, url("fourth"))
        current_secrets(given).refresh("database_url")
        await connect()
        await database.close()


async def test_password_of_redis_changes_and_every_client_goes_on(settings: Settings, tmp_path: Path, clean: None) -> None:
    admin = open_redis(settings)
    place = settings.redis_url.rpartition("@")[2]
    path = tmp_path / "url"
    write(path, f"redis://rotated:first@{place}")
    await acl(admin, "SETUSER", "rotated", "on", ">first", "~*", "&*", "+@all")
    given = Settings(**{**settings.model_dump(), "redis_url": None, "redis_url_file": path})
    client, celery, presence = open_redis(given), create_celery(given), Presence(given, role="worker", name="w")
    broker = Broker(given)

    async def use_all(password: str) -> None:
        """Use every client, each over new connections."""
        assert await client.ping()
        assert await broker.send([Message("tests.nothing", "processing", {})])
        with celery.connection_for_write() as connection, connection.SimpleQueue("rotation") as queue:
            queue.put({"password": password})
            message = queue.get(timeout=30)
            assert message.payload == {"password": password}
            message.ack()
        assert await asyncio.to_thread(celery.backend.client.ping)
        presence.announce()
        assert await count_present(client, role="worker") == 1

    try:
        await use_all("first")
        await acl(admin, "SETUSER", "rotated", ">second")
        write(path, f"redis://rotated:second@{place}")
        await asyncio.sleep(LOOK_EVERY_S)
        await acl(admin, "SETUSER", "rotated", "<first")
        for asynchronous in (client, broker._redis):
            await asynchronous.connection_pool.disconnect()
        for synchronous in (presence._redis, celery.backend.client):
            synchronous.connection_pool.disconnect()
        await use_all("second")
        with pytest.raises(AuthenticationError):
            await Redis.from_url(f"redis://rotated:first@{place}").ping()
    finally:
        await client.aclose()
        await broker.aclose()
        presence.withdraw()
        celery.close()
        await acl(admin, "DELUSER", "rotated")
        await admin.aclose()


async def test_redis_without_a_password_is_sent_none(tmp_path: Path, settings: Settings) -> None:
    from shared.messages.redis_client import CurrentCredentials

    path = tmp_path / "url"
    write(path, "redis://h:1/0")
    given = Settings(**{**settings.model_dump(), "redis_url": None, "redis_url_file": path})
    assert CurrentCredentials(CurrentSecrets(given)).get_credentials() == ()
    write(path, "redis://:p%40ss@h:1/0")
    assert CurrentCredentials(CurrentSecrets(given)).get_credentials() == ("p@ss",)
