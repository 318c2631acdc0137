"""Decrypt a workbook in a separate process with limits on memory and time, into a temporary file that does not outlive its reading."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

from features.processing.readers.base import FileUnreadable
from features.processing.readers.excel.reading_child import ReadingChild
from features.processing.readers.excel.refusals import DAMAGED

_ZIP = b"PK"
_CHILD = "features.processing.readers.excel.encrypted.child"


def decrypt_package(file: BinaryIO, *, folder: Path | None) -> Path:
    """Decrypt the XLSX workbook in a compound file, and return the path of a temporary file in `folder`, which the caller removes.

    Raises `FileUnreadable` if it has another password or is damaged, and `OSError` if the machine fails.
    """
    with tempfile.NamedTemporaryFile(dir=folder, prefix="decrypted-", suffix=".xlsx", delete=False) as output:
        path = Path(output.name)
        try:
            _decrypt(file, output, folder)
            _require_package(output)
        except BaseException:
            path.unlink()
            raise
    return path


def _require_package(output: IO[bytes]) -> None:
    """Raise `FileUnreadable` if what was decrypted is no package: another encrypted file in it would be decrypted in turn."""
    output.seek(0)
    if output.read(len(_ZIP)) != _ZIP:
        raise FileUnreadable(DAMAGED)


@contextmanager
def decrypt_records(file: BinaryIO, *, folder: Path | None) -> Iterator[BinaryIO]:
    """Decrypt an XLS workbook, and give an open file without a name, which the machine removes when nobody has it open. Raises like `decrypt_package`."""
    with tempfile.TemporaryFile(dir=folder) as output:
        _decrypt(file, output, folder)
        yield output


def _decrypt(file: BinaryIO, output: IO[bytes], folder: Path | None) -> None:
    child = ReadingChild(_CHILD, str(folder or tempfile.gettempdir()), descriptors=[file.fileno(), output.fileno()])
    try:
        child.read_line()
    finally:
        child.close()
