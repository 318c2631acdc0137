"""Check from a file's first bytes whether it can be what its extension says. Only the worker actually opens files."""

from __future__ import annotations

from shared.formats import find_by_contents, find_by_extension

_FOREIGN = {
    b"%PDF-": "a PDF document",
    b"\x1f\x8b": "a gzip archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ\x00": "an xz archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"\x89PNG\r\n": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"PAR1": "a Parquet file",
    b"\x7fELF": "a program",
}
"""First bytes of binary files that no format can read."""


def describe_mismatch(extension: str, head: bytes) -> str | None:
    """Explain why a file that begins with `head` cannot be what its extension says; None if it can.

    Files of one format family may carry each other's extensions (`FileFormat.family`).
    """
    claimed, found = find_by_extension(extension), find_by_contents(head, extension=extension)
    assert claimed is not None
    if found is not None:
        what = None if found.family == claimed.family else found.description
    elif claimed.signatures:
        what = f"no {claimed.family}"
    else:
        what = next((name for magic, name in _FOREIGN.items() if head.startswith(magic)), None)
    return None if what is None else f"The file is named .{extension} and its contents are {what}. {claimed.remedy}, or give it its real extension."
