"""File formats: one declaration per format, used both to check uploads and to read files.

A slice declares its formats in its `formats.py`, which every process loads. A declaration is light: it only names its reader, which is imported when a
file is read.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFormat:
    """A file format: its extensions, its signatures, and the function that opens its files."""

    extensions: tuple[str, ...]
    """In lower case, without the dot."""
    media_types: tuple[str, ...]
    description: str
    """A name for such a file, for use in a sentence: `an .xls workbook`."""
    family: str
    """Files of one family may carry each other's extensions; a file is read according to its bytes. Used in a sentence as `no {family}`."""
    remedy: str
    """What to do if a file has this format's extension but is something else: `Save it from Excel again`."""
    signatures: tuple[bytes, ...] = ()
    """The byte sequences that such files may begin with; empty for text, which is known only by its extension."""
    opener: str
    """The function that opens a file as a table, as `package.module:function` (see `open_table` of the slice that declares the format)."""

    foreign_judge: str | None = None
    """The function `(head: bytes) -> str | None`, as `package.module:function`, that recognises files of other kinds by their first bytes.

    It returns a sentence that says what such a file is, or None. It is called for files that begin with no signature, in API processes too: its module must
    be light.
    """

    other_extensions: tuple[str, ...] = ()
    """Extensions of files that are not read but hold what this format could: in lower case, without the dot."""
    conversion: str = ""
    """How to make a file of this format of one of those, as a sentence: `Save it as .xlsx in the program that it comes from.`"""

    reads_in_order: bool = False
    """Whether the reader begins before all of a file is there, and waits for what it reads (`ReadLimits.arrival`)."""

    def load_opener(self) -> Callable[..., Any]:
        """Import and return the function that opens a file."""
        opener: Callable[..., Any] = pkgutil.resolve_name(self.opener)
        return opener

    def describe_foreign(self, head: bytes) -> str | None:
        """Return a sentence that says what a file is that begins with `head` and cannot be of this format; None if it can."""
        if self.foreign_judge is None:
            return None
        judge: Callable[[bytes], str | None] = pkgutil.resolve_name(self.foreign_judge)
        return judge(head)


_formats: dict[str, FileFormat] = {}


def register_format(file_format: FileFormat) -> None:
    """Declare a format; declaring the same one again has no effect. Raises `ValueError` if another format has one of its extensions."""
    for extension in file_format.extensions:
        if _formats.setdefault(extension, file_format) != file_format:
            raise ValueError(f"Two formats have the extension .{extension}: {_formats[extension].opener} and {file_format.opener}.")


def list_formats() -> Sequence[FileFormat]:
    """Return all formats, ordered by their first extension. Raises `LookupError` if none is declared: the slices have not been loaded yet."""
    if not _formats:
        raise LookupError("No format is declared yet; `slices.load_declarations` loads those of the slices.")
    return sorted(set(_formats.values()), key=lambda file_format: file_format.extensions[0])


def list_extensions() -> Sequence[str]:
    """Return the extensions of all formats, in alphabetical order. Raises `LookupError` like `list_formats`."""
    return sorted(extension for file_format in list_formats() for extension in file_format.extensions)


def get_extension(filename: str) -> str | None:
    """Return the extension of a file's name in lower case; None if no format has it."""
    extension = filename.rpartition(".")[2].lower() if "." in filename else ""
    return extension if extension in _formats else None


def describe_conversion(filename: str) -> str | None:
    """Return a sentence that says how to make a file with this name one that can be read; None if that is not known."""
    extension = filename.rpartition(".")[2].lower() if "." in filename else ""
    return next((file_format.conversion for file_format in list_formats() if extension in file_format.other_extensions), None)


def find_by_extension(extension: str) -> FileFormat | None:
    """Return the format that has this extension; None if there is none."""
    return _formats.get(extension)


def find_by_contents(head: bytes, *, extension: str | None = None) -> FileFormat | None:
    """Return the format that has a signature with which `head`, the first bytes of a file, begins; None for text.

    Several formats may share a signature (many are ZIP archives): then the one that has `extension`, else the first.
    """
    found = [file_format for file_format in list_formats() if head.startswith(file_format.signatures)]
    return next((file_format for file_format in found if extension in file_format.extensions), found[0] if found else None)


def describe_foreign(filename: str, head: bytes) -> str | None:
    """Return a sentence that says what a file is that has the extension of a format with signatures, and none of any; None if it may be of a format."""
    file_format = find_format(filename, head)
    return file_format.describe_foreign(head) if file_format.signatures and not head.startswith(file_format.signatures) else None


def find_format(filename: str, head: bytes) -> FileFormat:
    """Return the format to read a file as: by its bytes, otherwise by its extension, otherwise text."""
    extension = get_extension(filename)
    by_contents = find_by_contents(head, extension=extension)
    if by_contents is not None:
        return by_contents
    return _formats[extension] if extension is not None else next(file_format for file_format in list_formats() if not file_format.signatures)
