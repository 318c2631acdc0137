"""However the network cuts a body into packets, the same file and fields come out (Hypothesis)."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from features.upload.form import FormParser, Part
from features.upload.receive import receive_file
from shared.settings import Settings
from shared.storage.location import open_storage
from shared.storage.names import name_file

BOUNDARY = "bound-ary"
DELIMITER = f"\r\n--{BOUNDARY}".encode()
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
ALMOST = [
    *(DELIMITER[:length] for length in range(1, len(DELIMITER))),
    *(b"\r" + DELIMITER[:-1], DELIMITER[1:], DELIMITER[2:], b"--", b"\n", b"x", b"1,2\n", b"\xff\x00"),
]
"""Bytes that look like the end of the file but are not."""
CONTENTS = st.lists(st.one_of(st.sampled_from(ALMOST), st.binary(max_size=20)), max_size=30).map(b"".join).filter(lambda data: DELIMITER not in data)
CUTS = st.lists(st.floats(0, 1, exclude_max=True), max_size=40)


def make_body(content: bytes, *, before: bytes, after: bytes) -> bytes:
    def part(parameters: str, data: bytes) -> bytes:
        return f"--{BOUNDARY}\r\nContent-Disposition: form-data; {parameters}\r\n\r\n".encode() + data + b"\r\n"

    parts = part('name="before"', before) + part('name="file"; filename="a.csv"', content) + part('name="after"', after)
    return parts + f"--{BOUNDARY}--\r\n".encode()


def cut(body: bytes, cuts: Sequence[float]) -> list[bytes]:
    places = sorted({0, len(body), *(int(place * len(body)) for place in cuts)})
    return [body[start:end] for start, end in pairwise(places)]


def parse(pieces: Sequence[bytes]) -> tuple[bytes, dict[str, bytes]]:
    taken: list[bytes] = []

    def refuse(_: Part) -> None:
        raise AssertionError

    form = FormParser(CONTENT_TYPE, on_file=lambda _: None, on_file_data=lambda data: taken.append(bytes(data)), on_large_field=refuse)
    for piece in pieces:
        form.feed(piece)
    form.close()
    return b"".join(taken), {field.name: bytes(field.value) for field in form.fields}


@settings(max_examples=400, deadline=None)
@given(content=CONTENTS, before=CONTENTS, after=CONTENTS, cuts=CUTS)
def test_any_split_gives_the_same_form(content: bytes, before: bytes, after: bytes, cuts: list[float]) -> None:
    body = make_body(content, before=before, after=after)
    assert parse(cut(body, cuts)) == (content, {"before": before, "after": after})


@pytest.mark.parametrize("content", [b"1,2\n" * 40 + DELIMITER[:-1] + b"x\r\n", b"\r\n--" * 30, b"\r" * 50])
def test_byte_by_byte_and_at_every_single_place(content: bytes) -> None:
    body = make_body(content, before=b"", after=DELIMITER[:-1])
    whole = content, {"before": b"", "after": DELIMITER[:-1]}
    assert parse([body[at : at + 1] for at in range(len(body))]) == whole
    for place in range(1, len(body)):
        assert parse([body[:place], body[place:]]) == whole


def test_file_that_holds_its_own_boundary_ends_there() -> None:
    """As in every parser (RFC 2046, section 5.1.1): the client chose its boundary badly, and the rest is not a part."""
    taken, _ = parse([make_body(b"1,2\n" + DELIMITER + b'\r\nContent-Disposition: form-data; name="more"\r\n\r\n3', before=b"", after=b"")])
    assert taken == b"1,2\n"


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(content=CONTENTS, times=st.sampled_from([1, 1, 100, 30_000]), cuts=CUTS)
def test_any_split_gives_the_same_file_on_disk(settings: Settings, content: bytes, times: int, cuts: list[float]) -> None:
    content = b"id\n" + content * times
    assume(DELIMITER not in content)
    pieces = cut(make_body(content, before=b"", after=b"").replace(b'name="before"', b'name="schema"').replace(b'name="after"', b'name="encoding"'), cuts)

    async def stream() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    received = asyncio.run(receive_file(stream(), content_type=CONTENT_TYPE, settings=settings, storage=open_storage(settings)))
    path: Path = settings.upload_folder / name_file(received.job_id, received.filename)
    assert path.read_bytes() == content
    assert (received.size, received.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    path.unlink()
