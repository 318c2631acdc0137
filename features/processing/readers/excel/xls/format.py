"""Register the format XLS (BIFF 2 to 8, bare or in an OLE2 container)."""

from __future__ import annotations

from shared.formats import FileFormat, register_format

OLE2 = bytes.fromhex("D0CF11E0A1B11AE1")
_BARE_BIFF = (b"\x09\x00\x04\x00", b"\x09\x02\x06\x00", b"\x09\x04\x06\x00", b"\x09\x08\x08\x00", b"\x09\x08\x10\x00")

register_format(
    FileFormat(
        extensions=("xls",),
        media_types=("application/vnd.ms-excel",),
        description="an .xls workbook",
        family="Excel workbook",
        remedy="Save it from Excel again",
        signatures=(OLE2, *_BARE_BIFF),
        opener="features.processing.readers.excel.xls.table:open_xls",
        foreign_judge="features.processing.readers.excel.foreign_workbook:describe_foreign",
    )
)
