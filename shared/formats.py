"""File formats: one declaration for each, that the check of an upload and the reading of a job both ask.

A slice declares its formats in its `formats.py`, which every process loads. A declaration is light: the reader is named, and imported by whoever reads.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFormat:
    """What a format's files are called, what their bytes look like, and what opens them."""

    extensions: tuple[str, ...]
    """In lower case, without the dot."""
    media_types: tuple[str, ...]
    description: str
    """What such a file is, in a sentence: `an .xls workbook`."""
    family: str
    """Formats of one family may carry each other's extension: a file is read as what its bytes say. In a sentence: `no {family}`."""
    remedy: str
    """What to do about a file that claims to be of this format and is not: `Save it from Excel again`."""
    signatures: tuple[bytes, ...] = ()
    """First bytes, of which each file has one; none: text, which is known by its extension only."""
    opener: str
    """`package.module:function`, which opens a file as a table (see `open_table` of the slice that declares it)."""

    def load_opener(self) -> Callable[..., Any]:
        """Import what opens a file."""
        opener: Callable[..., Any] = pkgutil.resolve_name(self.opener)
        return opener


_formats: dict[str, FileFormat] = {}


def register_format(file_format: FileFormat) -> None:
    """Declare a format, once. Raises `ValueError` if another one has one of its extensions."""
    for extension in file_format.extensions:
        if _formats.setdefault(extension, file_format) != file_format:
            raise ValueError(f"Two formats have the extension .{extension}: {_formats[extension].opener} and {file_format.opener}.")


def list_formats() -> Sequence[FileFormat]:
    """All formats, by their first extension."""
    return sorted(set(_formats.values()), key=lambda file_format: file_format.extensions[0])


def list_extensions() -> Sequence[str]:
    """The extensions of all formats, in alphabetical order."""
    return sorted(_formats)


def get_extension(filename: str) -> str | None:
    """The extension of a file's name in lower case; None if no format has it."""
    extension = filename.rpartition(".")[2].lower() if "." in filename else ""
    return extension if extension in _formats else None


def find_by_extension(extension: str) -> FileFormat | None:
    """The format that has this extension."""
    return _formats.get(extension)


def find_by_contents(head: bytes) -> FileFormat | None:
    """The format with a signature that `head`, the first bytes of a file, begins with; None for text."""
    return next((file_format for file_format in list_formats() if head.startswith(file_format.signatures)), None)


def find_format(filename: str, head: bytes) -> FileFormat:
    """The format to read a file as: by its bytes, then by its extension, then text."""
    by_contents = find_by_contents(head)
    if by_contents is not None:
        return by_contents
    extension = get_extension(filename)
    return _formats[extension] if extension is not None else next(file_format for file_format in list_formats() if not file_format.signatures)
