"""Booleans, codes, formats of text and marks for nothing are inferred from their words."""

# ruff: noqa: RUF001 - words of other languages have letters that look like Latin ones
from __future__ import annotations

import pytest

from tests.features.processing.inference.infer_columns import bad_cells, find_errors, infer, infer_one


@pytest.mark.parametrize(
    ("cells", "true", "false"),
    [
        (["yes", "no", "yes"], ["yes", "Yes", "YES"], ["no", "No", "NO"]),
        (["Y", "N", "y"], ["y", "Y"], ["n", "N"]),
        (["yes", "n", "Y"], ["yes", "Yes", "YES", "y", "Y"], ["n", "N"]),
        (["on", "off", "oN"], ["on", "On", "ON", "oN"], ["off", "Off", "OFF"]),
        (["ja", "nein"], ["ja", "Ja", "JA"], ["nein", "Nein", "NEIN"]),
        (["oui", "non"], ["oui", "Oui", "OUI"], ["non", "Non", "NON"]),
        (["sí", "no", "si"], ["sí", "Sí", "SÍ", "si", "Si", "SI"], ["no", "No", "NO"]),
        (["да", "нет"], ["да", "Да", "ДА"], ["нет", "Нет", "НЕТ"]),
        (["はい", "いいえ"], ["はい"], ["いいえ"]),
        (["tRue", "false"], ["true", "True", "TRUE", "tRue"], ["false", "False", "FALSE"]),
        (["yes", "yes"], ["yes", "Yes", "YES"], ["no", "No", "NO"]),
    ],
)
def test_words_for_yes_and_no_make_a_boolean(cells: list[str], true: list[str], false: list[str]) -> None:
    assert infer_one(cells) == {"type": "boolean", "trueValues": true, "falseValues": false}
    assert bad_cells(cells) == []


def test_many_different_wrong_words_do_not_hide_a_boolean() -> None:
    wrong = [f"word {number}" for number in range(300)]
    assert bad_cells(["yes", "no"] * 2_000 + wrong) == wrong


def test_standard_words_need_no_lists() -> None:
    assert infer_one(["TRUE", "FALSE", "True"]) == {"type": "boolean"}


@pytest.mark.parametrize("cells", [["F", "F", "F"], ["N", "N"], ["F", "M", "F", "M"], ["yes", "no", "maybe", "never"], ["on", "under", "off", "over"]])
def test_other_words_are_text(cells: list[str]) -> None:
    assert infer_one(cells) == {"type": "string"}


def test_ones_and_zeros_are_whole_numbers() -> None:
    assert infer_one(["1", "0", "1"]) == {"type": "integer"}


@pytest.mark.parametrize(
    ("cells", "pattern", "bad"),
    [
        (["02134", "10001", "20001", "abcde"], r"\d{5}", ["abcde"]),
        (["00123", "0171", "55"], r"\d+", []),
        (["007", "12", "123", "12a"], r"\d+", ["12a"]),
        (["0049123456", "0043123456"], r"\d{10}", []),
        (["01", "02", "12"], r"\d{2}", []),
    ],
)
def test_digits_with_leading_zeros_are_codes(cells: list[str], pattern: str, bad: list[str]) -> None:
    assert infer_one(cells) == {"type": "string", "pattern": pattern}
    assert bad_cells(cells) == bad


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["0", "1", "2"], "integer"),
        (["0.5", "0.25", "0"], "number"),
        (["05", "-3", "-4", "12"], "integer"),
        (["00.5", "01.5", "12.5"], "number"),
        (["A01", "A02"], "string"),
    ],
)
def test_zeros_of_numbers_make_no_codes(cells: list[str], kind: str) -> None:
    assert infer_one(cells) == {"type": kind}


@pytest.mark.parametrize(
    ("cells", "form", "bad"),
    [
        (["ann@example.org", "bob@example.com", "c+d@e.fr", "user.example.org"], "email", ["user.example.org"]),
        (["https://a.org/x?y=1", "http://b.org", "https://c.org", "c.org"], "uri", ["c.org"]),
        (["123e4567-e89b-12d3-a456-426614174000"] * 3 + ["123"], "uuid", ["123"]),
    ],
)
def test_text_of_a_known_format_has_it(cells: list[str], form: str, bad: list[str]) -> None:
    assert infer_one(cells) == {"type": "string", "format": form}
    assert bad_cells(cells) == bad


@pytest.mark.parametrize(
    "cells",
    [
        ["https://a.org/ä", "https://b.org/x", "https://c.org/y", "https://d.org/z"],
        ["Title: one", "Title: two", "Title: three"],
        ["@ann", "@bob", "@cy"],
        ["a-b", "c-d", "e-f"],
    ],
)
def test_text_of_no_format_is_plain(cells: list[str]) -> None:
    assert infer_one(cells) == {"type": "string"}


@pytest.mark.parametrize(
    ("mark", "spellings"),
    [
        ("N/A", ["", "N/A", "n/a"]),
        ("-", ["", "-"]),
        ("NULL", ["", "NULL", "null"]),
        ("nil", ["", "nil", "NIL"]),
        ("None", ["", "None", "none", "NONE"]),
        (".", ["", "."]),
        ("?", ["", "?"]),
        ("\\N", ["", "\\N", "\\n"]),
        ("NaN", ["", "NaN", "nan", "NAN"]),
        (" - ", ["", " - ", "-"]),
    ],
)
@pytest.mark.parametrize("good", ["5", "31/12/2024", "yes", "00123", "ann@example.org", "1.234,50 €"])
def test_mark_for_nothing_is_a_missing_value_beside_values(mark: str, spellings: list[str], good: str) -> None:
    cells = [good] * 8 + [mark] * 3
    assert infer_one(cells)["missingValues"] == spellings
    assert bad_cells(cells) == []


@pytest.mark.parametrize("mark", ["NA", "-", "None"])
def test_mark_for_nothing_is_text_among_texts(mark: str) -> None:
    assert infer_one(["Ulm", "Bonn", "Kiel", mark]) == {"type": "string"}


def test_marks_do_not_make_a_column_required() -> None:
    assert not infer({"a": ["5"] * 9 + ["N/A"] * 4}).table_schema.fields[0].constraints.required
    assert infer({"a": ["5"] * 19 + ["N/A"]}).table_schema.fields[0].constraints.required


def test_mark_in_a_required_column_is_a_required_error() -> None:
    columns = {"a": ["5"] * 19 + ["N/A"]}
    assert find_errors(infer(columns).table_schema, columns) == {(20, "a"): "required-error"}
