"""CSV files that are put together record by record, so that the very bytes of each row are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from hypothesis import strategies as st

from features.processing.engine import Inspection, inspect_file
from features.processing.exporting.export import Export
from features.processing.readers.base import ReadLimits
from shared.descriptors.table_dialect import TableDialect, parse_table_dialect
from shared.descriptors.table_schema import TableSchema, parse_table_schema
from shared.output_names import OutputName

FIELDS: Sequence[Mapping[str, Any]] = (
    {"name": "id", "type": "integer", "constraints": {"required": True}},
    {"name": "name", "type": "string"},
    {"name": "size", "type": "number", "constraints": {"minimum": 0}},
)
ENCODINGS = (
    "utf-8",
    "utf-8-sig",
    "utf-16-le",
    "utf-16-be",
    "utf-16",
    "utf-32-le",
    "cp1252",
    "cp1251",
    "gb18030",
    "shift_jis",
    "euc-jp",
    "big5",
    "euc-kr",
    "cp500",
)
_WORDS = {
    "cp1251": "Жук",
    "gb18030": "中文€丂㐀",
    "shift_jis": "表ソｱ十",
    "euc-jp": "日本",
    "big5": "許功蓋",
    "euc-kr": "한국",
    "cp1252": "Zoë €",
    "cp500": "Zoë",
}
_MARKS = {"utf-8-sig": b"\xef\xbb\xbf", "utf-16": b"\xff\xfe"}
_UNDECODABLE = {
    "utf-8": b"\x81",
    "utf-8-sig": b"\xe4\xb8",
    "cp1252": b"\x81",
    "gb18030": b"\xff",
    "shift_jis": b"\xa0",
    "euc-jp": b"\xff",
    "utf-16-le": b"\x00\xdc",
    "utf-16": b"\x00\xdc",
    "utf-16-be": b"\xdc\x00",
    "big5": b"\xff",
    "euc-kr": b"\xff",
}


FoundError: TypeAlias = tuple[int | None, str | None, str, str, str | None]
"""Column number, column name, type, sentence and raw value."""


@dataclass(kw_only=True)
class CsvFile:
    """A file as it was put together."""

    encoding: str
    mark: bytes
    above: Sequence[bytes]
    """Rows above the header."""
    header: Sequence[bytes]
    records: Sequence[bytes]
    """All rows below the header, with their line ends: records, blank rows and comments."""
    dialect: dict[str, Any]
    fields: Sequence[Mapping[str, Any]] = FIELDS

    @property
    def data(self) -> bytes:
        """The whole file."""
        return self.mark + b"".join([*self.above, *self.header, *self.records])

    @property
    def first_row(self) -> int:
        """Row number of the first of `records`."""
        return len(self.above) + len(self.header) + 1

    @property
    def table_schema(self) -> TableSchema:
        """The schema of the table."""
        return parse_table_schema({"fields": list(self.fields)})

    @property
    def table_dialect(self) -> TableDialect:
        """The dialect of the file."""
        return parse_table_dialect(self.dialect)


@st.composite
def csv_files(draw: st.DrawFn) -> CsvFile:  # noqa: PLR0915 - one draw after the other
    """Return files of every dialect and encoding, with rows of every kind."""
    encoding = draw(st.sampled_from(ENCODINGS))
    codec = {"utf-8-sig": "utf-8", "utf-16": "utf-16-le"}.get(encoding, encoding)
    delimiter = draw(st.sampled_from([",", ";", "\t", "|"]))
    quote = draw(st.sampled_from(['"', "'", ""]))
    line_end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    word = _WORDS.get(encoding, "Zoë €丂😀")
    dialect: dict[str, Any] = {"delimiter": delimiter, "quoteChar": quote}
    if has_comments := draw(st.booleans()):
        dialect["commentChar"] = "#"

    def encode(text: str) -> bytes:
        return text.encode(codec)

    def cell(text: str) -> str:
        if not quote or (not draw(st.booleans()) and not any(mark in text for mark in (delimiter, quote, "\n", "\r", "#"))):
            return "".join(" " if mark in (delimiter, "\n", "\r") else mark for mark in text)
        return quote + text.replace(quote, quote * 2) + quote

    texts = st.sampled_from(["", "x", word, f"a{delimiter}b", "two\nlines", "cr\rhere", f"say {quote}hi{quote}", "it's 5\" long", "  padded "])
    ids = st.sampled_from(["1", "22", "", "x", "007"])
    sizes = st.sampled_from(["1.5", "-1", "", "many"])

    def make_record() -> bytes:
        kind = draw(st.sampled_from(["good", "good", "good", "any", "any", "any", "short", "long", "blank", "comment", "undecodable"]))
        cells = [cell("1"), cell(draw(texts)), cell("2.5")]
        if kind == "any":
            cells = [cell(draw(ids)), cell(draw(texts)), cell(draw(sizes))]
        elif kind == "short":
            cells = cells[: draw(st.sampled_from([1, 2]))]
        elif kind == "long":
            cells += [draw(st.sampled_from(["more", "more", ""])), "extra"][: draw(st.sampled_from([1, 2]))]
        elif kind == "blank":
            return encode(draw(st.sampled_from(["", "  ", delimiter, f"{delimiter} {delimiter}", cell("")])) + line_end)
        elif kind == "comment" and has_comments:
            return encode(f"#{word} {quote}{delimiter}{line_end}")
        elif kind == "undecodable" and encoding in _UNDECODABLE:
            start = encode(f"1{delimiter}a")
            return start + _UNDECODABLE[encoding] + encode(f"b{delimiter}3{line_end}")
        return encode(delimiter.join(cells) + line_end)

    above: list[bytes] = []
    header = [encode(delimiter.join(["id", "name", "size"]) + line_end)]
    layout = draw(st.sampled_from(["plain", "plain", "above", "no header", "two rows", "sep"]))
    if layout == "above":
        above = [encode(f"List of {word}{line_end}"), encode(line_end)]
        dialect["headerRows"] = [3]
    elif layout == "no header":
        header = []
        dialect["header"] = False
    elif layout == "two rows":
        above = [encode(f"Title{line_end}")]
        header = [encode(delimiter.join(["", "na", "size"]) + line_end), encode(delimiter.join(["id", "me", "size"]) + line_end)]
        dialect["headerRows"], dialect["headerJoin"] = [2, 3], ""
    elif layout == "sep" and delimiter != "\t":
        above = [encode(f"sep={delimiter}{line_end}")]
        dialect["headerRows"] = [2]
    records = [make_record() for _ in range(draw(st.integers(1, 12)))]
    if not header:
        records.insert(0, encode(delimiter.join([cell("5"), "first", "2"]) + line_end))
    if quote and draw(st.integers(0, 5)) == 0 and not any(encode(quote) in record for record in records):
        records.insert(draw(st.integers(0, len(records))), encode(f"1{delimiter}{quote}open{line_end}"))
    if draw(st.booleans()):
        last = records[-1].removesuffix(encode(line_end))
        records[-1:] = [last] if last else []
    return CsvFile(encoding=encoding, mark=_MARKS.get(encoding, b""), above=above, header=header, records=records, dialect=dialect)


def open_file(path: Path, file: CsvFile, *, limits: ReadLimits | None = None, dialect: Mapping[str, Any] | None = None) -> Inspection:
    """Open a file that was written to `path` by its own schema and dialect, or by another dialect."""
    return inspect_file(
        path,
        table_schema=file.table_schema,
        dialect=file.table_dialect if dialect is None else parse_table_dialect(dict(dialect)),
        encoding=file.encoding,
        limits=limits or ReadLimits(keep_rows=True, spill_dir=path.parent),
    )


def make_outputs(path: Path, file: CsvFile, kinds: Sequence[str], *, limits: ReadLimits | None = None) -> dict[str, bytes]:
    """Make some outputs in the format `csv`, and return their contents."""
    limits = limits or ReadLimits(keep_rows=True, spill_dir=path.parent)
    targets = {OutputName(kind, "csv"): path.parent / f"{kind}.csv" for kind in kinds}
    export = Export(lambda: open_file(path, file, limits=limits), targets, limits=limits, check_room=lambda: None)
    try:
        for _ in export.run():
            pass
    finally:
        export.close()
    return {name.kind: target.read_bytes() for name, target in targets.items()}


def list_errors(inspection: Inspection) -> dict[int, list[FoundError]]:
    """Return the errors of each row, header errors included, as a job finds them: column, name, type, sentence, raw value."""
    errors: dict[int, list[FoundError]] = {}
    try:
        for report in inspection.reports():
            for finding in report.findings:
                for index, row_number in enumerate(finding.row_numbers.tolist()):
                    message = finding.message if isinstance(finding.message, str) else finding.message[index].as_py()
                    raw = None if finding.raw_values is None else finding.raw_values[index].as_py()
                    errors.setdefault(row_number, []).append((finding.column_number, finding.column_name, finding.error_type, message, raw))
    finally:
        inspection.close()
    return {row_number: sorted(found, key=lambda each: (each[0] or 0, each[2])) for row_number, found in errors.items()}
