"""Table Dialect: how a table is laid out in its file. Parses a descriptor, and refuses it with a pointer for each problem.

Source: https://datapackage.org/standard/table-dialect/ (v2) and https://specs.frictionlessdata.io/csv-dialect/ (v1).
Two points deliberately differ from v2: a property for another kind of file (databases, JSON) is refused instead of ignored, and
`quoteChar` and `escapeChar` may be given together, since files that use both are common.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.descriptors.problems import DescriptorInvalid, ProblemList, decode_descriptor, describe_json_type, join_pointer, require_object
from shared.texts import quote_briefly

__all__ = ["DescriptorInvalid", "TableDialect", "parse_table_dialect", "parse_table_dialect_json"]

ROOT = "/dialect"
MAX_ROW_LIST = 10_000
MAX_ROW_NUMBER = 2**31 - 1
MAX_TEXT = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class TableDialect:
    """A dialect as given; None for properties that the descriptor does not set, so that the reader detects them or uses the default."""

    delimiter: str | None = None
    """One character."""
    quote_char: str | None = None
    """One character, or "" for a file without quoting (`"quoteChar": ""` or null)."""
    escape_char: str | None = None
    double_quote: bool | None = None
    skip_initial_space: bool | None = None
    line_terminator: str | None = None
    r"""`\n`, `\r\n` or `\r`; has no effect, since the reader accepts all three in any file."""
    null_sequence: str | None = None
    """A cell with exactly this text is a missing value."""
    header: bool = True
    header_rows: tuple[int, ...] = (1,)
    """Row numbers of the header, from 1, ascending; empty if `header` is False."""
    header_join: str = " "
    comment_char: str | None = None
    """One or more characters; a row that begins with them is a comment."""
    comment_rows: tuple[int, ...] = ()
    sheet_name: str | None = None
    sheet_number: int | None = None
    """From 1; sheets of every kind are counted."""
    descriptor: Mapping[str, object]
    """The JSON object as it was given."""


def parse_table_dialect_json(text: str | bytes) -> TableDialect:
    """Parse the dialect in a form field. Raises `DescriptorInvalid` with every problem; pointers start at `/dialect`."""
    return parse_table_dialect(decode_descriptor(text, root=ROOT))


def parse_table_dialect(descriptor: object) -> TableDialect:
    """Parse a dialect that is already decoded from JSON. Raises `DescriptorInvalid` with every problem."""
    descriptor = require_object(descriptor, root=ROOT, noun="dialect")
    problems = ProblemList()
    values: dict[str, Any] = {}
    for name, value in descriptor.items():
        pointer = join_pointer(ROOT, name)
        if name in _PROPERTIES:
            attribute, read = _PROPERTIES[name]
            try:
                values[attribute] = read(value)
            except _Wrong as wrong:
                problems.add(pointer, str(wrong))
        elif name in _REFUSED:
            problems.add(pointer, _REFUSED[name])
        elif name not in _METADATA:
            problems.add(pointer, f"The property {quote_briefly(name)} is not part of Table Dialect.{_guess(name)}")
    _check_together(values, descriptor, problems)
    problems.raise_if_any()
    if values.get("header") is False:
        values["header_rows"] = ()
    elif values.get("header_rows") == ():
        values["header"] = False
    return TableDialect(**values, descriptor=descriptor)


class _Wrong(Exception):
    """A property's value cannot be used; the message is one plain sentence."""


def _check_together(values: Mapping[str, Any], descriptor: Mapping[str, object], problems: ProblemList) -> None:
    _check_characters(values, problems)
    if values.get("header") is False and values.get("header_rows"):
        problems.add(join_pointer(ROOT, "headerRows"), "A table without a header has no header rows.")
    if values.get("header") is True and values.get("header_rows") == ():
        problems.add(join_pointer(ROOT, "headerRows"), "A table with a header needs at least one header row.")
    if shared := set(values.get("comment_rows", ())) & set(values.get("header_rows", ())):
        problems.add(join_pointer(ROOT, "commentRows"), f"Row {min(shared)} is a header row.")
    if values.get("sheet_name") is not None and values.get("sheet_number") is not None:
        problems.add(join_pointer(ROOT, "sheetNumber"), "Give either sheetName or sheetNumber, not both.")
    if "caseSensitiveHeader" in descriptor and descriptor["caseSensitiveHeader"] is not True:
        problems.add(join_pointer(ROOT, "caseSensitiveHeader"), "Labels are always compared case-sensitively, so this can only be true.")


def _check_characters(values: Mapping[str, Any], problems: ProblemList) -> None:
    characters = [
        (name, values[attribute])
        for name, attribute in (("delimiter", "delimiter"), ("quoteChar", "quote_char"), ("escapeChar", "escape_char"))
        if values.get(attribute)
    ]
    for index, (name, character) in enumerate(characters):
        for other, same in characters[:index]:
            # In v1 dialects an escape character equal to the quote character means doubled quotes.
            if character == same and {name, other} != {"quoteChar", "escapeChar"}:
                problems.add(join_pointer(ROOT, name), f"This must differ from {other}.")
    comment = values.get("comment_char")
    if comment and any(character in comment for _, character in characters):
        problems.add(join_pointer(ROOT, "commentChar"), "This must not contain the delimiter, the quote or the escape character.")
    if values.get("skip_initial_space") and values.get("delimiter") == " ":
        problems.add(join_pointer(ROOT, "skipInitialSpace"), "This cannot be used if the delimiter is a space.")


_MEANT = {
    "\\t": r'a tab? In JSON it is written "\t", with one backslash.',
    "tab": r'a tab? In JSON it is written "\t".',
    "comma": '","?',
    "semicolon": '";"?',
    "pipe": '"|"?',
    "colon": '":"?',
    "space": '" "?',
    "blank": '" "?',
    '\\"': r'the double quote? In JSON it is written "\"".',
}
"""What people mean who write more than one character."""


def _read_bool(value: object) -> bool:
    if not isinstance(value, bool):
        raise _Wrong(f"This must be true or false, not {describe_json_type(value)}.")
    return value


def _read_text(value: object) -> str:
    if not isinstance(value, str):
        raise _Wrong(f"This must be text, not {describe_json_type(value)}.")
    if len(value) > MAX_TEXT:
        raise _Wrong(f"This must have at most {MAX_TEXT} characters.")
    return value


def _read_character(value: object) -> str:
    text = _read_text(value)
    if len(text) != 1 or not text.isascii() or text in "\r\n":
        meant = _MEANT.get(text.strip().casefold())
        hint = f" Did you mean {meant}" if meant is not None else ""
        raise _Wrong(f"This must be one ASCII character, and not a line break.{hint}")
    return text


def _read_delimiter(value: object) -> str:
    return _read_character(value)


def _read_quote_char(value: object) -> str:
    return "" if value in ("", None) else _read_character(value)


def _read_escape_char(value: object) -> str | None:
    return None if value is None else _read_character(value)


def _read_line_terminator(value: object) -> str:
    text = _read_text(value)
    if text not in ("\n", "\r\n", "\r"):
        raise _Wrong(r"Only \n, \r\n and \r can be line terminators.")
    return text


def _read_null_sequence(value: object) -> str | None:
    return None if value is None else _read_text(value)


def _read_comment_char(value: object) -> str | None:
    if value is None:
        return None
    text = _read_text(value)
    if not text or "\n" in text or "\r" in text:
        raise _Wrong("This must be one or more characters without a line break.")
    return text


def _read_rows(value: object) -> tuple[int, ...]:
    if not isinstance(value, list):
        raise _Wrong(f"This must be a list of row numbers, not {describe_json_type(value)}.")
    if len(value) > MAX_ROW_LIST:
        raise _Wrong(f"This must name at most {MAX_ROW_LIST} rows.")
    rows: list[int] = []
    for row in value:
        if isinstance(row, bool) or not isinstance(row, int) or not 1 <= row <= MAX_ROW_NUMBER:
            raise _Wrong("Row numbers must be whole numbers, 1 or greater.")
        rows.append(row)
    if len(set(rows)) < len(rows):
        raise _Wrong("Each row may be named only once.")
    return tuple(sorted(rows))


def _read_header_rows(value: object) -> tuple[int, ...]:
    rows = _read_rows(value)
    if len(rows) > 100:  # noqa: PLR2004 - no real header comes near this limit
        raise _Wrong("A header must have at most 100 rows.")
    return rows


def _read_sheet_name(value: object) -> str:
    text = _read_text(value)
    if not text:
        raise _Wrong("This must not be empty.")
    return text


def _read_sheet_number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_ROW_NUMBER:
        raise _Wrong("This must be a whole number, 1 or greater.")
    return value


def _guess(name: str) -> str:
    folded = name.casefold().replace("_", "").replace("-", "")
    for known in _PROPERTIES:
        if known.casefold() == folded:
            return f" Did you mean {known}?"
    return ""


_PROPERTIES: Mapping[str, tuple[str, Callable[[object], object]]] = {
    "delimiter": ("delimiter", _read_delimiter),
    "quoteChar": ("quote_char", _read_quote_char),
    "escapeChar": ("escape_char", _read_escape_char),
    "doubleQuote": ("double_quote", _read_bool),
    "skipInitialSpace": ("skip_initial_space", _read_bool),
    "lineTerminator": ("line_terminator", _read_line_terminator),
    "nullSequence": ("null_sequence", _read_null_sequence),
    "header": ("header", _read_bool),
    "headerRows": ("header_rows", _read_header_rows),
    "headerJoin": ("header_join", _read_text),
    "commentChar": ("comment_char", _read_comment_char),
    "commentRows": ("comment_rows", _read_rows),
    "sheetName": ("sheet_name", _read_sheet_name),
    "sheetNumber": ("sheet_number", _read_sheet_number),
}

_METADATA = frozenset({"$schema", "name", "title", "description", "csvddfVersion", "caseSensitiveHeader"})

_REFUSED = {
    **dict.fromkeys(("property", "itemType", "itemKeys"), "This property is for JSON files, which are not read here."),
    "table": "This property is for databases, which are not read here.",
}
