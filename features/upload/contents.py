"""Whether a file can be what its extension says, by its first bytes; only the worker opens files."""

from __future__ import annotations

FILE_TYPES = ("csv", "xlsx", "xls")

_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_OLE2 = (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",)
_BARE_BIFF = (b"\x09\x00\x04\x00", b"\x09\x02\x06\x00", b"\x09\x04\x06\x00", b"\x09\x08\x08\x00", b"\x09\x08\x10\x00")
_NO_TEXT = {
    **dict.fromkeys(_ZIP, "a ZIP archive or an .xlsx workbook"),
    **dict.fromkeys((*_OLE2, *_BARE_BIFF), "an .xls workbook"),
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


def get_file_type(filename: str) -> str | None:
    """The extension, in lower case, where it is one that is read."""
    extension = filename.rpartition(".")[2].lower() if "." in filename else ""
    return extension if extension in FILE_TYPES else None


def describe_mismatch(file_type: str, head: bytes) -> str | None:
    """Why a file that begins with `head` cannot be of `file_type`; None where it can.

    A workbook may carry either of the two workbook extensions: it is read as what it is.
    """
    if file_type == "csv":
        for magic, what in _NO_TEXT.items():
            if head.startswith(magic):
                return f"The file is named .csv and its contents are {what}. Export it as CSV, or give it its real extension."
        return None
    if head.startswith((*_ZIP, *_OLE2)) or (file_type == "xls" and head.startswith(_BARE_BIFF)):
        return None
    return f"The file is named .{file_type} and its contents are no Excel workbook. Save it from Excel again, or give it its real extension."
