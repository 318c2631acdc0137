"""Detect the encoding of a CSV file."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import NamedTuple

import pyarrow as pa

from features.processing.readers.base import Note
from features.processing.readers.csv.legacy_encoding import detect_legacy_encoding
from features.processing.readers.csv.presumed_utf8 import PresumedUtf8
from features.processing.readers.csv.sample_lines import sample_lines
from features.processing.readers.csv.utf8_count import count_unfinished, count_utf8, is_utf8
from features.processing.readers.csv.wide_encoding import detect_wide_encoding
from shared.storage.arrival import Arrival

_HEAD_BYTES = 2**16
_FIRST_LINES_BYTES = 2**12
_BLOCK_BYTES = 2**19
_THREADS = 2
_COUNTED_BYTES = 2**18
_SAMPLED_BLOCKS = 256
_MAX_CONTINUATION_BYTES = 3
_BOMS = (
    # The little-endian mark of UTF-32 begins with that of UTF-16, so it is tried first.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SWITCHING_ENCODINGS = ("iso2022_jp", "iso2022_jp_2", "iso2022_kr")
"""ASCII bytes only; an escape sequence or, in Korean, a shift says that other characters follow."""


class FoundEncoding(NamedTuple):
    """The encoding of a file."""

    name: str
    is_valid_utf8: bool = False
    """All bytes of the file were checked and are valid UTF-8."""
    presumed: PresumedUtf8 | None = None
    """Not all of the file was there, and what was is UTF-8; this looks at the rest as it is read."""
    is_guess: bool = False
    """No mark and no structure says it; it was judged by the letters."""

    @property
    def notes(self) -> tuple[Note, ...]:
        """What the sender should know: that the encoding was guessed, and how to name it."""
        if not self.is_guess:
            return ()
        other = "cp1250" if self.name == "cp1252" else "cp1252"
        message = (
            f"The file does not say in which encoding it is written; it was read as {self.name}. "
            f"If letters look wrong, send the property `encoding` with the right one, such as {other}."
        )
        return (Note(code="encoding-guessed", message=message),)


def detect_encoding(path: Path, arrival: Arrival | None = None) -> FoundEncoding:
    """Detect the encoding of the whole file.

    A byte order mark decides first, then what shows UTF-16. Else it is UTF-8 if nothing in the file contradicts that, or if its multi-byte characters
    outnumber the bytes that belong to none; else the most likely legacy encoding. The whole file is read: once, or twice and in part a third time if it
    is not valid UTF-8; of a file that is still being fetched only the beginning, if that is UTF-8, and the rest is looked at as it is read (`presumed`).
    """
    if arrival is not None:
        arrival.wait(_HEAD_BYTES)
    with path.open("rb", buffering=0) as file:
        head = file.read(_HEAD_BYTES)
    for bom, encoding in _BOMS:
        if head.startswith(bom):
            return FoundEncoding(encoding)
    if wide := detect_wide_encoding(head):
        return FoundEncoding(wide)
    if arrival is not None:
        if _may_presume(head):
            return FoundEncoding("utf-8", presumed=PresumedUtf8(size_bytes=arrival.size_bytes, decide=lambda: _judge_whole(path, head, arrival)))
        arrival.wait_all()
    if is_utf8_file(path):
        switching = _detect_switching_encoding(head)
        return FoundEncoding(switching, is_guess=True) if switching else FoundEncoding("utf-8", is_valid_utf8=True)
    return _judge_bytes(path, head)


def _may_presume(head: bytes) -> bool:
    """Whether a file that begins like this is UTF-8 unless a later byte says otherwise."""
    return b"\x1b" not in head and is_utf8(pa.py_buffer(head[: len(head) - count_unfinished(head)]))


def _judge_whole(path: Path, head: bytes, arrival: Arrival) -> str:
    """Return the encoding of a file that is not valid UTF-8, when all of it is there."""
    arrival.wait_all()
    return _judge_bytes(path, head).name


def is_utf8_file(path: Path) -> bool:
    """Whether all bytes of the file are valid UTF-8; checked in two threads, since the process has nothing else to do yet."""
    invalid = Event()
    with ThreadPoolExecutor(max_workers=_THREADS) as threads:
        list(threads.map(lambda number: _check_blocks(path, number, invalid), range(_THREADS)))
    return not invalid.is_set()


def _check_blocks(path: Path, number: int, invalid: Event) -> None:
    """Check the blocks of one of the threads, and set `invalid` if one of them is not UTF-8; ends early if it is set."""
    # One buffer for all blocks, which stays in the processor's cache: memory that is new for each of them takes a third more time.
    buffer = bytearray(_BLOCK_BYTES + _MAX_CONTINUATION_BYTES)
    data = pa.py_buffer(buffer)
    with path.open("rb", buffering=0) as file:
        for first in range(number * _BLOCK_BYTES, os.fstat(file.fileno()).st_size, _THREADS * _BLOCK_BYTES):
            file.seek(first)
            count = file.readinto(buffer)
            begin, end = _find_characters(memoryview(buffer)[:count], first, _BLOCK_BYTES)
            if invalid.is_set():
                return
            if not is_utf8(data.slice(begin, end - begin)):
                invalid.set()


def _judge_bytes(path: Path, head: bytes) -> FoundEncoding:
    """Return UTF-8 if its characters outnumber the bytes that are none, else the most likely legacy encoding."""
    with path.open("rb", buffering=0) as file, ThreadPoolExecutor(max_workers=_THREADS) as threads:
        descriptor = file.fileno()
        starts = range(0, os.fstat(descriptor).st_size, _COUNTED_BYTES)
        counts = list(threads.map(lambda first: count_utf8(_read_characters(descriptor, first, _COUNTED_BYTES)), starts))
        if sum(count.characters for count in counts) > sum(count.strays for count in counts):
            return FoundEncoding("utf-8")
        odd = [first for first, count in zip(starts, counts, strict=True) if count.strays]
        chosen = odd[:: -(-len(odd) // _SAMPLED_BLOCKS)]
        sample = sample_lines((os.pread(descriptor, _COUNTED_BYTES, first) for first in chosen), count=len(chosen))
    # Of a short table its plain words count as well: they, too, say which language it is.
    return FoundEncoding(detect_legacy_encoding(b"\n".join(dict.fromkeys([*_plain_lines(head), *sample.splitlines()]))), is_guess=True)


def _plain_lines(head: bytes) -> Iterator[bytes]:
    """Yield the whole lines of plain letters at the beginning of the file."""
    lines = head[:_FIRST_LINES_BYTES].splitlines(keepends=True)
    if lines and len(head) > _FIRST_LINES_BYTES and not lines[-1].endswith((b"\n", b"\r")):
        lines.pop()
    return (line.rstrip(b"\r\n") for line in lines if line.isascii())


def _read_characters(descriptor: int, first: int, size_bytes: int) -> bytes:
    """Read the characters that begin in the block at offset `first`."""
    block = os.pread(descriptor, size_bytes + _MAX_CONTINUATION_BYTES, first)
    begin, end = _find_characters(memoryview(block), first, size_bytes)
    return block[begin:end]


def _find_characters(block: memoryview, first: int, size_bytes: int) -> tuple[int, int]:
    """Return where the characters that begin in a block at offset `first` of a file begin and end; `block` has a few more bytes if the file has."""
    return _count_continuation(block, 0) if first else 0, min(len(block), size_bytes + _count_continuation(block, size_bytes))


def _count_continuation(block: memoryview, at: int) -> int:
    count = 0
    while count < _MAX_CONTINUATION_BYTES and at + count < len(block) and block[at + count] & 0xC0 == 0x80:  # noqa: PLR2004 - defined by UTF-8
        count += 1
    return count


def _detect_switching_encoding(head: bytes) -> str | None:
    """Detect ISO 2022: valid ASCII that has its escape sequences, and text behind them."""
    if not head.isascii() or not (b"\x1b$" in head or b"\x1b(" in head):
        return None
    for encoding in _SWITCHING_ENCODINGS:
        try:
            text = codecs.getincrementaldecoder(encoding)().decode(head)
        except UnicodeDecodeError:
            continue
        if not text.isascii():
            return encoding
    return None
