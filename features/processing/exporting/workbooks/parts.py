"""The parts of a workbook around its cells, as XlsxWriter writes them; every sheet may have comments.

Sources: ECMA-376 part 1, 18 (SpreadsheetML); part 4, 8 (VML, which is how comments are drawn).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from features.processing.exporting.workbooks.cell_xml import text_element
from shared.cell_names import name_cell, name_column

_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_CONTENT = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_FIRST_FORMAT = 164
"""Numbers below are those of built-in number formats."""
_BAD_COLOUR = "FFFFC7CE"
_HEADER_COLOUR = "FFD9E1F2"
FILLS = {"": 0, "bad": 2, "header": 3}
"""The fills of cells by name; two come first that every workbook has."""
SHAPES_PER_ID = 1024
"""A drawing numbers its shapes from a multiple of this on, and names each multiple that it uses."""
_COMMENT_LOOK = '<rPr><sz val="8"/><color indexed="81"/><rFont val="Tahoma"/><family val="2"/></rPr>'

Comment = tuple[int, int, str]
"""Row and column, from 1, and text."""
Style = tuple[str, str]
"""The code of a number format (empty: General), and the name of a fill."""


def content_types(sheets: int, commented: Sequence[int]) -> str:
    """Return the part that names the type of each part; `commented` are the numbers of the sheets that have comments."""
    overrides = [
        ("/xl/workbook.xml", f"{_CONTENT}.sheet.main+xml"),
        *((f"/xl/worksheets/sheet{number}.xml", f"{_CONTENT}.worksheet+xml") for number in range(1, sheets + 1)),
        ("/xl/styles.xml", f"{_CONTENT}.styles+xml"),
        *((f"/xl/comments{number}.xml", f"{_CONTENT}.comments+xml") for number in commented),
    ]
    return (
        f'{_HEAD}<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        '<Default Extension="vml" ContentType="application/vnd.openxmlformats-officedocument.vmlDrawing"/>'
        f"{''.join(f'<Override PartName={_quote(name)} ContentType={_quote(kind)}/>' for name, kind in overrides)}</Types>"
    )


def package_relations() -> str:
    """Return the part that says where the workbook is."""
    return _relations([("officeDocument", "xl/workbook.xml")])


def workbook_relations(sheets: int) -> str:
    """Return the part that says where the sheets and styles are."""
    return _relations([*(("worksheet", f"worksheets/sheet{number}.xml") for number in range(1, sheets + 1)), ("styles", "styles.xml")])


def sheet_relations(number: int) -> str:
    """Return the part that says where the comments of a sheet are, and their drawing."""
    return _relations([("vmlDrawing", f"../drawings/vmlDrawing{number}.vml"), ("comments", f"../comments{number}.xml")])


def workbook(names: Sequence[str], filters: Sequence[str | None]) -> str:
    """Return the part that lists the sheets; `filters` are the ranges of their filters, such as `$A$1:$D$3`. Names need no escape and have no quotes."""
    sheets = "".join(f'<sheet name="{name}" sheetId="{number}" r:id="rId{number}"/>' for number, name in enumerate(names, 1))
    defined = "".join(
        f'<definedName name="_xlnm._FilterDatabase" localSheetId="{index}" hidden="1">\'{name}\'!{cells}</definedName>'
        for index, (name, cells) in enumerate(zip(names, filters, strict=True))
        if cells is not None
    )
    return (
        f'{_HEAD}<workbook xmlns="{_MAIN}" xmlns:r="{_RELATIONS}"><workbookPr/><bookViews><workbookView/></bookViews><sheets>{sheets}</sheets>'
        f"{f'<definedNames>{defined}</definedNames>' if defined else ''}</workbook>"
    )


def styles(used: Sequence[Style]) -> str:
    """Return the part with the styles of cells, in this order; the first is that of cells without one."""
    codes = list(dict.fromkeys(code for code, _ in used if code))
    numbers = {code: _FIRST_FORMAT + index for index, code in enumerate(codes)}
    formats = "".join(f'<numFmt numFmtId="{number}" formatCode={_quote(code)}/>' for code, number in numbers.items())
    fills = "".join(
        f'<fill><patternFill patternType="solid"><fgColor rgb="{colour}"/><bgColor indexed="64"/></patternFill></fill>'
        for colour in (_BAD_COLOUR, _HEADER_COLOUR)
    )
    looks = "".join(
        f'<xf numFmtId="{numbers.get(code, 0)}" fontId="{int(fill == "header")}" fillId="{FILLS[fill]}" borderId="0" xfId="0"'
        f"{' applyNumberFormat=' + _quote('1') if code else ''}{' applyFont=' + _quote('1') if fill == 'header' else ''}"
        f"{' applyFill=' + _quote('1') if fill else ''}/>"
        for code, fill in used
    )
    font = '<sz val="11"/><color rgb="FF000000"/><name val="Calibri"/><family val="2"/>'
    return (
        f'{_HEAD}<styleSheet xmlns="{_MAIN}">{f"<numFmts count={_quote(str(len(codes)))}>{formats}</numFmts>" if codes else ""}'
        f'<fonts count="2"><font>{font}</font><font><b/>{font}</font></fonts>'
        f'<fills count="4"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill>{fills}</fills>'
        '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
        '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
        f'<cellXfs count="{len(used)}">{looks}</cellXfs>'
        '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
    )


def sheet_head(*, is_first: bool, frozen_rows: int, frozen_columns: int, widths: Sequence[float]) -> str:
    """Return a sheet up to its first row."""
    selected = ' tabSelected="1"' if is_first else ""
    columns = "".join(f'<col min="{number}" max="{number}" width="{width:g}" customWidth="1"/>' for number, width in enumerate(widths, 1))
    return (
        f'{_HEAD}<worksheet xmlns="{_MAIN}" xmlns:r="{_RELATIONS}"><sheetViews><sheetView{selected} workbookViewId="0">'
        f"{_pane(frozen_rows, frozen_columns)}</sheetView></sheetViews>"
        f'<sheetFormatPr defaultRowHeight="15"/>{f"<cols>{columns}</cols>" if columns else ""}<sheetData>'
    )


def sheet_tail(*, filtered: str | None, has_comments: bool) -> str:
    """Return a sheet after its last row; `filtered` is the range of its filter."""
    return (
        f"</sheetData>{f'<autoFilter ref={_quote(filtered)}/>' if filtered else ''}"
        '<pageMargins left="0.7" right="0.7" top="0.75" bottom="0.75" header="0.3" footer="0.3"/>'
        # Else Excel marks every text that looks like a number.
        '<ignoredErrors><ignoredError sqref="A1:XFD1048576" numberStoredAsText="1"/></ignoredErrors>'
        f"{'<legacyDrawing r:id=' + _quote('rId1') + '/>' if has_comments else ''}</worksheet>"
    )


def comments(given: Iterable[Comment]) -> Iterator[str]:
    """Yield the part with the comments of a sheet."""
    yield f'{_HEAD}<comments xmlns="{_MAIN}"><authors><author></author></authors><commentList>'
    for row, column, text in given:
        yield f'<comment ref="{name_cell(row, column)}" authorId="0"><text><r>{_COMMENT_LOOK}{text_element(text)}</r></text></comment>'
    yield "</commentList></comments>"


def drawing(given: Sequence[Comment], first_id: int) -> Iterator[str]:
    """Yield the part that draws the comments of a sheet; their shapes have numbers from `first_id * SHAPES_PER_ID` on."""
    ids = ",".join(map(str, range(first_id, first_id + len(given) // SHAPES_PER_ID + 1)))
    yield (
        '<xml xmlns:v="urn:schemas-microsoft-com:vml" xmlns:o="urn:schemas-microsoft-com:office:office" xmlns:x="urn:schemas-microsoft-com:office:excel">'
        f'<o:shapelayout v:ext="edit"><o:idmap v:ext="edit" data="{ids}"/></o:shapelayout>'
        '<v:shapetype id="_x0000_t202" coordsize="21600,21600" o:spt="202" path="m,l,21600r21600,l21600,xe">'
        '<v:stroke joinstyle="miter"/><v:path gradientshapeok="t" o:connecttype="rect"/></v:shapetype>'
    )
    for index, (row, column, _) in enumerate(given, 1):
        top = max(0, row - 2)
        yield (
            f'<v:shape id="_x0000_s{first_id * SHAPES_PER_ID + index}" type="#_x0000_t202" style="position:absolute;margin-left:107.25pt;margin-top:7.5pt;'
            f'width:192pt;height:55.5pt;z-index:{index};visibility:hidden" fillcolor="#ffffe1" o:insetmode="auto"><v:fill color2="#ffffe1"/>'
            '<v:shadow on="t" color="black" obscured="t"/><v:path o:connecttype="none"/><v:textbox style="mso-direction-alt:auto">'
            '<div style="text-align:left"></div></v:textbox><x:ClientData ObjectType="Note"><x:MoveWithCells/><x:SizeWithCells/>'
            f"<x:Anchor>{column}, 15, {top}, 10, {column + 4}, 15, {top + 4}, 4</x:Anchor><x:AutoFill>False</x:AutoFill>"
            f"<x:Row>{row - 1}</x:Row><x:Column>{column - 1}</x:Column></x:ClientData></v:shape>"
        )
    yield "</xml>"


def _relations(targets: Sequence[tuple[str, str]]) -> str:
    entries = "".join(f'<Relationship Id="rId{number}" Type="{_RELATIONS}/{kind}" Target="{target}"/>' for number, (kind, target) in enumerate(targets, 1))
    return f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships">{entries}</Relationships>'


def _pane(rows: int, columns: int) -> str:
    """Return what keeps the first rows and columns in view; there are no frozen columns without a frozen row."""
    if not rows:
        return ""
    first = f"{name_column(columns + 1)}{rows + 1}"
    if not columns:
        return f'<pane ySplit="{rows}" topLeftCell="{first}" activePane="bottomLeft" state="frozen"/><selection pane="bottomLeft"/>'
    return (
        f'<pane xSplit="{columns}" ySplit="{rows}" topLeftCell="{first}" activePane="bottomRight" state="frozen"/>'
        f'<selection pane="topRight" activeCell="{name_column(columns + 1)}1" sqref="{name_column(columns + 1)}1"/>'
        f'<selection pane="bottomLeft" activeCell="A{rows + 1}" sqref="A{rows + 1}"/><selection pane="bottomRight"/>'
    )


def _quote(value: str) -> str:
    return '"' + value.replace("&", "&amp;").replace('"', "&quot;") + '"'
