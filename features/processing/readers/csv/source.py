"""A file's bytes as UTF-8, whatever its encoding, in blocks and without the byte order mark.

Bytes that cannot be decoded stay recognisable: in a UTF-8 file they are left as they are; in a file that is transcoded the byte `b` becomes the
lone surrogate U+DC00 + b. Both are invalid UTF-8, so that one later check finds them, and nothing is lost of what the file holds.
"""

from __future__ import annotations

import codecs
import os
from pathlib import Path
from typing import Protocol

from features.processing.readers.base import FileUnreadable
from shared.descriptors.encodings import normalize_encoding

_ESCAPE_HANDLER = "rowgate.undecodable"


def _escape_undecodable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error(_ESCAPE_HANDLER, _escape_undecodable)


class ByteSource(Protocol):
    """UTF-8 bytes, once from the beginning to the end."""

    undecodable: str
    """The `errors` argument with which `bytes.decode("utf-8", …)` turns undecodable bytes into lone surrogates."""
    bytes_total: int
    bytes_read: int
    """Bytes of the file that were taken; with `bytes_total` the progress."""

    def read(self, size_bytes: int) -> bytes:
        """About `size_bytes` more; nothing only at the end."""
        ...

    def read_after(self, rest: bytes, size_bytes: int) -> bytes:
        """`rest`, with which all that was read ends, and about `size_bytes` more behind it; `rest` alone only at the end."""
        ...

    def fork(self) -> ByteSource:
        """A second source over the same file, standing where this one stands."""
        ...

    def close(self) -> None:
        """Close the file; may be called twice."""
        ...


class Utf8Source:
    """A UTF-8 file, passed through."""

    undecodable = "surrogateescape"

    def __init__(self, descriptor: int, *, start_bytes: int | None = None) -> None:
        self._file = _SharedFile(descriptor)
        self.bytes_total = self._file.size_bytes
        if start_bytes is None:
            start_bytes = len(codecs.BOM_UTF8) if self._file.read(len(codecs.BOM_UTF8), at=0) == codecs.BOM_UTF8 else 0
        self.bytes_read = start_bytes

    def read(self, size_bytes: int) -> bytes:
        """See `ByteSource`."""
        block = self._file.read(size_bytes, at=self.bytes_read)
        self.bytes_read += len(block)
        return block

    def read_after(self, rest: bytes, size_bytes: int) -> bytes:
        """See `ByteSource`."""
        # The rest is read again with the block: to put them together would be a copy of the whole block.
        self.bytes_read -= len(rest)
        return self.read(len(rest) + size_bytes)

    def fork(self) -> ByteSource:
        """See `ByteSource`."""
        return Utf8Source(self._file.duplicate(), start_bytes=self.bytes_read)

    def close(self) -> None:
        """See `ByteSource`."""
        self._file.close()


class TranscodedSource:
    """A file of any other encoding, decoded and encoded block by block."""

    undecodable = "surrogatepass"

    def __init__(self, descriptor: int, *, encoding: str) -> None:
        self._file = _SharedFile(descriptor)
        self._encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)(errors=_ESCAPE_HANDLER)
        self._ended = False
        self._started = False
        self.bytes_total = self._file.size_bytes
        self.bytes_read = 0

    def read(self, size_bytes: int) -> bytes:
        """See `ByteSource`."""
        text = ""
        while not text and not self._ended:
            block = self._file.read(size_bytes, at=self.bytes_read)
            self._ended = not block
            self.bytes_read += len(block)
            text = self._decoder.decode(block, final=self._ended)
            if text and not self._started:
                self._started = True
                # The decoders of utf-16-le and the like hand the byte order mark on as a character.
                text = text.removeprefix("\ufeff")
        return text.encode("utf-8", "surrogatepass")

    def read_after(self, rest: bytes, size_bytes: int) -> bytes:
        """See `ByteSource`."""
        return rest + self.read(size_bytes)

    def fork(self) -> ByteSource:
        """See `ByteSource`."""
        fork = TranscodedSource(self._file.duplicate(), encoding=self._encoding)
        fork._decoder.setstate(self._decoder.getstate())
        fork.bytes_read = self.bytes_read
        fork._started, fork._ended = self._started, self._ended
        return fork

    def close(self) -> None:
        """See `ByteSource`."""
        self._file.close()


class _SharedFile:
    """One open file that several sources read, each at its own place: it can be read on when it was unlinked."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor
        self.size_bytes = os.fstat(descriptor).st_size

    def read(self, size_bytes: int, *, at: int) -> bytes:
        """Up to `size_bytes` from the place `at`; nothing only at the end."""
        return os.pread(self._open_descriptor(), size_bytes, at)

    def duplicate(self) -> int:
        """A descriptor of its own for a second source."""
        return os.dup(self._open_descriptor())

    def close(self) -> None:
        """Close the file; may be called twice."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open_descriptor(self) -> int:
        if self._descriptor is None:
            raise ValueError("the file is closed")
        return self._descriptor


_MARKED = {
    "utf-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
    "utf-32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE),
}


def _begins_with_mark(path: Path, marks: tuple[bytes, ...]) -> bool:
    with path.open("rb", buffering=0) as file:
        return file.read(4).startswith(marks)


def open_source(path: Path, *, encoding: str) -> ByteSource:
    """The file's bytes as UTF-8. Raises `FileUnreadable` where `encoding` names no encoding of text."""
    name = normalize_encoding(encoding)
    if name is None:
        raise FileUnreadable(f"The encoding “{encoding[:100]}” is not known. Leave it out, and it is detected; or name another, such as utf-8 or cp1252.")
    if name in _MARKED and not _begins_with_mark(path, _MARKED[name]):
        raise FileUnreadable(
            f"The file does not begin with a byte order mark, as {name.upper()} needs it. "
            f"Leave the encoding out, and it is detected; or name {name}-le or {name}-be.",
        )
    if name in ("utf-8", "utf-8-sig"):
        return Utf8Source(os.open(path, os.O_RDONLY))
    return TranscodedSource(os.open(path, os.O_RDONLY), encoding=name)
