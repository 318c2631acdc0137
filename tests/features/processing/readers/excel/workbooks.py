"""Build workbooks by hand, and read them as plain lists."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openpyxl

from features.processing.readers.base import ReadLimits, Table
from features.processing.readers.excel.sheet_rows import SheetFacts, SheetRow
from features.processing.readers.excel.xlsx.open_sheets import XlsxWorkbook
from features.processing.readers.excel.xlsx.table import open_xlsx
from shared.descriptors.table_dialect import parse_table_dialect

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONSHIPS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_CONTENT = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'

CONTENT_TYPES = (
    f'{_HEAD}<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_CONTENT}.sheet.main+xml"/></Types>'
)
WORKBOOK = f'{_HEAD}<workbook xmlns="{MAIN}" xmlns:r="{RELATIONSHIPS}"><sheets><sheet name="Sheet1" sheetId="1" r:id="rId1"/></sheets></workbook>'
WORKBOOK_RELS = (
    f'{_HEAD}<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    f'<Relationship Id="rId1" Type="{RELATIONSHIPS}/worksheet" Target="worksheets/sheet1.xml"/>'
    f'<Relationship Id="rId2" Type="{RELATIONSHIPS}/styles" Target="styles.xml"/>'
    f'<Relationship Id="rId3" Type="{RELATIONSHIPS}/sharedStrings" Target="/xl/sharedStrings.xml"/></Relationships>'
)
PACKAGE_RELS = (
    f'{_HEAD}<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    f'<Relationship Id="rId1" Type="{RELATIONSHIPS}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
)
HEADER = '<row r="1"><c r="A1" t="inlineStr"><is><t>a</t></is></c><c r="B1" t="inlineStr"><is><t>b</t></is></c></row>'


def sheet_xml(rows: str, *, before: str = "", after: str = "", header: str = HEADER) -> str:
    return f'{_HEAD}<worksheet xmlns="{MAIN}">{before}<sheetData>{header}{rows}</sheetData>{after}</worksheet>'


def styles_xml(*codes: str | int) -> str:
    """Return a styles part with the cell styles 1, 2, …, each with a number format given by its code or its number."""
    custom = "".join(f'<numFmt numFmtId="{164 + i}" formatCode="{code.replace(chr(34), "&quot;")}"/>' for i, code in enumerate(codes) if isinstance(code, str))
    styles = "".join(f'<xf numFmtId="{164 + i if isinstance(code, str) else code}"/>' for i, code in enumerate(codes))
    return f'{_HEAD}<styleSheet xmlns="{MAIN}"><numFmts>{custom}</numFmts><cellXfs><xf numFmtId="0"/>{styles}</cellXfs></styleSheet>'


def strings_xml(*items: str) -> str:
    """Return a part with shared strings, each given as the content of an `si` element."""
    return f'{_HEAD}<sst xmlns="{MAIN}">{"".join(f"<si>{item}</si>" for item in items)}</sst>'


def write_package(
    path: Path, parts: Mapping[str, str | bytes | None] | None = None, *, sheet: str | bytes = "", compression: int = zipfile.ZIP_DEFLATED
) -> Path:
    """Write a workbook with one sheet; `parts` replaces parts, or leaves out those that are None."""
    everything: dict[str, str | bytes | None] = {
        "[Content_Types].xml": CONTENT_TYPES,
        "_rels/.rels": PACKAGE_RELS,
        "xl/workbook.xml": WORKBOOK,
        "xl/_rels/workbook.xml.rels": WORKBOOK_RELS,
        "xl/worksheets/sheet1.xml": sheet or sheet_xml(""),
        "xl/styles.xml": styles_xml(),
        "xl/sharedStrings.xml": strings_xml(),
        **(parts or {}),
    }
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in everything.items():
            if data is not None:
                archive.writestr(name, data)
    return path


def save_openpyxl(path: Path, rows: list[list[Any]]) -> None:
    """Write rows as the first sheet of a workbook."""
    book = openpyxl.Workbook()
    for row in rows:
        book.worksheets[0].append(row)
    book.save(path)


@dataclass
class Reading:
    labels: list[str] | None
    rows: dict[int, list[str | None]]
    errors: list[tuple[int, int | None, str, str | None]]
    rows_lost: int
    chunk_sizes: list[int]


def read_table(table: Table) -> Reading:
    """Read everything in a table, then close it."""
    reading = Reading(None if table.labels is None else list(table.labels), {}, [], 0, [])
    try:
        for chunk in table.chunks():
            columns = [column.to_pylist() for column in chunk.columns]
            for place, number in enumerate(chunk.row_numbers.tolist()):
                reading.rows[number] = [column[place] for column in columns]
            for finding in chunk.findings:
                raw = finding.raw_values.to_pylist() if finding.raw_values is not None else [None] * len(finding)
                reading.errors += [
                    (number, finding.column_number, finding.error_type, text) for number, text in zip(finding.row_numbers.tolist(), raw, strict=True)
                ]
            reading.rows_lost += chunk.rows_lost
            reading.chunk_sizes.append(len(chunk.row_numbers))
    finally:
        table.close()
    reading.errors.sort(key=lambda error: (error[0], error[1] or 0))
    return reading


def read_xlsx(path: Path, *, dialect: Mapping[str, Any] | None = None, **limits: Any) -> Reading:
    given = None if dialect is None else parse_table_dialect(dict(dialect))
    return read_table(open_xlsx(path, dialect=given, limits=ReadLimits(**limits)))


def read_rows(path: Path, *, sheet: int = 0, **limits: Any) -> tuple[list[SheetRow], SheetFacts]:
    """Return the rows of a sheet as they come, and what is learned of it."""
    workbook = XlsxWorkbook(path, ReadLimits(**limits))
    facts = SheetFacts()
    try:
        batches = list(workbook.open_rows(facts, reads_merges=True).scan(workbook.blocks(sheet)))
    finally:
        workbook.close()
    return [row for batch in batches for row in batch.rows], facts
