"""Read the metadata of a workbook: its sheets, their order and visibility, its epoch, and which cell styles show dates.

openpyxl reads the package and the list of sheets. The cell styles are read here: openpyxl would build all their fonts, fills and borders, and refuse
a workbook for an invalid colour. Only the number format of each style is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast
from xml.etree import ElementTree as ET
from xml.parsers.expat import XMLParserType

from openpyxl.packaging.relationship import Relationship
from openpyxl.reader.excel import ExcelReader
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from features.processing.readers.base import FileUnreadable
from features.processing.readers.excel.cell_text import FormatKind, built_in_kind, format_kind, parse_number
from features.processing.readers.excel.xlsx.package import DAMAGED, Package, raise_damaged
from features.processing.readers.excel.xlsx.part_parser import MAX_DEPTH, PartParser, local_name, prefix_of
from shared.descriptors.table_dialect import TableDialect
from shared.texts import list_briefly, quote_briefly

_CONTENT_TYPES = "[Content_Types].xml"
_BINARY_WORKBOOK = b"application/vnd.ms-excel.sheet.binary"
_NO_WORKBOOK = "The file is not an Excel workbook. Save the table from Excel as .xlsx and upload that."
_BINARY = "The workbook is in Excel's binary format (.xlsb). Save it as .xlsx and upload that."
_MAX_NAMES_SHOWN = 20
_MAX_STYLES = 2**17
"""Twice what Excel allows."""
_MAX_FORMAT_CHARS = 1_000

# Excel can save in the "strict" variant of the format, which has other names for the same things.
_STRICT_NAMES = (
    (b"http://purl.oclc.org/ooxml/spreadsheetml/main", b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"),
    (b"http://purl.oclc.org/ooxml/officeDocument/relationships", b"http://schemas.openxmlformats.org/officeDocument/2006/relationships"),
)
# Nothing else in workbook.xml is needed here, and openpyxl refuses a workbook for some of it.
_NEEDED = frozenset({"workbookPr", "sheets"})


@dataclass(frozen=True, slots=True)
class Sheet:
    """One sheet of a workbook."""

    name: str
    part: str
    """The name of its part in the package."""
    is_visible: bool
    has_rows: bool
    """False for charts and dialogs, which count as sheets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workbook:
    """A workbook whose sheets have not been read yet."""

    sheets: tuple[Sheet, ...]
    """In the order of the workbook."""
    is_1904: bool
    """Whether days are counted from 1904."""
    kinds: Mapping[str | None, FormatKind]
    """The cell styles that do not show plain numbers, by style number as in the XML; None stands for cells without a style."""
    shared_strings_part: str | None


def open_workbook(package: Package) -> Workbook:
    """Read everything that is needed before the rows. Raises `FileUnreadable` if the file is damaged or not an XLSX workbook."""
    content_types = _read_content_types(package)
    reader = _Reader(_TrimmedPackage(package))
    try:
        reader.read_manifest()
        reader.read_workbook()
        related = {relationship.Type.rpartition("/")[2]: relationship.Target for relationship in reader.relationships()}
        sheets = tuple(
            Sheet(sheet.name or "", target.Target, sheet.state == "visible", target.Type.endswith("/worksheet"))
            for sheet, target in reader.parser.find_sheets()
        )
    except (FileUnreadable, MemoryError):
        raise
    except OSError as error:
        if error.errno is not None:
            # Not openpyxl's own, which says that a part is missing.
            raise
        raise FileUnreadable(_BINARY if _BINARY_WORKBOOK in content_types else _NO_WORKBOOK) from error
    except Exception as error:  # noqa: BLE001  # openpyxl raises any exception that a damaged file causes inside it
        raise_damaged(error)
    if not sheets:
        raise FileUnreadable("The workbook has no sheets.")
    names = set(package.namelist())
    styles_part, strings_part = related.get("styles"), related.get("sharedStrings")
    return Workbook(
        sheets=sheets,
        is_1904=reader.wb.epoch == CALENDAR_MAC_1904,
        kinds=_read_kinds(package, styles_part) if styles_part in names else {},
        shared_strings_part=strings_part if strings_part in names else None,
    )


def choose_sheet(sheets: Sequence[Sheet], dialect: TableDialect | None) -> Sheet:
    """Return the sheet that the dialect names, else the first visible one with rows. Raises `FileUnreadable`, listing the sheets, if there is none."""
    names = list_briefly([sheet.name for sheet in sheets], _MAX_NAMES_SHOWN)
    chosen: Sheet | None
    if dialect is not None and dialect.sheet_name is not None:
        chosen = next((sheet for sheet in sheets if sheet.name == dialect.sheet_name), None)
        if chosen is None:
            raise FileUnreadable(f"The workbook has no sheet named {quote_briefly(dialect.sheet_name)}. Its sheets are: {names}.")
    elif dialect is not None and dialect.sheet_number is not None:
        if dialect.sheet_number > len(sheets):
            raise FileUnreadable(f"The workbook has no sheet number {dialect.sheet_number}. Its sheets are, from 1: {names}.")
        chosen = sheets[dialect.sheet_number - 1]
    else:
        chosen = next((sheet for sheet in sheets if sheet.is_visible and sheet.has_rows), None)
        if chosen is None:
            raise FileUnreadable(f"The workbook has no visible sheet with rows. Its sheets are: {names}.")
    if not chosen.has_rows:
        raise FileUnreadable(f"The sheet {quote_briefly(chosen.name)} holds no rows: it is a chart or a dialog. The workbook's sheets are: {names}.")
    return chosen


class _Reader(ExcelReader):
    """openpyxl's reader for a package that is already open."""

    def __init__(self, package: _TrimmedPackage) -> None:
        # Replaces openpyxl's own constructor, which opens the file without limits.
        self.archive = package  # type: ignore[assignment] # openpyxl uses only its `read`
        self.read_only = self.data_only = True
        self.keep_vba = self.keep_links = self.rich_text = False

    def relationships(self) -> list[Relationship]:
        """Return the relationships of the workbook's own part."""
        return list(cast("dict[str, Relationship]", self.parser.rels).values())


class _TrimmedPackage:
    """The package as openpyxl sees it: small parts, and only the needed elements of the workbook's own part."""

    def __init__(self, package: Package) -> None:
        self._package = package

    def read(self, name: str) -> bytes:
        """Return a part as a whole, reduced to the needed elements."""
        data = self._package.read(name)
        for strict, usual in _STRICT_NAMES:
            data = data.replace(strict, usual)
        if name.endswith(".rels") or name == _CONTENT_TYPES:
            return data
        root = ET.fromstring(data)  # noqa: S314 - the package refuses document types, so there are no entities
        for child in list(root):
            name = child.tag.rpartition("}")[2]
            if name not in _NEEDED:
                root.remove(child)
            elif name == "workbookPr":
                child.attrib = {key: value for key, value in child.attrib.items() if key == "date1904"}
        return ET.tostring(root)


def _read_content_types(package: Package) -> bytes:
    names = package.namelist()
    if _CONTENT_TYPES in names:
        return package.read(_CONTENT_TYPES)
    if "mimetype" in names:
        raise FileUnreadable("The file is an OpenDocument file. Save the table as .xlsx and upload that.")
    raise FileUnreadable(_NO_WORKBOOK)


def _read_kinds(package: Package, part: str) -> dict[str | None, FormatKind]:
    """Read the kinds of the cell styles that do not show plain numbers."""
    codes: dict[int, str] = {}
    format_numbers: list[int] = []
    parser = PartParser(lambda expat, root: _install_style_handlers(expat, root, codes, format_numbers))
    for block in package.blocks(part):
        parser.feed(block)
    parser.finish()
    by_number = {number: format_kind(codes[number]) if number in codes else built_in_kind(number) for number in set(format_numbers)}
    kinds: dict[str | None, FormatKind] = {str(style): kind for style, number in enumerate(format_numbers) if (kind := by_number[number]) != FormatKind.NUMBER}
    if "0" in kinds:
        kinds[None] = kinds["0"]
    return kinds


def _install_style_handlers(expat: XMLParserType, root: str, codes: dict[int, str], format_numbers: list[int]) -> None:
    if local_name(root) != "styleSheet":
        raise FileUnreadable(DAMAGED)
    prefix = prefix_of(root)
    code_tag, styles_tag, style_tag = (prefix + name for name in ("numFmt", "cellXfs", "xf"))
    depth = 0
    is_in_styles = False

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth, is_in_styles
        depth += 1
        if depth > MAX_DEPTH or len(format_numbers) > _MAX_STYLES or len(codes) > _MAX_STYLES:
            raise FileUnreadable(DAMAGED)
        if name == styles_tag:
            is_in_styles = True
        elif name == style_tag and is_in_styles:
            format_numbers.append(_read_number(attributes.get("numFmtId", "0")))
        elif name == code_tag:
            codes.setdefault(_read_number(attributes.get("numFmtId", "0")), attributes.get("formatCode", "")[:_MAX_FORMAT_CHARS])

    def end(name: str) -> None:
        nonlocal depth, is_in_styles
        depth -= 1
        if name == styles_tag:
            is_in_styles = False

    expat.StartElementHandler = start
    expat.EndElementHandler = end


def _read_number(text: str) -> int:
    value = parse_number(text)
    return value if isinstance(value, int) else 0
