"""Numbers are inferred in the form that a column has, and cells in no such form are found."""

from __future__ import annotations

import pytest

from tests.features.processing.inference.infer_columns import bad_cells, describe, infer, infer_one

_WHOLE = {"type": "integer"}
_NUMBER = {"type": "number"}


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["10", "20", "30", "12.5"], _NUMBER),
        (["1", "2", "3", "4,5"], {"type": "number", "decimalChar": ","}),
        (["1"] * 50 + ["2.5"], _NUMBER),
        (["-1", "+2", "3"], _WHOLE),
        (["1e5", "2.5E-3", "7"], _NUMBER),
        ([".5", "-.25", "1."], _NUMBER),
        (["1.234,50", "99,00", "5,00"], {"type": "number", "decimalChar": ",", "groupChar": "."}),
        (["1,234.50", "99.00", "5"], {"type": "number", "groupChar": ","}),
        (["1,234", "12", "1,234,567"], {"type": "integer", "groupChar": ","}),
        (["1.234", "12", "1.234.567"], {"type": "integer", "groupChar": "."}),
        (["1 234", "12", "1 234 567"], {"type": "integer", "groupChar": " "}),
        (["1\u00a0234", "12"], {"type": "integer", "groupChar": "\u00a0"}),
        (["1\u202f234,5", "12"], {"type": "number", "decimalChar": ",", "groupChar": "\u202f"}),
        (["1'234.50", "12.00"], {"type": "number", "groupChar": "'"}),
        (["1’234", "12"], {"type": "integer", "groupChar": "’"}),  # noqa: RUF001 - as Swiss write it
        (["12,34,567", "1,23,456", "999"], {"type": "integer", "groupChar": ","}),
        (["$1,234.50", "-$5.00", "$7"], {"type": "number", "groupChar": ",", "bareNumber": False}),
        (["1.234,50 €", "5,00 €"], {"type": "number", "decimalChar": ",", "groupChar": ".", "bareNumber": False}),
        (["EUR 5", "USD 7", "CHF 9"], {"type": "integer", "bareNumber": False}),
        (["5%", "17%", "100%"], {"type": "integer", "bareNumber": False}),
        (["5,5 %", "17,0 %"], {"type": "number", "decimalChar": ",", "bareNumber": False}),
        (["(1,234.50)", "99.00", "1,000.00"], {"type": "number", "groupChar": ",", "bareNumber": False}),
        (["$ (1,234.50)", "$ 99.00", "$ 1,000.00"], {"type": "number", "groupChar": ",", "bareNumber": False}),
        (["12", "13", "14", "7-"], {"type": "integer", "bareNumber": False}),
        ([" 1", " 2", "10"], {"type": "integer", "bareNumber": False}),
    ],
)
def test_column_has_the_form_that_its_numbers_have(cells: list[str], expected: dict[str, object]) -> None:
    assert infer_one(cells) == expected
    assert bad_cells(cells) == []


@pytest.mark.parametrize(
    "cells",
    [
        ["1.2.3", "1.2.4", "1.10.0"],
        ["192.168.0.1", "10.0.0.255", "127.0.0.1"],
        ["12 kg", "3 kg", "7 kg"],
        ["110 00", "602 00", "301 00"],
        ["A1", "B2", "C3"],
        ["1-2", "3-4", "5-6"],
        ["1/2", "1/3", "1/4"],
        ["12 34 56", "23 45 67", "34 56 78"],
        ["0171 1234567", "030 123456", "089 1234"],
        ["-", "-", "-"],
    ],
)
def test_what_only_looks_like_a_number_is_text(cells: list[str]) -> None:
    assert infer_one(cells) == {"type": "string"}


@pytest.mark.parametrize(
    ("cells", "bad"),
    [
        (["1.234,50", "99,00", "7,00", "5,00", "abc"], ["abc"]),
        (["1.234,50", "99,00", "7,00", "5,00", "1.23,5"], ["1.23,5"]),
        (["1,234", "12,345", "1,234,567", "999", "0,99"], ["0,99"]),
        (["12.5", "13.5", "14.5", "15,5"], ["15,5"]),
        (["10", "20", "30", "40 EUR"], ["40 EUR"]),
        (["10", "20", "30", "40 "], ["40 "]),
        (["5 %", "7 %", "9 %", "frei"], ["frei"]),
        (["$5", "$7", "$1,000,000", "$1,00"], ["$1,00"]),
    ],
)
def test_cell_in_another_form_is_found(cells: list[str], bad: list[str]) -> None:
    assert bad_cells(cells) == bad


@pytest.mark.parametrize(
    ("cells", "other", "expected"),
    [
        (["1.234", "5.678", "9.012"], ["x"], _NUMBER),
        (["1,234", "5,678", "9,012"], ["x"], {"type": "integer", "groupChar": ","}),
        (["1.234", "5.678", "9.012"], ["12,50", "7,1"], {"type": "integer", "groupChar": "."}),
        (["1,234", "5,678", "9,012"], ["12,50", "7,1"], {"type": "number", "decimalChar": ","}),
        (["1.234", "5.678", "9.012"], ["12.50", "7.1"], _NUMBER),
        (["1,234", "5,678", "9,012"], ["1.234.567", "7"], {"type": "number", "decimalChar": ","}),
        (["1.234", "5.678", "9.012", "7", "80", "999"], ["x"], {"type": "integer", "groupChar": "."}),
        (["1.234", "5.678", "9.012", "7", "80", "9999"], ["x"], _NUMBER),
        (["1,234", "5,678", "9,012", "7", "80", "9999"], ["x"], {"type": "number", "decimalChar": ","}),
        (["1.234", "5.678", "9.012", "7", "80", "999"], ["12.50", "7.1"], _NUMBER),
        (["1.234", "5.678", "9.012"], ["31.12.2024", "01.02.2024"], {"type": "integer", "groupChar": "."}),
        (["1,234", "5,678", "9,012"], ["31.12.2024", "01.02.2024"], {"type": "number", "decimalChar": ","}),
        (["1,234", "5,678", "9,012"], ["31/12/2024", "01/02/2024"], {"type": "integer", "groupChar": ","}),
        (["0,123", "5,678", "9,012"], ["x"], {"type": "number", "decimalChar": ","}),
        (["0.123", "5.678", "9.012"], ["12,50", "7,1"], _NUMBER),
        (["1,234", "5,678", "9,01"], ["12.50", "7.1"], {"type": "number", "decimalChar": ","}),
    ],
)
def test_one_mark_before_three_digits_is_read_as_the_rest_of_the_file_is(cells: list[str], other: list[str], expected: dict[str, object]) -> None:
    assert describe(infer({"a": cells, "b": other}), 0) == expected
