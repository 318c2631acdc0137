"""Detects the encoding of a CSV file."""

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
    # UTF-32's little-endian mark begins with UTF-16's.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class FoundEncoding(NamedTuple):
    """What a file's bytes are."""

    name: str
    is_valid_utf8: bool = False
    """All of them were seen to be UTF-8."""


def detect_encoding(path: Path) -> FoundEncoding:
    """The encoding of the whole file, which is read once: UTF-8 where at most one line in a thousand is not, else the likeliest other one."""
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
    """Whether all bytes of the file are valid UTF-8; two threads look, since nobody else has anything to do yet."""
    with path.open("rb", buffering=0) as file, ThreadPoolExecutor(max_workers=2) as threads:
        descriptor = file.fileno()
        size_bytes = os.fstat(descriptor).st_size
        return all(threads.map(lambda first: is_utf8(pa.py_buffer(_read_characters(descriptor, first))), range(0, size_bytes, _BLOCK_BYTES)))


def _read_characters(descriptor: int, first: int) -> memoryview:
    """The block at `first`; bytes at its head that belong to a character begun before it are the block's before it."""
    block = os.pread(descriptor, _BLOCK_BYTES + _MAX_CONTINUATION_BYTES, first)
    return memoryview(block)[_count_continuation(block, 0) if first else 0 : _BLOCK_BYTES + _count_continuation(block, _BLOCK_BYTES)]


def _count_continuation(block: bytes, at: int) -> int:
    count = 0
    while count < _MAX_CONTINUATION_BYTES and at + count < len(block) and block[at + count] & 0xC0 == 0x80:  # noqa: PLR2004 - as UTF-8 has it
        count += 1
    return count


def _sample_bad_lines(path: Path) -> tuple[Fraction, bytes]:
    """The share of lines that are not UTF-8, and some of them."""
    lines = bad_lines = sample_bytes = 0
    # Each line once: the same few letters a thousand times over look unlike any language.
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
    """The likeliest encoding of text that is not UTF-8; cp1252 where it cannot be told."""
    matches = from_bytes(sample, cp_isolation=list(_LEGACY_ENCODINGS))
    best = matches.best()
    if best is None:
        return LAST_RESORT
    if _is_latin(sample):
        # Single letters with accents fit many code pages; another one than the usual must read more like a language.
        usual = max((match.coherence for match in matches if match.encoding == LAST_RESORT), default=0.0)
        if best.coherence <= usual:
            return LAST_RESORT
    return codecs.lookup(best.encoding).name


def _is_latin(sample: bytes) -> bool:
    """Whether bytes past ASCII mostly stand alone, as accented letters do between plain ones."""
    high = len(_HIGH_BYTE.findall(sample))
    return len(_LONE_HIGH_BYTE.findall(sample)) * 10 > high * 7


def _detect_utf16(head: bytes) -> str | None:
    """UTF-16 without its mark: mostly ASCII, so that every other byte is NUL."""
    even, odd = head[0::2], head[1::2]
    if len(odd) < 2:  # noqa: PLR2004 - too short to tell
        return None
    if odd.count(0) > len(odd) * 0.7 and even.count(0) < len(even) * 0.1:
        return "utf-16-le"
    if even.count(0) > len(even) * 0.7 and odd.count(0) < len(odd) * 0.1:
        return "utf-16-be"
    return None


def _read_lines(path: Path) -> Iterator[bytes]:
    """The file in blocks that end with a line, where lines are not longer than a block; else at least not within a UTF-8 character."""
    rest = b""
    with path.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK_BYTES):
            end = max(block.rfind(b"\n"), block.rfind(b"\r")) + 1
            if not end:
                if len(rest) < 2 * _BLOCK_BYTES:
                    rest += block
                    continue
                end = len(block)
                while end > len(block) - 4 and end and block[end - 1] & 0xC0 == 0x80:  # noqa: PLR2004 - continuation bytes, at most 3 behind a lead
                    end -= 1
                end -= bool(end and block[end - 1] >= 0xC0)  # noqa: PLR2004 - the lead byte
            yield rest + block[:end]
            rest = block[end:]
    if rest:
        yield rest
