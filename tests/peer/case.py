"""One case: a file, the schema that it is checked against, and how it is read."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import openpyxl
import xlwt

Descriptor: TypeAlias = Mapping[str, Any]
Cells: TypeAlias = Sequence[Sequence[object]]

V2 = "https://datapackage.org/profiles/2.0/tableschema.json"

PLAIN: Descriptor = {"delimiter": ",", "quoteChar": '"', "doubleQuote": True, "skipInitialSpace": False}
"""The dialect of every case that does not test detection."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One case; `content` is the bytes of a CSV file, or the cells of each sheet of a workbook by sheet name."""

    name: str
    schema: Descriptor
    content: bytes | Mapping[str, Cells]
    suffix: str = "csv"
    dialect: Descriptor | None = None
    encoding: str | None = None

    @property
    def file_name(self) -> str:
        return f"{self.name}.{self.suffix}"

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything on which the verdict depends; for a workbook of its cells, since its bytes contain the time of writing."""
        content = self.content.hex() if isinstance(self.content, bytes) else repr({name: [list(row) for row in rows] for name, rows in self.content.items()})
        return hashlib.sha256(json.dumps([self.suffix, self.schema, self.dialect, self.encoding, content]).encode()).hexdigest()

    def write(self, folder: Path) -> Path:
        """Write the file to `folder`, and return its path."""
        path = folder / self.file_name
        if isinstance(self.content, bytes):
            path.write_bytes(self.content)
        elif self.suffix == "xlsx":
            _write_xlsx(path, self.content)
        else:
            _write_xls(path, self.content)
        return path


def fields(*given: Descriptor | str, **rest: object) -> Descriptor:
    """Return a schema; a bare name is a field of type string."""
    return {"$schema": V2, "fields": [{"name": field, "type": "string"} if isinstance(field, str) else field for field in given], **rest}


def csv_bytes(rows: Iterable[Sequence[object]], *, delimiter: str = ",") -> bytes:
    """Return the rows as UTF-8 with LF line breaks, quoted only if necessary."""
    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return stream.getvalue().encode()


def csv_case(name: str, schema: Descriptor, rows: Iterable[Sequence[object]], **rest: Any) -> Case:
    """Return the case of a CSV file whose header has the field names of the schema."""
    labels = [field["name"] for field in schema["fields"]]
    return Case(name=name, schema=schema, content=csv_bytes([labels, *rows]), dialect=PLAIN, **rest)


def text_case(name: str, schema: Descriptor, text: str, dialect: Descriptor | None = PLAIN, *, encoding: str = "utf-8", told: bool = False) -> Case:
    """Return the case of a CSV file with exactly this text; `told` passes the encoding instead of having it detected."""
    return Case(name=name, schema=schema, content=text.encode(encoding), dialect=dialect, encoding=encoding if told else None)


def column_case(name: str, field: Descriptor, cells: Sequence[str], **rest: object) -> Case:
    """Return the case of a column of cells of one field; a second column numbers the rows, so that no row is blank."""
    schema = fields({"name": "n", "type": "integer"}, {"name": "value", **field}, **rest)
    return csv_case(name, schema, [(number, cell) for number, cell in enumerate(cells, 1)])


def _write_xlsx(path: Path, sheets: Mapping[str, Cells]) -> None:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    book.save(path)


def _write_xls(path: Path, sheets: Mapping[str, Cells]) -> None:
    book, plain = xlwt.Workbook(), xlwt.XFStyle()
    style: dict[type, xlwt.XFStyle] = {date: xlwt.easyxf(num_format_str="yyyy-mm-dd"), datetime: xlwt.easyxf(num_format_str="yyyy-mm-dd hh:mm:ss")}
    for name, rows in sheets.items():
        sheet = book.add_sheet(name)
        for row_index, row in enumerate(rows):
            for index, value in enumerate(row):
                if value is not None:
                    sheet.write(row_index, index, value, style.get(type(value), plain))
    book.save(str(path))
