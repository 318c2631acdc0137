"""Build workbooks by hand, with whole control over parts, their names and their XML; for those that no writer makes."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import xlwt

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONSHIPS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
STRICT_MAIN = "http://purl.oclc.org/ooxml/spreadsheetml/main"
STRICT_RELATIONSHIPS = "http://purl.oclc.org/ooxml/officeDocument/relationships"
PACKAGE_RELATIONSHIPS = "http://schemas.openxmlformats.org/package/2006/relationships"
SHEET_CONTENT = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"
MACRO_CONTENT = "application/vnd.ms-excel.sheet.macroEnabled.main+xml"
HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell by its XML: everything inside `<c>`, and its attributes but `r`."""

    inside: str
    attributes: str = ""


Value = str | int | float | bool | Cell | None
"""Text becomes an inline string; None is a cell that is absent."""
Row = Sequence[Any]
"""The values of a row."""


def number(text: str | float, style: int = 0) -> Cell:
    """Return a cell with a number as it stands in the XML."""
    return Cell(f"<v>{text}</v>", f's="{style}"')


def formula(code: str, value: str | None = None, *, cell_type: str = "", style: int = 0) -> Cell:
    """Return a cell with a formula, and with its stored value if there is one."""
    stored = "" if value is None else f"<v>{escape(value)}</v>"
    return Cell(f"<f>{escape(code)}</f>{stored}", f's="{style}"' + (f' t="{cell_type}"' if cell_type else ""))


def error(text: str, attributes: str = "") -> Cell:
    """Return a cell with an error value."""
    return Cell(f"<v>{text}</v>", f't="e" {attributes}')


def raw_text(inside: str, attributes: str = "") -> Cell:
    """Return a cell with an inline string whose XML is given."""
    return Cell(f"<is>{inside}</is>", f't="inlineStr" {attributes}')


def column_letters(index: int) -> str:
    """Return the letters of a column, from 0."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def cell_xml(value: Value, place: str) -> str:
    """Return the `<c>` of a value; nothing for None."""
    if value is None:
        return ""
    if isinstance(value, Cell):
        return f'<c r="{place}" {value.attributes}>{value.inside}</c>'
    if isinstance(value, bool):
        return f'<c r="{place}" t="b"><v>{int(value)}</v></c>'
    if isinstance(value, str):
        return f'<c r="{place}" t="inlineStr"><is><t>{escape(value)}</t></is></c>'
    return f'<c r="{place}"><v>{value!r}</v></c>'


def row_xml(values: Row, row_number: int, first_column: int = 0) -> str:
    """Return the `<row>` of some values."""
    cells = "".join(cell_xml(value, f"{column_letters(first_column + index)}{row_number}") for index, value in enumerate(values))
    return f'<row r="{row_number}">{cells}</row>'


def rows_xml(*rows: Row, first_row: int = 1, first_column: int = 0) -> str:
    """Return rows that follow one another; one that is empty is left out of the XML."""
    return "".join(row_xml(values, first_row + index, first_column) for index, values in enumerate(rows) if values)


def sheet_xml(data: str, *, before: str = "", after: str = "", merged: Sequence[str] = ()) -> str:
    """Return a worksheet with these rows; `merged` are ranges such as `A1:B2`."""
    merges = f'<mergeCells count="{len(merged)}">{"".join(f"<mergeCell ref={quoteattr(each)}/>" for each in merged)}</mergeCells>' if merged else ""
    return f'{HEAD}<worksheet xmlns="{MAIN}" xmlns:r="{RELATIONSHIPS}">{before}<sheetData>{data}</sheetData>{merges}{after}</worksheet>'


def styles_xml(*codes: str | int, dxfs: str = "", after: str = "") -> str:
    """Return styles: cell style 1 has the first number format, given by its code or by the number of a built-in one, style 2 the second and so on."""
    custom = "".join(f'<numFmt numFmtId="{164 + index}" formatCode={quoteattr(code)}/>' for index, code in enumerate(codes) if isinstance(code, str))
    cells = "".join(f'<xf numFmtId="{164 + index if isinstance(code, str) else code}" fontId="0"/>' for index, code in enumerate(codes))
    formats = f"<numFmts>{custom}</numFmts>" if custom else ""
    return f'{HEAD}<styleSheet xmlns="{MAIN}">{formats}<cellXfs><xf numFmtId="0"/>{cells}</cellXfs>{dxfs}{after}</styleSheet>'


def strings_xml(*items: str) -> str:
    """Return shared strings, each given as the XML inside its `<si>`."""
    return f'{HEAD}<sst xmlns="{MAIN}">{"".join(f"<si>{item}</si>" for item in items)}</sst>'


def relations_xml(*relations: tuple[str, str, str], base: str = RELATIONSHIPS) -> str:
    """Return relationships, each an id, the last word of its type, and its target."""
    each = "".join(f'<Relationship Id="{name}" Type="{base}/{kind}" Target="{target}"/>' for name, kind, target in relations)
    return f'{HEAD}<Relationships xmlns="{PACKAGE_RELATIONSHIPS}">{each}</Relationships>'


def workbook_xml(*sheets: str, before: str = "", after: str = "") -> str:
    """Return a workbook whose sheets `rId1`, `rId2` … have these attributes besides, such as `name="Orders" state="hidden"`."""
    listed = "".join(f'<sheet {attributes} sheetId="{index}" r:id="rId{index}"/>' for index, attributes in enumerate(sheets, 1))
    return f'{HEAD}<workbook xmlns="{MAIN}" xmlns:r="{RELATIONSHIPS}">{before}<sheets>{listed}</sheets>{after}</workbook>'


def content_types_xml(workbook_type: str = SHEET_CONTENT, part: str = "/xl/workbook.xml") -> str:
    """Return the content types of a package."""
    return (
        f'{HEAD}<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Default Extension="xml" ContentType="application/xml"/><Override PartName="{part}" ContentType="{workbook_type}"/></Types>'
    )


def make_xlsx(
    sheets: Mapping[str, str],
    *,
    styles: str | None = None,
    strings: str | None = None,
    sheet_attributes: Mapping[str, str] | None = None,
    before_sheets: str = "",
    after_sheets: str = "",
    parts: Mapping[str, str | None] | None = None,
    rename: Callable[[str], str] = str,
) -> bytes:
    """Return a package with these worksheets (XML by name); `parts` adds or replaces parts, or leaves out those that are None; `rename` renames all."""
    attributes = [f"name={quoteattr(name)} {(sheet_attributes or {}).get(name, '')}" for name in sheets]
    relations = [(f"rId{index}", "worksheet", f"worksheets/sheet{index}.xml") for index in range(1, len(sheets) + 1)]
    if styles is not None:
        relations.append(("rId901", "styles", "styles.xml"))
    if strings is not None:
        relations.append(("rId902", "sharedStrings", "sharedStrings.xml"))
    everything: dict[str, str | None] = {
        "[Content_Types].xml": content_types_xml(),
        "_rels/.rels": relations_xml(("rId1", "officeDocument", "xl/workbook.xml")),
        "xl/workbook.xml": workbook_xml(*attributes, before=before_sheets, after=after_sheets),
        "xl/_rels/workbook.xml.rels": relations_xml(*relations),
        **{f"xl/worksheets/sheet{index}.xml": xml for index, xml in enumerate(sheets.values(), 1)},
        "xl/styles.xml": styles,
        "xl/sharedStrings.xml": strings,
        **(parts or {}),
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, xml in everything.items():
            if xml is not None:
                archive.writestr(zipfile.ZipInfo(rename(name)), xml)
    return file.getvalue()


def one_sheet(*rows: Row, styles: Sequence[str | int] = (), merged: Sequence[str] = (), **package: Any) -> bytes:
    """Return a package with one sheet of these rows, and with cell styles of these number formats."""
    return make_xlsx({"Sheet1": sheet_xml(rows_xml(*rows), merged=merged)}, styles=styles_xml(*styles) if styles else None, **package)


@dataclass(frozen=True, slots=True)
class Shown:
    """A cell of an .xls sheet with a number format."""

    value: float | xlwt.Formula
    number_format: str


def make_xls(sheets: Mapping[str, Sequence[Sequence[Any]]], *, is_1904: bool = False, hidden: Sequence[str] = (), merged: Sequence[str] = ()) -> bytes:
    """Return a BIFF8 workbook with these sheets; cells are texts, numbers, booleans, `Shown`, formulas, or None."""
    book = xlwt.Workbook(encoding="utf-8")
    book.dates_1904 = is_1904
    formats = {
        value.number_format: xlwt.easyxf(num_format_str=value.number_format)
        for rows in sheets.values()
        for row in rows
        for value in row
        if isinstance(value, Shown)
    }
    for name, rows in sheets.items():
        sheet = book.add_sheet(name)
        sheet.visibility = 1 if name in hidden else 0
        for place in merged:
            sheet.merge(*_parse_range(place))
        for row_index, row in enumerate(rows):
            for column, value in enumerate(row):
                if isinstance(value, Shown):
                    sheet.write(row_index, column, value.value, formats[value.number_format])
                elif value is not None:
                    sheet.write(row_index, column, value)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def _parse_range(place: str) -> tuple[int, int, int, int]:
    """Return the first row, last row, first column and last column of a range such as `A1:B2`, from 0; columns have one letter."""
    first, last = place.split(":")
    return int(first[1:]) - 1, int(last[1:]) - 1, ord(first[0]) - 65, ord(last[0]) - 65
