"""Detect the encoding of a CSV file."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
from charset_normalizer import from_bytes

from features.processing.readers.csv.parser import is_utf8

LAST_RESORT = "cp1252"

_LEGACY_ENCODINGS = (
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "iso8859_2", "iso8859_5", "koi8_r"),
    *("cp932", "euc_jp", "gb18030", "big5", "cp949"),
)
_HIGH_BYTE = re.compile(rb"[\x80-\xff]")
_LONE_HIGH_BYTE = re.compile(rb"(?<![\x80-\xff])[\x80-\xff](?![\x80-\xff])")
_BLOCK_BYTES = 2**21
_MAX_CONTINUATION_BYTES = 3
_SAMPLE_BYTES = 2**16
_LINES_PER_BAD_LINE = 1000
_BOMS = (
    # The little-endian mark of UTF-32 begins with that of UTF-16, so it is tried first.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class FoundEncoding(NamedTuple):
    """The encoding of a file."""

    name: str
    is_valid_utf8: bool = False
    """All bytes of the file were checked and are valid UTF-8."""


def detect_encoding(path: Path) -> FoundEncoding:
    """Detect the encoding of the whole file: UTF-8 if at most one line in a thousand is invalid, else the most likely other encoding.

    A byte order mark decides first, then NUL bytes that indicate UTF-16. Otherwise the whole file is read: once, or twice if it is not valid UTF-8.
    """
    with path.open("rb", buffering=0) as file:
        head = file.read(_SAMPLE_BYTES)
    for bom, encoding in _BOMS:
        if head.startswith(bom):
            return FoundEncoding(encoding)
    if wide := _detect_utf16(head):
        return FoundEncoding(wide)
    if is_utf8_file(path):
        return FoundEncoding("utf-8", is_valid_utf8=True)
    bad_share, sample = _sample_bad_lines(path)
    return FoundEncoding("utf-8" if bad_share * _LINES_PER_BAD_LINE <= 1 else detect_legacy_encoding(sample))


def is_utf8_file(path: Path) -> bool:
    """Whether all bytes of the file are valid UTF-8; checked in two threads, since the process has nothing else to do yet."""
    with path.open("rb", buffering=0) as file, ThreadPoolExecutor(max_workers=2) as threads:
        descriptor = file.fileno()
        size_bytes = os.fstat(descriptor).st_size
        return all(threads.map(lambda first: is_utf8(pa.py_buffer(_read_characters(descriptor, first))), range(0, size_bytes, _BLOCK_BYTES)))


def _read_characters(descriptor: int, first: int) -> memoryview:
    """Read the block at offset `first`, cut between characters: continuation bytes at its start belong to the block before it."""
    block = os.pread(descriptor, _BLOCK_BYTES + _MAX_CONTINUATION_BYTES, first)
    return memoryview(block)[_count_continuation(block, 0) if first else 0 : _BLOCK_BYTES + _count_continuation(block, _BLOCK_BYTES)]


def _count_continuation(block: bytes, at: int) -> int:
    count = 0
    while count < _MAX_CONTINUATION_BYTES and at + count < len(block) and block[at + count] & 0xC0 == 0x80:  # noqa: PLR2004 - defined by UTF-8
        count += 1
    return count


def _sample_bad_lines(path: Path) -> tuple[Fraction, bytes]:
    """Return the share of lines that are not UTF-8, and a sample of these lines."""
    lines = bad_lines = sample_bytes = 0
    # Each line is taken once: the same few letters repeated a thousand times look unlike any language.
    sample: dict[bytes, None] = {}
    for block in _read_lines(path):
        lines += max(block.count(b"\n"), block.count(b"\r"))
        if _is_utf8(block):
            continue
        for line in block.splitlines():
            if not _is_utf8(line):
                bad_lines += 1
                if sample_bytes < _SAMPLE_BYTES and line[:_SAMPLE_BYTES] not in sample:
                    sample[line[:_SAMPLE_BYTES]] = None
                    sample_bytes += len(line)
    return Fraction(bad_lines, max(1, lines)), b"\n".join(sample)


def _is_utf8(data: bytes) -> bool:
    return data.isascii() or is_utf8(pa.py_buffer(data))


def detect_legacy_encoding(sample: bytes) -> str:
    """Guess the encoding of non-UTF-8 text; falls back to cp1252."""
    matches = from_bytes(sample, cp_isolation=list(_LEGACY_ENCODINGS))
    best = matches.best()
    if best is None:
        return LAST_RESORT
    if _is_latin(sample):
        # Isolated accented letters fit many code pages; any code page but cp1252 must read more like a language than cp1252 does.
        usual = max((match.coherence for match in matches if match.encoding == LAST_RESORT), default=0.0)
        if best.coherence <= usual:
            return LAST_RESORT
    return codecs.lookup(best.encoding).name


def _is_latin(sample: bytes) -> bool:
    """Whether most non-ASCII bytes stand alone, as accented letters do between plain ones."""
    high = len(_HIGH_BYTE.findall(sample))
    return len(_LONE_HIGH_BYTE.findall(sample)) * 10 > high * 7


def _detect_utf16(head: bytes) -> str | None:
    """Detect UTF-16 without a byte order mark: if the text is mostly ASCII, every other byte is NUL."""
    even, odd = head[0::2], head[1::2]
    if len(odd) < 2:  # noqa: PLR2004 - too short to tell
        return None
    if odd.count(0) > len(odd) * 0.7 and even.count(0) < len(even) * 0.1:
        return "utf-16-le"
    if even.count(0) > len(even) * 0.7 and odd.count(0) < len(odd) * 0.1:
        return "utf-16-be"
    return None


def _read_lines(path: Path) -> Iterator[bytes]:
    """Yield the file in blocks that end with a line break; if lines are longer than blocks, at least not within a UTF-8 character."""
    rest = b""
    with path.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK_BYTES):
            end = max(block.rfind(b"\n"), block.rfind(b"\r")) + 1
            if not end:
                if len(rest) < 2 * _BLOCK_BYTES:
                    rest += block
                    continue
                end = len(block)
                while end > len(block) - 4 and end and block[end - 1] & 0xC0 == 0x80:  # noqa: PLR2004 - continuation bytes, at most 3 after a lead byte
                    end -= 1
                end -= bool(end and block[end - 1] >= 0xC0)  # noqa: PLR2004 - the lead byte
            yield rest + block[:end]
            rest = block[end:]
    if rest:
        yield rest
