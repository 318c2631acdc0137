"""A workbook that is written row by row: one table, on as many sheets as it needs."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from features.processing.exporting.output_file import OutputFile
from features.processing.exporting.workbooks import parts
from features.processing.exporting.workbooks.cell_xml import cut_text, needs_cut, text_cell
from features.processing.exporting.writer import CheckRoom
from shared.cell_names import name_column

MAX_SHEET_ROWS, MAX_SHEET_COLUMNS = 1_048_576, 16_384
MAX_COMMENTS = 50_000
"""Each costs memory until its sheet is complete, and time whenever the workbook is opened."""
_MAX_SHEET_BYTES = 3 * 2**30
"""Then the rows go on with the next sheet: a part of 4 GiB would need the ZIP64 form, which Excel offers to repair."""
_BATCH_CHARACTERS = 2**18
_COMPRESSION = 4
"""Level 6 of zlib makes sheets 4 % smaller and takes twice the time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the sheets of a workbook look."""

    title: str
    """The name of the first sheet; the names of the others are numbered."""
    header: Sequence[str] | None
    """The cells of the first row of each sheet, as `cell_xml` makes them; None if there is no header."""
    widths: Sequence[float]
    """In characters, of the first columns."""
    frozen_columns: int = 0
    has_filter: bool = False
    header_comments: Sequence[tuple[int, str]] = ()
    """Columns, from 1, and texts."""
    max_rows: int = MAX_SHEET_ROWS


class Styles:
    """The styles of cells that a workbook uses."""

    def __init__(self) -> None:
        self._known: dict[parts.Style, str] = {("", ""): ""}

    def attribute(self, number_format: str = "", fill: str = "") -> str:
        """Return the attribute of a cell with a number format (empty: General) and a fill (`parts.FILLS`)."""
        attribute = self._known.get((number_format, fill))
        if attribute is None:
            attribute = self._known[number_format, fill] = f' s="{len(self._known)}"'
        return attribute

    @property
    def used(self) -> Sequence[parts.Style]:
        """All styles in the order of their numbers."""
        return list(self._known)


class Workbook:
    """Writes one workbook. Rows are sequences of cells as `cell_xml` makes them, one for each column, `NO_CELL` for absent ones."""

    def __init__(self, path: Path, *, check_room: CheckRoom, max_comments: int = MAX_COMMENTS) -> None:
        self.styles = Styles()
        self.cells_cut = 0
        self.comments_left_out = 0
        self._max_comments = max_comments
        self._file = OutputFile(path, check_room)
        # Without ZIP64: see `_MAX_SHEET_BYTES`.
        self._archive = zipfile.ZipFile(self._file, "w", zipfile.ZIP_DEFLATED, allowZip64=False, compresslevel=_COMPRESSION)
        self._layout: Layout | None = None
        self._sheet: IO[bytes] | None = None
        self._starts: list[str] = []
        self._batch: list[str] = []
        self._batch_characters = self._sheet_bytes = 0
        self._row = self._width = 0
        self._comments: list[parts.Comment] = []
        self._comments_made = 0
        self._next_id = 1
        self._filters: list[str | None] = []
        self._commented: list[int] = []

    @property
    def sheet_count(self) -> int:
        """Number of sheets so far."""
        return len(self._filters) + (self._sheet is not None)

    def begin(self, layout: Layout) -> None:
        """Begin the first sheet."""
        self._layout = layout
        self._begin_sheet()

    def text(self, text: str, style: str = "") -> str:
        """Return a cell of text; one that is longer than a cell can be is cut, and counted."""
        if needs_cut(text):
            self.cells_cut += 1
            text = cut_text(text)
        return text_cell(text, style)

    def add_row(self, cells: Sequence[str], comments: Iterable[tuple[int, str]] = ()) -> None:
        """Add a row of at most 16,384 cells; `comments` are columns, from 1, and texts."""
        assert self._layout is not None
        if self._row >= self._layout.max_rows or self._sheet_bytes >= _MAX_SHEET_BYTES:
            self._end_sheet()
            self._begin_sheet()
        self._put_row(cells)
        for column, text in comments:
            self._comment(column, text)

    def finish(self) -> None:
        """Complete the file and make it durable. Raises `OSError`."""
        self._end_sheet()
        names = [self._name(number) for number in range(1, len(self._filters) + 1)]
        for name, text in (
            ("xl/workbook.xml", parts.workbook(names, self._filters)),
            ("xl/_rels/workbook.xml.rels", parts.workbook_relations(len(names))),
            ("xl/styles.xml", parts.styles(self.styles.used)),
            ("_rels/.rels", parts.package_relations()),
            ("[Content_Types].xml", parts.content_types(len(names), self._commented)),
        ):
            self._archive.writestr(name, text)
        self._archive.close()
        self._file.finish()

    def close(self) -> None:
        """Release the file; may be called twice, also after `finish`."""
        self._comments, self._batch = [], []
        self._file.drop()
        if self._sheet is not None:
            self._sheet.close()
            self._sheet = None
        self._archive.close()
        self._file.close()

    def _begin_sheet(self) -> None:
        assert self._layout is not None
        layout = self._layout
        number = len(self._filters) + 1
        self._sheet = self._archive.open(f"xl/worksheets/sheet{number}.xml", "w")
        self._sheet_bytes = self._row = self._width = 0
        rows = 0 if layout.header is None else 1
        self._put(parts.sheet_head(is_first=number == 1, frozen_rows=rows, frozen_columns=layout.frozen_columns, widths=layout.widths))
        if layout.header is not None:
            self._put_row(layout.header)
            for column, text in layout.header_comments if number == 1 else ():
                self._comment(column, text)

    def _end_sheet(self) -> None:
        assert self._layout is not None
        assert self._sheet is not None
        number = len(self._filters) + 1
        width = 0 if self._layout.header is None else len(self._layout.header)
        has_filter = self._layout.has_filter and width > 0
        last = f"{name_column(width)}{self._row}"
        self._put(parts.sheet_tail(filtered=f"A1:{last}" if has_filter else None, has_comments=bool(self._comments)))
        self._flush()
        self._sheet.close()
        self._sheet = None
        self._filters.append(f"$A$1:${name_column(width)}${self._row}" if has_filter else None)
        if self._comments:
            self._commented.append(number)
            self._write_part(f"xl/comments{number}.xml", parts.comments(self._comments))
            self._write_part(f"xl/drawings/vmlDrawing{number}.vml", parts.drawing(self._comments, self._next_id))
            self._archive.writestr(f"xl/worksheets/_rels/sheet{number}.xml.rels", parts.sheet_relations(number))
            self._next_id += len(self._comments) // parts.SHAPES_PER_ID + 1
            self._comments = []

    def _put_row(self, cells: Sequence[str]) -> None:
        self._row += 1
        row = self._row
        if len(cells) > len(self._starts):
            self._starts = [f'<c r="{name_column(number)}' for number in range(1, len(cells) + 1)]
        filled = "".join([f'{start}{row}"{cell}' for start, cell in zip(self._starts, cells, strict=False) if cell])
        self._put(f'<row r="{row}">{filled}</row>')

    def _comment(self, column: int, text: str) -> None:
        if self._comments_made >= self._max_comments:
            self.comments_left_out += 1
            return
        self._comments_made += 1
        self._comments.append((self._row, column, text))

    def _put(self, xml: str) -> None:
        self._batch.append(xml)
        self._batch_characters += len(xml)
        if self._batch_characters >= _BATCH_CHARACTERS:
            self._flush()

    def _flush(self) -> None:
        assert self._sheet is not None
        data = "".join(self._batch).encode()
        self._batch, self._batch_characters = [], 0
        self._sheet_bytes += len(data)
        self._sheet.write(data)

    def _write_part(self, name: str, texts: Iterator[str]) -> None:
        with self._archive.open(name, "w") as part:
            for text in texts:
                part.write(text.encode())

    def _name(self, number: int) -> str:
        assert self._layout is not None
        return self._layout.title if number == 1 else f"{self._layout.title} {number}"
