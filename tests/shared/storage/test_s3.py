"""A store that speaks S3: what goes wrong there, and what only it can do."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from shared.storage.arrival import Arrival, FetchStopped
from shared.storage.base import StoreAway, StoreRefuses, is_disk_full
from shared.storage.fetch import RANGE_BYTES, Fetch
from shared.storage.location import Bucket
from shared.storage.s3 import S3Storage
from shared.storage.s3_unfinished import UnfinishedUploads
from shared.storage.scratch import PREFIX, remove_leftovers, scratch_folder
from tests.faults.store_proxy import Action, StoreProxy


@pytest.mark.parametrize(
    ("change", "kind", "says"),
    [
        ({"read_secret": lambda: "wrong"}, StoreRefuses, "refuses these credentials"),
        ({"access_key_id": "nobody"}, StoreRefuses, "refuses these credentials"),
        ({"name": "no-such-bucket"}, StoreRefuses, "no such bucket"),
        ({"endpoint": "http://127.0.0.1:1"}, StoreAway, "not reached"),
    ],
)
async def test_what_is_wrong_is_told_without_addresses_and_keys(bucket: Bucket, change: dict[str, object], kind: type[OSError], says: str) -> None:
    storage = S3Storage(replace(bucket, **change), spill_dir=None)  # type: ignore[arg-type]  # as parametrized
    # A HEAD has no body that would tell one 404 from another, and a store may make a bucket for whoever writes.
    for attempt in (storage.read_marker,) if "bucket" in says else (storage.read_marker, storage.read_clock, lambda: storage.measure_file("a.csv")):
        with pytest.raises(kind, match=says) as caught:
            await attempt()
        assert "127.0.0.1" not in str(caught.value)
    unfinished = UnfinishedUploads(replace(bucket, **change))  # type: ignore[arg-type]  # as above
    with pytest.raises(kind, match=says):
        await unfinished.abort_untouched(untouched_s=0, now=time.time())


async def test_secret_that_changes_is_used_from_then_on(bucket: Bucket) -> None:
    secrets = ["wrong"]
    storage = S3Storage(replace(bucket, read_secret=lambda: secrets[0]), spill_dir=None)
    with pytest.raises(StoreRefuses):
        await storage.read_marker()
    secrets[0] = bucket.read_secret() or ""
    assert await storage.read_marker() is None


async def test_signed_address_gives_the_file_and_its_name_and_nothing_else(bucket: Bucket, tmp_path: Path) -> None:
    storage = S3Storage(replace(bucket, redirects=True), spill_dir=tmp_path)
    (tmp_path / "a").write_bytes(b"id\n1\n")
    await storage.put_file(
        tmp_path / "a", "outputs/x/a-1-valid.csv", headers={"Content-Type": "text/csv", "Content-Disposition": 'attachment; filename="a.csv"'}
    )
    url = await storage.sign_url("outputs/x/a-1-valid.csv", lasts_s=60)
    assert url is not None
    async with httpx.AsyncClient() as client:
        answer = await client.get(url, headers={"Range": "bytes=3-"})
        assert (answer.status_code, answer.content) == (206, b"1\n")
        assert answer.headers["content-type"] == "text/csv"
        assert answer.headers["content-disposition"] == 'attachment; filename="a.csv"'
        assert (await client.get(url.replace("valid.csv", "other.csv"))).status_code == 403
    assert await S3Storage(bucket, spill_dir=None).sign_url("a", lasts_s=60) is None


async def test_store_that_stops_answering_is_away_in_bounded_time(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import timedelta

    from shared.storage import s3

    monkeypatch.setattr(s3, "SILENCE", timedelta(seconds=0.3))
    monkeypatch.setattr(s3, "RETRIES", 1)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(10)
        storage = S3Storage(replace(bucket, endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}"), spill_dir=None)
        async with asyncio.timeout(10):
            with pytest.raises(StoreAway):
                await storage.read_marker()
            writer = storage.open_writer("a.csv")
            writer.take(memoryview(bytes(6 * 2**20)))
            with pytest.raises(StoreAway):
                for _ in range(5):
                    await writer.drain()
                    writer.take(memoryview(bytes(6 * 2**20)))
                await writer.finish()
            await writer.discard()


@pytest.mark.parametrize(
    ("action", "kind", "says"),
    [("error", StoreAway, "error"), ("forbid", StoreRefuses, "credentials"), ("skew", StoreRefuses, "clock"), ("full", OSError, "no room")],
)
async def test_what_a_store_answers_is_told_for_what_it_is(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: Action, kind: type[OSError], says: str
) -> None:
    from shared.storage import s3

    monkeypatch.setattr(s3, "RETRIES", 0)
    (tmp_path / "a").write_bytes(b"id\n1\n")
    with closing(StoreProxy(str(bucket.endpoint))) as proxy, proxy.failing(action):
        storage = S3Storage(replace(bucket, endpoint=proxy.url), spill_dir=None)
        with pytest.raises(kind, match=says) as caught:
            await storage.put_file(tmp_path / "a", "a.csv", headers={})
    assert is_disk_full(caught.value) is (action == "full")
    assert "127.0.0.1" not in str(caught.value)


def test_reader_waits_for_what_it_reads_and_hears_why_no_more_comes() -> None:
    arrival = Arrival(100, must_stop=lambda: False)
    arrival.note(10, 30)
    arrival.note(0, 10)
    arrival.wait(30)
    threading.Timer(0.1, arrival.note, (30, 60)).start()
    arrival.wait(60)
    threading.Timer(0.1, arrival.fail, (StoreAway("away"),)).start()
    with pytest.raises(StoreAway):
        arrival.wait(61)
    arrival.wait(60)
    with pytest.raises(FetchStopped):
        Arrival(5, must_stop=lambda: True).wait_all()


def test_fetch_that_fails_in_one_range_tells_the_reader_and_ends(tmp_path: Path) -> None:
    def stream(begin: int, end: int) -> Iterator[bytes]:
        if begin == RANGE_BYTES:
            raise StoreAway("away")
        yield bytes(end - begin)

    arrival = Arrival(3 * RANGE_BYTES, must_stop=lambda: False)
    fetch = Fetch(stream, tmp_path / "a", arrival, parts_at_once=2)
    fetch.start()
    with pytest.raises(StoreAway):
        arrival.wait_all()
    fetch.close()


def test_answer_that_is_too_short_is_a_fault_of_the_store(tmp_path: Path) -> None:
    arrival = Arrival(100, must_stop=lambda: False)
    fetch = Fetch(lambda _begin, _end: iter([bytes(50)]), tmp_path / "a", arrival, parts_at_once=2)
    fetch.start()
    with pytest.raises(StoreAway, match="less than the file has") as caught:
        arrival.wait_all()
    assert caught.value.errno == errno.EIO
    fetch.close()


def test_file_that_has_no_room_is_not_begun(tmp_path: Path) -> None:
    fetch = Fetch(lambda _begin, _end: iter(()), tmp_path / "a", Arrival(2**62, must_stop=lambda: False), parts_at_once=2)
    with pytest.raises(OSError, match="no room") as caught:
        fetch.start()
    assert caught.value.errno == errno.ENOSPC
    fetch.close()


def test_scratch_of_a_process_that_died_is_removed_and_that_of_the_living_is_not(tmp_path: Path) -> None:
    (tmp_path / f"{PREFIX}dead").mkdir()
    (tmp_path / f"{PREFIX}dead" / "file").write_bytes(b"x")
    with scratch_folder(tmp_path) as folder:
        if not (child := os.fork()):
            os._exit(remove_leftovers(tmp_path))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
        assert folder.is_dir()
        assert [path.name for path in tmp_path.iterdir()] == [folder.name]
    assert list(tmp_path.iterdir()) == []
