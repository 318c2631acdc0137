"""Read what a workbook says of itself: its sheets, their order and visibility, its epoch, whether it is to be computed anew, and where its parts are.

Only these are looked at; whatever else is in the workbook's own part (names, views, protection) may be odd, or very long. Source: ECMA-376 part 1, 18.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from features.processing.readers.base import FileUnreadable
from features.processing.readers.excel.xlsx.package import DAMAGED, MAX_SMALL_PART_BYTES, Package
from features.processing.readers.excel.xlsx.package_kind import refuse_package
from features.processing.readers.excel.xlsx.part_names import resolve_target
from features.processing.readers.excel.xlsx.part_parser import local_name, visit_elements
from features.processing.readers.excel.xlsx.relationships import Relationship, find_related, read_relationships
from shared.texts import quote_briefly

MAX_WORKBOOK_BYTES = 64 * 2**20
"""Most of it are names of ranges: 80,000 of them take 20 MiB."""
_MAX_SHEETS = 2**15
_MAX_TEXT_CHARS = 1_000
_USUAL_PART = "xl/workbook.xml"
_CONTENT_TYPES = "[Content_Types].xml"
_WITHOUT_ROWS = frozenset({"chartsheet", "dialogsheet", "xlmacrosheet", "xlintlmacrosheet"})


@dataclass(frozen=True, slots=True)
class Sheet:
    """One sheet of a workbook."""

    name: str
    part: str | None
    """The name of its part in the package, which need not be there; None if the workbook does not tell it."""
    is_visible: bool
    has_rows: bool
    """False for charts, dialogs and macros, which count as sheets."""

    def require_part(self) -> str:
        """Return the name of its part. Raises `FileUnreadable` if the workbook does not tell it."""
        if self.part is None:
            raise FileUnreadable(
                f"The workbook is damaged: the part with its sheet {quote_briefly(self.name)} is missing. "
                "Open it in Excel, save it again and upload the new file."
            )
        return self.part


@dataclass(frozen=True, slots=True, kw_only=True)
class Workbook:
    """A workbook of which no part but its own has been read yet."""

    sheets: tuple[Sheet, ...]
    """In the order of the workbook."""
    is_1904: bool
    """Whether days are counted from 1904."""
    is_recalculated: bool
    """Whether Excel is asked to compute all formulas when it opens the workbook, so that the values in it need not be right."""
    relationships: Mapping[str, Relationship]

    @property
    def styles_part(self) -> str | None:
        """The name of the part with the styles, or None if there are none."""
        return find_related(self.relationships, "styles")

    @property
    def strings_part(self) -> str | None:
        """The name of the part with the shared strings, or None if there are none."""
        return find_related(self.relationships, "sharedstrings")


def open_workbook(package: Package) -> Workbook:
    """Read everything that is needed before a sheet is chosen. Raises `FileUnreadable` if the file is damaged or not an XLSX workbook."""
    part = _find_workbook(package)
    listed: list[Mapping[str, str]] = []
    is_1904 = is_recalculated = False

    def check_root(root: str) -> None:
        if local_name(root) != "workbook":
            refuse_package(package, root=root)

    def visit(path: str, attributes: Mapping[str, str]) -> None:
        nonlocal is_1904, is_recalculated
        if path == "sheets/sheet":
            if len(listed) >= _MAX_SHEETS:
                raise FileUnreadable(DAMAGED)
            listed.append({local_name(name): text[:_MAX_TEXT_CHARS] for name, text in attributes.items() if local_name(name) in ("name", "state", "id")})
        elif path == "workbookPr":
            is_1904 = _is_true(attributes.get("date1904", ""))
        elif path == "calcPr":
            is_recalculated = _is_true(attributes.get("fullCalcOnLoad", ""))

    visit_elements(package.blocks(part, most_bytes=MAX_WORKBOOK_BYTES), check_root, visit)
    if not listed:
        raise FileUnreadable("The workbook has no sheets.")
    relationships = read_relationships(package, part)
    return Workbook(
        sheets=tuple(_make_sheet(attributes, relationships.get(attributes.get("id", ""))) for attributes in listed),
        is_1904=is_1904,
        is_recalculated=is_recalculated,
        relationships=relationships,
    )


def _make_sheet(attributes: Mapping[str, str], relationship: Relationship | None) -> Sheet:
    return Sheet(
        attributes.get("name", ""),
        None if relationship is None else relationship.part,
        attributes.get("state", "visible") == "visible",
        relationship is None or relationship.kind not in _WITHOUT_ROWS,
    )


def _find_workbook(package: Package) -> str:
    """Return the name of the workbook's own part: the one that the package's relationships name, or its content types, or the usual one."""
    named = find_related(read_relationships(package, ""), "officedocument")
    if named is None:
        named = _find_by_content_type(package)
    if named is not None and named.lower().endswith(".bin"):
        refuse_package(package)
    if named is None and package.find(_USUAL_PART) is None:
        refuse_package(package)
    return named or _USUAL_PART


def _find_by_content_type(package: Package) -> str | None:
    found: list[str] = []

    def visit(path: str, attributes: Mapping[str, str]) -> None:
        kind = attributes.get("ContentType", "").lower()
        if path == "Override" and kind.endswith(".main+xml") and ("spreadsheetml" in kind or "ms-excel" in kind):
            found.append(resolve_target(attributes.get("PartName", ""), base=""))

    try:
        if package.find(_CONTENT_TYPES) is not None:
            visit_elements(package.blocks(_CONTENT_TYPES, most_bytes=MAX_SMALL_PART_BYTES), lambda _: None, visit)
    except FileUnreadable:
        # They are one way of several to find the workbook, and Excel's own programs are not the only ones that write them.
        return None
    return next((name for name in found if package.find(name) is not None), None)


def _is_true(text: str) -> bool:
    return text.strip().lower() in ("1", "true", "on")
