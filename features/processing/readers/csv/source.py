"""Read a file of any encoding as UTF-8 bytes, in blocks and without the byte order mark.

Bytes that cannot be decoded stay recognisable: in a UTF-8 file they are left as they are; in a file that is transcoded the byte `b` becomes the
lone surrogate U+DC00 + b. Both are invalid UTF-8, so one later check finds them, and nothing in the file is lost.
"""

from __future__ import annotations

import codecs
import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

from features.processing.readers.base import FileUnreadable
from features.processing.readers.csv.presumed_utf8 import PresumedUtf8
from shared.descriptors.encodings import normalize_encoding
from shared.storage.arrival import Arrival

Translation: TypeAlias = Callable[[bytes, bool], tuple[bytes, bytes]]
"""Translates bytes, of which the last follow if the second argument is true, into others, and what has to wait for more bytes."""
ESCAPE_HANDLER = "rowgate.undecodable"
_NO_SENDFILE = (errno.EINVAL, errno.ENOSYS, errno.ENOTSOCK, errno.EOPNOTSUPP)
"""What systems and file systems say that cannot copy from file to file by themselves."""
_COPY_BYTES = 2**20


def _escape_undecodable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error(ESCAPE_HANDLER, _escape_undecodable)


class ByteSource(Protocol):
    """UTF-8 bytes, read once from beginning to end."""

    undecodable: str
    """The `errors` argument that makes `bytes.decode("utf-8", …)` turn undecodable bytes into lone surrogates."""
    bytes_total: int

    @property
    def bytes_read(self) -> int:
        """Bytes of the file read so far; divided by `bytes_total` it gives the progress."""
        ...

    def read(self, size_bytes: int) -> bytes:
        """Return about `size_bytes` more bytes; empty only at the end."""
        ...

    def read_after(self, rest: bytes, size_bytes: int) -> bytes:
        """Return `rest`, the tail of what has been read so far, followed by about `size_bytes` more; `rest` alone only at the end."""
        ...

    def fork(self) -> ByteSource:
        """Return a second source over the same file, at the same position."""
        ...

    def describe_raw(self) -> tuple[SharedFile, str, Sequence[Translation]]:
        """Return the file on a descriptor of its own, its encoding, and how the decoded bytes are translated, one after the other."""
        ...

    def close(self) -> None:
        """Close the file; may be called twice."""
        ...


class Utf8Source:
    """A UTF-8 file, passed through unchanged."""

    undecodable = "surrogateescape"

    def __init__(self, file: SharedFile, *, start_bytes: int | None = None, presumed: PresumedUtf8 | None = None) -> None:
        """`presumed`: what looks at the bytes of a file that only seems to be UTF-8."""
        self._file, self._presumed = file, presumed
        self.bytes_total = self._file.size_bytes
        if start_bytes is None:
            start_bytes = len(codecs.BOM_UTF8) if self._file.read(len(codecs.BOM_UTF8), at=0) == codecs.BOM_UTF8 else 0
        self.bytes_read = start_bytes

    def read(self, size_bytes: int) -> bytes:
        """See `ByteSource`."""
        block = self._file.read(size_bytes, at=self.bytes_read)
        if self._presumed is not None:
            self._presumed.check(block, at=self.bytes_read)
        self.bytes_read += len(block)
        return block

    def read_after(self, rest: bytes, size_bytes: int) -> bytes:
        """See `ByteSource`."""
        # The rest is read again together with the block: joining the two would copy the whole block.
        self.bytes_read -= len(rest)
        return self.read(len(rest) + size_bytes)

    def fork(self) -> ByteSource:
        """See `ByteSource`."""
        return Utf8Source(self._file.share(), start_bytes=self.bytes_read)

    def describe_raw(self) -> tuple[SharedFile, str, Sequence[Translation]]:
        """See `ByteSource`."""
        return self._file.share(), "utf-8", ()

    def close(self) -> None:
        """See `ByteSource`."""
        self._file.close()


class TranscodedSource:
    """A file in any other encoding, decoded and encoded as UTF-8 block by block."""

    undecodable = "surrogatepass"

    def __init__(self, file: SharedFile, *, encoding: str) -> None:
        self._file = file
        self._encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)(errors=ESCAPE_HANDLER)
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
                # The decoders of utf-16-le and similar encodings return the byte order mark as a character.
                text = text.removeprefix("\ufeff")
        return text.encode("utf-8", "surrogatepass")

    def read_after(self, rest: bytes, size_bytes: int) -> bytes:
        """See `ByteSource`."""
        return rest + self.read(size_bytes)

    def fork(self) -> ByteSource:
        """See `ByteSource`."""
        fork = TranscodedSource(self._file.share(), encoding=self._encoding)
        fork._decoder.setstate(self._decoder.getstate())
        fork.bytes_read = self.bytes_read
        fork._started, fork._ended = self._started, self._ended
        return fork

    def describe_raw(self) -> tuple[SharedFile, str, Sequence[Translation]]:
        """See `ByteSource`."""
        return self._file.share(), self._encoding, ()

    def close(self) -> None:
        """See `ByteSource`."""
        self._file.close()


class TranslatedSource:
    """Another source whose bytes are translated on the way, block by block."""

    def __init__(self, source: ByteSource, translate: Translation, *, rest: bytes = b"") -> None:
        self._source, self._translate, self._rest = source, translate, rest
        self.undecodable = source.undecodable
        self.bytes_total = source.bytes_total

    @property
    def bytes_read(self) -> int:
        """See `ByteSource`."""
        return self._source.bytes_read

    def read(self, size_bytes: int) -> bytes:
        """See `ByteSource`."""
        while True:
            block = self._source.read(size_bytes)
            data, self._rest = self._translate(self._rest + block, not block)
            if data or not block:
                return data

    def read_after(self, rest: bytes, size_bytes: int) -> bytes:
        """See `ByteSource`."""
        return rest + self.read(size_bytes)

    def fork(self) -> ByteSource:
        """See `ByteSource`."""
        return TranslatedSource(self._source.fork(), self._translate, rest=self._rest)

    def describe_raw(self) -> tuple[SharedFile, str, Sequence[Translation]]:
        """See `ByteSource`."""
        file, encoding, translations = self._source.describe_raw()
        return file, encoding, [*translations, self._translate]

    def close(self) -> None:
        """See `ByteSource`."""
        self._source.close()


class SharedFile:
    """An open file that several sources read, each at its own position; it stays readable after it is unlinked."""

    def __init__(self, descriptor: int, *, arrival: Arrival | None = None) -> None:
        """`arrival`: how much of it is there; whoever reads waits for the rest."""
        self._descriptor: int | None = descriptor
        self._arrival = arrival
        self.size_bytes = os.fstat(descriptor).st_size

    def read(self, size_bytes: int, *, at: int) -> bytes:
        """Return up to `size_bytes` from position `at`; empty only at the end. Raises `OSError`."""
        if self._arrival is not None:
            self._arrival.wait(at + size_bytes)
        return os.pread(self._open_descriptor(), size_bytes, at)

    def copy(self, begin: int, end: int, target: int) -> None:
        """Write the bytes between two positions to the descriptor `target`. Raises `OSError`."""
        source = self._open_descriptor()
        if self._arrival is not None:
            self._arrival.wait(end)
        while begin < end:
            try:
                count = os.sendfile(target, source, begin, end - begin)
            except OSError as error:
                if error.errno not in _NO_SENDFILE:
                    raise
                count = os.write(target, os.pread(source, min(_COPY_BYTES, end - begin), begin))
            if not count:
                raise OSError("the file has become shorter while it was read")
            begin += count

    def share(self) -> SharedFile:
        """Return the same file on a descriptor of its own, for a second source."""
        return SharedFile(os.dup(self._open_descriptor()), arrival=self._arrival)

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


def _begins_with_mark(path: Path, marks: tuple[bytes, ...], arrival: Arrival | None) -> bool:
    if arrival is not None:
        arrival.wait(4)
    with path.open("rb", buffering=0) as file:
        return file.read(4).startswith(marks)


def open_source(path: Path, *, encoding: str, arrival: Arrival | None = None, presumed: PresumedUtf8 | None = None) -> ByteSource:
    """Open the file as UTF-8 bytes.

    Raises `FileUnreadable` if `encoding` is not a known text encoding, or if it is UTF-16 or UTF-32 and the byte order mark that it needs is missing.
    """
    name = normalize_encoding(encoding)
    if name is None:
        raise FileUnreadable(f"The encoding “{encoding[:100]}” is not known. Leave it out to have it detected, or name another, such as utf-8 or cp1252.")
    if name in _MARKED and not _begins_with_mark(path, _MARKED[name], arrival):
        raise FileUnreadable(
            f"The file does not begin with a byte order mark, which {name.upper()} needs. "
            f"Leave the encoding out to have it detected, or name {name}-le or {name}-be.",
        )
    if name in ("utf-8", "utf-8-sig"):
        return Utf8Source(SharedFile(os.open(path, os.O_RDONLY), arrival=arrival), presumed=presumed)
    return TranscodedSource(SharedFile(os.open(path, os.O_RDONLY), arrival=arrival), encoding=name)
