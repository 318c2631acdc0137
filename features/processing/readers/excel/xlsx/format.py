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
        foreign_judge="features.processing.readers.excel.foreign_workbook:describe_foreign",
        other_extensions=(
            "xlsm",
            "xlsb",
            "xltx",
            "xltm",
            "xlam",
            "xlt",
            "xlw",
            "ods",
            "fods",
            "ots",
            "numbers",
            "gsheet",
            "et",
            "sxc",
            "wk1",
            "wks",
            "123",
            "slk",
        ),
        conversion="Save it as .xlsx in the program that it comes from, and upload that.",
    )
)
