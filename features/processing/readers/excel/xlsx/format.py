"""Register the format XLSX (Office Open XML in a ZIP package)."""

from __future__ import annotations

from shared.formats import FileFormat, register_format

register_format(
    FileFormat(
        extensions=("xlsx",),
        media_types=("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",),
        description="a ZIP archive or an .xlsx workbook",
        family="Excel workbook",
        remedy="Save it from Excel again",
        signatures=(b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"),
        opener="features.processing.readers.excel.xlsx.table:open_xlsx",
    )
)
