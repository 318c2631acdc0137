"""The marker of stored files."""

from __future__ import annotations

import json
import uuid

import pytest

from shared.storage.base import Storage
from shared.storage.marker import MarkerUnreadable, read_marker, write_marker
from shared.storage.names import MARKER


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"null", b'{"storage_id": 1}', b'{"storage_id": "x"}', b"\x00" * 10_000])
async def test_marker_with_anything_else_in_it_is_called_damaged(empty: Storage, content: bytes) -> None:
    await empty.write_marker(content, replace=True)
    with pytest.raises(MarkerUnreadable):
        await read_marker(empty)


async def test_marker_says_what_it_is_for_and_stays_unless_replaced(empty: Storage) -> None:
    first, second = uuid.uuid4(), uuid.uuid4()
    assert await read_marker(empty) is None
    await write_marker(empty, first)
    await write_marker(empty, second)
    assert await read_marker(empty) == first
    assert "Rowgate" in json.loads(await empty.read_marker() or b"")["about"]
    await write_marker(empty, second, replace=True)
    assert await read_marker(empty) == second
    assert [each async for batch in empty.list_files() for each in batch if each.name != MARKER] == []
