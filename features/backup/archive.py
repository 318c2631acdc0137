"""The tar file of a backup: written and read in one pass, so that it can go through a pipe; each file is hashed on the way."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Protocol, Self

from pydantic import BaseModel, ValidationError

from features.backup.types import DUMP, FILES, HEAD, MANIFEST, SUMS, BackupFailed, Head, Manifest

BLOCK_BYTES = 2**20
MAX_JSON_BYTES = 64 * 2**20
FILE_MODE = 0o600
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_STORED = re.compile(rf"{_UUID}_[A-Za-z0-9._-]{{1,120}}|outputs/{_UUID}/{_UUID}-[0-9]{{1,18}}-[a-z.]{{1,50}}")
"""The names that the service itself gives to stored files (`shared.storage.names`); a backup has no others."""


class Readable(Protocol):
    """What is read once."""

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes; none at the end."""
        ...


class Seekable(Readable, Protocol):
    """What is read from its beginning, and tells its length."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a position, and return it."""
        ...


class Hashing(io.RawIOBase):
    """A file that is read once, hashed on the way."""

    def __init__(self, file: Readable) -> None:
        super().__init__()
        self._file = file
        self._digest = hashlib.sha256()
        self.size_bytes = 0

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        block = self._file.read(size)
        self._digest.update(block)
        self.size_bytes += len(block)
        return block

    @property
    def sha256(self) -> str:
        """The hash of what was read, in hexadecimal."""
        return self._digest.hexdigest()


class BackupWriter:
    """Writes the members of a backup to a stream, during a block."""

    def __init__(self, stream: IO[bytes], sums: IO[bytes]) -> None:
        """`sums` is an empty temporary file for the list of hashes, which goes to the end of the backup."""
        self._tar = tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT)  # noqa: SIM115  # closed at the end of the block
        self._sums = sums
        self.files = self.bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._tar.close()

    def add_head(self, head: Head) -> None:
        """Write the first member."""
        self._add_json(HEAD, head)

    def add_dump(self, path: Path) -> str:
        """Write the database's dump, and return its SHA-256."""
        with path.open("rb") as file:
            return self._add(DUMP, file)

    def add_file(self, name: str, file: Seekable) -> str:
        """Write a stored file, and return its SHA-256; `name` is the one that it is stored under."""
        sha256 = self._add(FILES + name, file)
        self._sums.write(f"{sha256}  {FILES}{name}\n".encode())
        self.files += 1
        return sha256

    def finish(self, manifest: Manifest) -> None:
        """Write what belongs to the end; without it what was written is no backup."""
        self._sums.seek(0)
        self._add(SUMS, self._sums)
        self._add_json(MANIFEST, manifest)

    def _add(self, name: str, file: Seekable) -> str:
        member = tarfile.TarInfo(name)
        member.size = file.seek(0, io.SEEK_END)
        member.mode = FILE_MODE
        file.seek(0)
        hashed = Hashing(file)
        self._tar.addfile(member, hashed)
        self.bytes += member.size if name.startswith(FILES) else 0
        return hashed.sha256

    def _add_json(self, name: str, model: BaseModel) -> None:
        content = model.model_dump_json(indent=2).encode() + b"\n"
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(content), FILE_MODE
        self._tar.addfile(member, io.BytesIO(content))


class Sink(Protocol):
    """Takes what is read of a backup."""

    def take_head(self, head: Head) -> None:
        """Judge whether the backup can be used. Raises `BackupFailed`."""
        ...

    def take_dump(self, file: IO[bytes]) -> None:
        """Take the database's dump."""
        ...

    def take_file(self, name: str, file: IO[bytes]) -> None:
        """Take a stored file, which is stored under `name`."""
        ...


def read_backup(stream: IO[bytes], sink: Sink, sums: IO[bytes]) -> Manifest:
    """Give all that is in a backup to `sink`, and return what it is to be once it has been compared with its hashes.

    `sums` is an empty temporary file. Raises `BackupFailed` if the backup is not whole, or not what it was.
    """
    try:
        with tarfile.open(fileobj=stream, mode="r|*") as tar:
            return _read(tar, sink, sums)
    except tarfile.TarError as error:
        raise BackupFailed(f"This is no backup, or only a part of one: {error}.") from error
    except (EOFError, ValidationError) as error:
        raise BackupFailed("This is no whole backup: it breaks off.") from error


def _read(tar: tarfile.TarFile, sink: Sink, sums: IO[bytes]) -> Manifest:
    members = _list_members(tar)
    name, file = next(members, ("", io.BytesIO()))
    if name != HEAD:
        raise BackupFailed(f"This is no backup of Rowgate: its first member is {name!r} instead of {HEAD!r}.")
    sink.take_head(Head.model_validate_json(file.read(MAX_JSON_BYTES)))
    dump_sha256, files, total, is_compared = "", 0, 0, False
    for name, file in members:
        hashed = Hashing(file)
        if name == DUMP:
            sink.take_dump(hashed)  # type: ignore[arg-type]  # it only reads
            dump_sha256 = hashed.sha256
        elif name.startswith(FILES):
            if _STORED.fullmatch(name.removeprefix(FILES)) is None:
                raise BackupFailed(f"The backup has a file that the service would not have stored: {name!r}.")
            sink.take_file(name.removeprefix(FILES), hashed)  # type: ignore[arg-type]
            sums.write(f"{hashed.sha256}  {name}\n".encode())
            files, total = files + 1, total + hashed.size_bytes
        elif name == SUMS:
            _compare_sums(sums, file)
            is_compared = True
        elif name == MANIFEST:
            manifest = Manifest.model_validate_json(file.read(MAX_JSON_BYTES))
            if not is_compared or (manifest.dump_sha256, manifest.files, manifest.bytes) != (dump_sha256, files, total):
                raise BackupFailed(f"The backup is damaged: it has {files:,} files and should have {manifest.files:,}, or its dump is not what it was.")
            return manifest
    raise BackupFailed("This is no whole backup: it breaks off before its manifest.")


def _list_members(tar: tarfile.TarFile) -> Iterator[tuple[str, IO[bytes]]]:
    for member in tar:
        file = tar.extractfile(member)
        if file is None or not member.isreg():
            raise BackupFailed(f"The backup has a member that is no file: {member.name!r}.")
        yield member.name, file


def _compare_sums(own: IO[bytes], given: IO[bytes]) -> None:
    own.seek(0)
    for line in given:
        if own.readline() != line:
            raise BackupFailed(f"The backup is damaged: {line.decode(errors='replace').partition('  ')[2].strip()} is not what it was.")
    if own.readline():
        raise BackupFailed("The backup is damaged: it has more files than it should have.")


def copy(file: IO[bytes], write: Callable[[bytes], object]) -> None:
    """Read the file to its end, a block at a time."""
    while block := file.read(BLOCK_BYTES):
        write(block)
