"""What a store of files promises, in both homes."""

from __future__ import annotations

import asyncio
import hashlib
import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.storage import s3_writer
from shared.storage.base import HEAD_BYTES, AsyncFile, Storage, read_in_blocks
from shared.storage.folder import FolderStorage
from shared.storage.names import name_file, name_output, name_outputs
from shared.storage.s3 import S3Storage
from shared.storage.s3_reading import PAGE_BYTES
from shared.storage.s3_unfinished import UnfinishedUploads

PART = s3_writer.PART_BYTES
JOB = uuid.UUID(int=7)
NAME = name_file(JOB, "a.csv")


async def write(storage: Storage, name: str, content: bytes, *, step: int = 2**16) -> str:
    writer = storage.open_writer(name)
    for start in range(0, len(content), step):
        writer.take(memoryview(content[start : start + step]))
        await writer.drain()
    assert writer.size == len(content)
    assert writer.head == content[:HEAD_BYTES]
    return await writer.finish()


async def read_all(storage: Storage, name: str) -> bytes:
    async with storage.open_file(name) as file:
        return b"".join([block async for block in _blocks(file)])


async def _blocks(file: AsyncFile) -> AsyncIterator[bytes]:
    while block := await file.read(100_000):
        yield block


async def list_names(storage: Storage) -> list[str]:
    return sorted([found.name async for files in storage.list_files() for found in files])


def list_scratch(folder: Path) -> list[Path]:
    return list(folder.glob("rowgate-scratch-*"))


async def count_unfinished(storage: Storage) -> int:
    """Return how many uploads are there that are no files."""
    if isinstance(storage, FolderStorage):
        return len([path for path in storage.folder.iterdir() if path.name.endswith(".part")])
    assert isinstance(storage, S3Storage)
    return await UnfinishedUploads(storage._bucket).count()


@pytest.mark.parametrize("size", [0, 1, 2**16, PART - 1, PART, PART + 1, 3 * PART + 12_345])
async def test_file_that_was_written_as_it_came_is_read_as_it_was(empty: Storage, size: int) -> None:
    content = os.urandom(size)
    assert await write(empty, NAME, content, step=70_001) == hashlib.sha256(content).hexdigest()
    assert await empty.measure_file(NAME) == size
    assert await read_all(empty, NAME) == content
    assert await list_names(empty) == [NAME]
    assert await count_unfinished(empty) == 0


@pytest.mark.parametrize("size", [0, 10, PART + 10, 3 * PART])
@pytest.mark.parametrize("is_finished", [False, True])
async def test_nothing_is_left_of_a_file_that_was_discarded(empty: Storage, size: int, is_finished: bool) -> None:
    writer = empty.open_writer(NAME)
    for _ in range(0, size, 2**20):
        writer.take(memoryview(bytes(min(size, 2**20))))
        await writer.drain()
    if is_finished:
        await writer.finish()
    await writer.discard()
    assert await empty.measure_file(NAME) is None
    assert await list_names(empty) == []
    assert await count_unfinished(empty) == 0


async def test_finishing_that_is_cancelled_can_be_discarded(empty: Storage) -> None:
    writer = empty.open_writer(NAME)
    writer.take(memoryview(bytes(PART + 1)))
    await writer.drain()
    finishing = asyncio.create_task(writer.finish())
    await asyncio.sleep(0)
    finishing.cancel()
    await asyncio.wait([finishing])
    await writer.discard()
    assert await list_names(empty) == []
    assert await count_unfinished(empty) == 0


async def test_many_files_at_once_keep_apart(empty: Storage) -> None:
    contents = {name_file(uuid.UUID(int=number), "a.csv"): bytes([number]) * (number * 300_000 + 1) for number in range(1, 25)}
    hashes = await asyncio.gather(*(write(empty, name, content) for name, content in contents.items()))
    assert hashes == [hashlib.sha256(content).hexdigest() for content in contents.values()]
    assert await list_names(empty) == sorted(contents)


async def test_pieces_are_read_from_any_place(empty: Storage) -> None:
    content = os.urandom(3 * PAGE_BYTES + 77)
    await write(empty, NAME, content)
    reader = await asyncio.to_thread(empty.open_reader, NAME)
    assert reader.size_bytes == len(content)
    for at, size in (
        (0, 10),
        (PAGE_BYTES - 5, 10),
        (PAGE_BYTES, 1),
        (2 * PAGE_BYTES - 1, PAGE_BYTES + 2),
        (len(content) - 3, 100),
        (len(content), 5),
        (0, 10**9),
    ):
        assert await asyncio.to_thread(reader.read, size, at=at) == content[at : at + size]
    reader.close()
    with read_in_blocks(empty.open_reader(NAME), block_bytes=1000) as file:
        assert file.seek(0, os.SEEK_END) == len(content)
        file.seek(0)
        assert b"".join(iter(lambda: file.read(777), b"")) == content
        file.seek(0)
        assert len(file.read(1777)) == 1777  # as `tarfile` needs it: fewer only at the end


async def test_long_pieces_are_sent_from_any_place(empty: Storage) -> None:
    content = os.urandom(2**20)
    await write(empty, NAME, content)
    async with empty.open_file(NAME) as file:
        assert await file.read(100) == content[:100]
        assert await file.seek(500_000) == 500_000
        assert await file.read(300_000) == content[500_000:800_000]
        assert await file.seek(10) == 10
        assert await file.read(5) == content[10:15]
        assert await file.seek(2**20 - 4) == 2**20 - 4
        assert await file.read(100) == content[-4:]
        assert await file.read(100) == b""


async def test_file_that_is_missing_is_told(empty: Storage) -> None:
    assert await empty.measure_file(NAME) is None
    with pytest.raises(FileNotFoundError):
        await asyncio.to_thread(empty.open_reader, NAME)
    with pytest.raises(FileNotFoundError):
        await empty.copy(NAME, "b.csv")
    with pytest.raises(FileNotFoundError):
        await empty.move_to_trash(NAME)
    with pytest.raises(FileNotFoundError):
        async with empty.checkout(NAME, must_stop=lambda: False):
            pass
    await empty.remove(NAME)
    await empty.remove(name_outputs(JOB))


@pytest.mark.parametrize("size", [0, 10, 45 * 2**20])
async def test_file_is_checked_out_whole(empty: Storage, size: int) -> None:
    content = os.urandom(size)
    await write(empty, NAME, content)
    async with empty.checkout(NAME, must_stop=lambda: False) as file:
        if file.arrival is not None:
            await asyncio.to_thread(file.arrival.wait_all)
        assert await asyncio.to_thread(file.path.read_bytes) == content
        assert file.path.name == NAME
        path = file.path
    assert path.exists() is isinstance(empty, FolderStorage)


async def test_copy_and_source_are_removed_alone(empty: Storage) -> None:
    other = name_file(uuid.UUID(int=8), "a.csv")
    await write(empty, NAME, b"a\n1\n")
    await empty.copy(NAME, other)
    await empty.remove(NAME)
    assert await read_all(empty, other) == b"a\n1\n"
    assert await list_names(empty) == [other]


async def test_outputs_lie_in_a_folder_of_their_job(empty: Storage, tmp_path: Path) -> None:
    names = [name_output(job_id=JOB, output_id=uuid.UUID(int=number), claim=1, name="valid.csv") for number in range(3)]
    other = name_output(job_id=uuid.UUID(int=9), output_id=uuid.UUID(int=9), claim=1, name="valid.csv")
    for name in (*names, other):
        async with empty.make_workplace(name) as folder:
            (folder / "valid.csv").write_bytes(name.encode())
            await empty.put_file(folder / "valid.csv", name, headers={"Content-Type": "text/csv"})
        assert not folder.exists()
    assert await read_all(empty, other) == other.encode()
    assert sorted(await empty.list_outputs_of(JOB)) == sorted(names)
    assert sorted([found.name async for files in empty.list_outputs() for found in files]) == sorted([*names, other])
    assert await list_names(empty) == []
    await empty.remove(name_outputs(JOB))
    assert [found.name async for files in empty.list_outputs() for found in files] == [other]
    assert list_scratch(tmp_path) == []


async def test_trash_is_kept_for_days_and_then_emptied(empty: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    await write(empty, NAME, b"a\n1\n")
    await empty.move_to_trash(NAME)
    assert await empty.measure_file(NAME) is None
    assert await list_names(empty) == []
    assert await empty.empty_trash(days=7) == 0
    assert await empty.empty_trash(days=-2) == 1
    assert await empty.empty_trash(days=-2) == 0


async def test_listing_tells_when_a_file_was_written_by_the_clock_of_the_store(empty: Storage) -> None:
    before = await empty.read_clock()
    await write(empty, NAME, b"a")
    after = await empty.read_clock()
    [found] = [found async for files in empty.list_files() for found in files]
    assert before - 1 <= found.changed_at <= after + 1  # a store may count whole seconds
    assert await list_names(empty) == [NAME]


async def test_upload_that_died_is_removed_when_nothing_was_added_to_it_for_a_while(empty: Storage) -> None:
    writer = empty.open_writer(NAME)
    writer.take(memoryview(bytes(2 * PART)))
    await writer.drain()
    while await count_unfinished(empty) == 0:
        await asyncio.sleep(0.05)
    assert await empty.remove_unfinished(untouched_s=900) == 0
    assert await count_unfinished(empty) == 1
    assert await empty.remove_unfinished(untouched_s=-5) == 1
    assert await count_unfinished(empty) == 0
    await writer.discard()


async def test_restored_file_takes_no_name_that_is_taken(empty: Storage, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(PART + 5))
    for name in (NAME, name_output(job_id=JOB, output_id=JOB, claim=1, name="valid.csv")):
        with source.open("rb") as file:
            await asyncio.to_thread(empty.restore_file, name, file)
        assert await read_all(empty, name) == source.read_bytes()
        with source.open("rb") as file, pytest.raises(FileExistsError):
            await asyncio.to_thread(empty.restore_file, name, file)
    await asyncio.to_thread(empty.finish_restore)


async def test_it_can_be_written_and_nothing_is_left_of_the_proof(empty: Storage) -> None:
    await empty.require_writable()
    assert await list_names(empty) == []
