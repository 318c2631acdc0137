"""Read a secret from a file: bounded, never waiting, and with messages that do not quote it."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

MAX_SECRET_FILE_BYTES = 2**20
"""Largest file of a setting; tens of thousands of API keys fit."""


class SecretFileInvalid(ValueError):
    """The file cannot be read or holds no text; the message says why, without its contents."""


@dataclass(frozen=True, slots=True)
class FileState:
    """What tells one content of a file from the next without reading it. A file that was replaced, also behind a symbolic link, has another inode."""

    device: int
    inode: int
    size_bytes: int
    modified_ns: int

    @property
    def modified_at(self) -> float:
        """When the file was written, in seconds since the epoch."""
        return self.modified_ns / 1e9


def look_at(path: Path) -> FileState | None:
    """Return the file's state; None if there is no such file, or it cannot be reached."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return FileState(device=found.st_dev, inode=found.st_ino, size_bytes=found.st_size, modified_ns=found.st_mtime_ns)


def read_secret_file(path: Path) -> str:
    """Return the file's text without white space around it. Raises `SecretFileInvalid`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe without a writer must not be waited for
    except (OSError, ValueError) as error:
        raise SecretFileInvalid(f"{path} cannot be read: {_describe(error)}") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise SecretFileInvalid(f"{path} is not a file")
        content = _read(descriptor)
    except OSError as error:
        raise SecretFileInvalid(f"{path} cannot be read: {_describe(error)}") from None
    finally:
        os.close(descriptor)
    if len(content) > MAX_SECRET_FILE_BYTES:
        raise SecretFileInvalid(f"{path} is larger than {MAX_SECRET_FILE_BYTES:,} bytes")
    try:
        text = content.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise SecretFileInvalid(f"{path} is not text in UTF-8") from None
    if "\0" in text:
        raise SecretFileInvalid(f"{path} is not text in UTF-8")
    if not text:
        raise SecretFileInvalid(f"{path} is empty")
    return text


def _read(descriptor: int) -> bytes:
    content = b""
    while len(content) <= MAX_SECRET_FILE_BYTES and (part := os.read(descriptor, MAX_SECRET_FILE_BYTES + 1 - len(content))):
        content += part
    return content


def _describe(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
