"""A Table Dialect is either accepted completely or refused with every problem at its pointer."""

from __future__ import annotations

import pytest

from shared.descriptors.table_dialect import DescriptorInvalid, parse_table_dialect, parse_table_dialect_json


def _problems(descriptor: object) -> list[str]:
    with pytest.raises(DescriptorInvalid) as caught:
        parse_table_dialect_json(descriptor) if isinstance(descriptor, str) else parse_table_dialect(descriptor)
    assert all(problem.message.endswith((".", "?")) for problem in caught.value.problems)
    return [problem.pointer for problem in caught.value.problems]


def test_full_dialect_is_taken_and_kept_as_it_was() -> None:
    descriptor = {
        "$schema": "x",
        "delimiter": ";",
        "quoteChar": "'",
        "escapeChar": "\\",
        "doubleQuote": False,
        "skipInitialSpace": True,
        "lineTerminator": "\n",
        "nullSequence": "\\N",
        "header": True,
        "headerRows": [2, 1],
        "headerJoin": "-",
        "commentChar": "#!",
        "commentRows": [4],
        "sheetName": "Data",
    }
    dialect = parse_table_dialect(descriptor)
    assert (dialect.delimiter, dialect.quote_char, dialect.escape_char, dialect.double_quote) == (";", "'", "\\", False)
    assert (dialect.skip_initial_space, dialect.line_terminator, dialect.null_sequence) == (True, "\n", "\\N")
    assert (dialect.header, dialect.header_rows, dialect.header_join) == (True, (1, 2), "-")
    assert (dialect.comment_char, dialect.comment_rows, dialect.sheet_name, dialect.sheet_number) == ("#!", (4,), "Data", None)
    assert dialect.descriptor == descriptor


def test_empty_dialect_leaves_all_to_detection() -> None:
    dialect = parse_table_dialect_json("{}")
    assert (dialect.delimiter, dialect.quote_char, dialect.header, dialect.header_rows) == (None, None, True, (1,))


def test_table_without_header_has_no_header_rows() -> None:
    assert parse_table_dialect({"header": False}).header_rows == ()
    assert parse_table_dialect({"headerRows": []}).header is False


@pytest.mark.parametrize("quote", ["", None])
def test_file_without_quoting_can_be_said(quote: str | None) -> None:
    assert parse_table_dialect({"quoteChar": quote}).quote_char == ""


def test_v1_dialect_is_taken() -> None:
    assert parse_table_dialect({"csvddfVersion": 1.2, "delimiter": "\t", "caseSensitiveHeader": True}).delimiter == "\t"


def test_every_problem_is_told_at_its_pointer() -> None:
    assert _problems({"delimiter": ";;", "foo": 1, "sheetNumber": 0, "header": "no", "commentRows": ["x"], "lineTerminator": "|"}) == [
        "/dialect/delimiter",
        "/dialect/foo",
        "/dialect/sheetNumber",
        "/dialect/header",
        "/dialect/commentRows",
        "/dialect/lineTerminator",
    ]


@pytest.mark.parametrize(
    ("descriptor", "pointer"),
    [
        ([], "/dialect"),
        ("{", "/dialect"),
        ('{"delimiter": ",", "delimiter": ";"}', "/dialect"),
        ({"delimiter": "\n"}, "/dialect/delimiter"),
        ({"delimiter": "é"}, "/dialect/delimiter"),
        ({"delimiter": ""}, "/dialect/delimiter"),
        ({"delimiter": "'", "quoteChar": "'"}, "/dialect/quoteChar"),
        ({"delimiter": ";", "escapeChar": ";"}, "/dialect/escapeChar"),
        ({"delimiter": ";", "commentChar": ";"}, "/dialect/commentChar"),
        ({"delimiter": " ", "skipInitialSpace": True}, "/dialect/skipInitialSpace"),
        ({"header": False, "headerRows": [1]}, "/dialect/headerRows"),
        ({"header": True, "headerRows": []}, "/dialect/headerRows"),
        ({"headerRows": [0]}, "/dialect/headerRows"),
        ({"headerRows": [1, 1]}, "/dialect/headerRows"),
        ({"headerRows": [2], "commentRows": [2]}, "/dialect/commentRows"),
        ({"sheetName": "a", "sheetNumber": 1}, "/dialect/sheetNumber"),
        ({"sheetNumber": True}, "/dialect/sheetNumber"),
        ({"sheetName": ""}, "/dialect/sheetName"),
        ({"caseSensitiveHeader": False}, "/dialect/caseSensitiveHeader"),
        ({"quotechar": "'"}, "/dialect/quotechar"),
        ({"property": "rows"}, "/dialect/property"),
        ({"table": "t"}, "/dialect/table"),
        ({"headerJoin": "\x00"}, "/dialect/headerJoin"),
    ],
)
def test_what_cannot_be_honoured_is_refused(descriptor: object, pointer: str) -> None:
    assert _problems(descriptor) == [pointer]


@pytest.mark.parametrize(
    ("delimiter", "hint"),
    [
        ("\\t", r'Did you mean a tab? In JSON it is written "\t", with one backslash.'),
        ("TAB", r'a tab? In JSON it is written "\t".'),
        ("Semicolon", '";"?'),
        ("pipe", '"|"?'),
    ],
)
def test_delimiter_that_is_spelled_out_gets_a_hint(delimiter: str, hint: str) -> None:
    with pytest.raises(DescriptorInvalid) as caught:
        parse_table_dialect({"delimiter": delimiter})
    assert caught.value.problems[0].message.endswith(hint)


def test_delimiter_that_means_nothing_gets_no_hint() -> None:
    with pytest.raises(DescriptorInvalid) as caught:
        parse_table_dialect({"delimiter": "::"})
    assert caught.value.problems[0].message == "This must be one ASCII character, and not a line break."


@pytest.mark.parametrize(
    ("text", "said"),
    [('{"delimiter": "', "Unterminated string starting at line 1, column 15."), ('{"delimiter": "\n"}', "Invalid control character at line 1, column 16.")],
)
def test_text_that_is_no_json_is_told_its_place_in_one_sentence(text: str, said: str) -> None:
    with pytest.raises(DescriptorInvalid) as caught:
        parse_table_dialect_json(text)
    assert [problem.message for problem in caught.value.problems] == [f"This is not JSON: {said}"]
