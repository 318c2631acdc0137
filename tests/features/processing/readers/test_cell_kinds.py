"""What a cell looks like."""

from __future__ import annotations

import pytest

from features.processing.readers.cell_kinds import CellKind, find_kind


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        (CellKind.NUMBER, ["1", "-5", "1,5", "1.234,50", "1 234,5", "1'234.50", "1,23,456", "$5", "5 €", "12%", "(12.50)", "1e5", ".5", "5.", "٣"]),
        (
            CellKind.DATE,
            ["2024-01-01", "31/12/2024", "1.2.24", "3 Jan 2024", "Jan 3, 2024", "2024-01-01T15:30:00Z", "2024-01-01 15:30:00", "12/31/2024 3:30 PM"],
        ),
        (CellKind.TIME, ["12:30", "12:30:59", "3:30 pm"]),
        (CellKind.BOOLEAN, ["yes", "No", "TRUE", "ja", "non"]),
        (CellKind.ADDRESS, ["a@b.example", "https://x.example/a?b=1,2", "127.0.0.1", "123e4567-e89b-12d3-a456-426614174000"]),
        (CellKind.EMPTY, ["", "  ", "N/A", "null", "-", "\\N"]),
        (CellKind.TEXT, ["Ann", "Doe, Jane", "see this; then that", "DE00 1234", "it's", "12 kg", "abc123", "x" * 100]),
        (CellKind.ODD, ["a|b", "5;2;3", "5;", "a,b", 'say "hi', "x,y" * 100]),
    ],
)
def test_cells_have_the_kind_that_a_reader_would_see(kind: CellKind, texts: list[str]) -> None:
    assert {text: find_kind(text) for text in texts} == dict.fromkeys(texts, kind)


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "text", ["1" * 64, "1." * 32, "1 " * 32, "a" * 63 + "1", "1-" * 32, "a@" * 32, "." * 64 + "1", "(" * 64, "1,23" * 16, "$" * 64, "1e" * 32]
)
def test_no_cell_takes_long(text: str) -> None:
    for length in range(1, len(text) + 1):
        find_kind(text[:length])
