"""The header among the first rows of a table."""

from __future__ import annotations

import pytest

from features.processing.readers.find_header import find_header, find_names

BODY = ["1,Ann,5.5,2024-01-01", "2,Bob,6.5,2024-01-02", "3,Cy,7.5,2024-01-03"]


def find(lines: list[str], field_names: list[str] | None = None) -> tuple[int, bool]:
    """Return the index in `lines` of the header, and whether it looks like a record; blank lines are passed on as readers do."""
    rows, places, starts_section = [], [], []
    is_after_blank = False
    for place, line in enumerate(lines):
        if not line.strip(","):
            is_after_blank = True
            continue
        rows.append(line.split(","))
        places.append(place)
        starts_section.append(is_after_blank)
        is_after_blank = False
    found = find_header(rows, starts_section=starts_section, field_names=field_names)
    assert found is not None
    return places[found.index], found.is_record


@pytest.mark.parametrize(
    ("above", "header"),
    [
        ([], "id,name,price,day"),
        (["Report"], "id,name,price,day"),
        (["Report", "May 2024"], "id,name,price,day"),
        (["Report,,,", "May,,,"], "id,name,price,day"),
        (["Account,DE00 1234", "From,2024-01-01", ""], "id,name,price,day"),
        (["Account,DE00 1234,,", "From,2024-01-01,,"], "id,name,price,day"),
        (["Shop,All,shops,north", "", ""], "id,name,price,day"),
        (["Report"], "id,name,price"),
        (["Created by Ann,in Ulm,on Monday,in May,again"], "id,name,price,day"),
        (["Report"], "id,name,price,day,note"),
        (["Report"], "id,name,price,day,"),
        ([], "id,,price,day"),
        ([], ",name,price,day"),
        ([], "id,name"),
    ],
)
def test_first_row_that_is_as_wide_as_the_table_and_holds_labels_is_the_header(above: list[str], header: str) -> None:
    assert find([*above, header, *BODY]) == (len(above), False)


@pytest.mark.parametrize(
    "lines",
    [
        BODY,
        ["Report", *BODY],
        ["a,1", "b,2", "c,3"],
        ["1", "2", "3"],
        ["1,2,3", "4,5,6", "7,8,9"],
        ["DE,2019", "FR,2021", "IT,1990"],
        ["x@a.example", "y@a.example", "z@a.example"],
    ],
)
def test_first_row_that_looks_like_a_record_is_the_header_and_said_to_be_one(lines: list[str]) -> None:
    assert find(lines) == (lines.index("Report") + 1 if "Report" in lines else 0, True)


@pytest.mark.parametrize(
    "lines",
    [
        ["name,city", "Ann,Ulm", "Bob,Bonn"],
        ["name", "Ann", "Bob"],
        ["country,2019,2020,2021", "DE,5,6,7", "FR,6,7,8"],
        ["country,2019,2020", "DE,1990,1950", "FR,1992,1999"],
        ["country,2024", "DE,5", "FR,6"],
        ["region,1,2,3,4", "N,10,20,35,40", "S,11,25,30,41"],
        [",qty", "A,5", "B,6"],
        ["id,name,price,day"],
        ["id,qty", "n/a,x", "1,5", "2,6", "3,7"],
        ["m,s", "5,x", "6,y"],
    ],
)
def test_first_row_of_a_table_without_titles_is_the_header(lines: list[str]) -> None:
    assert find(lines) == (0, False)


@pytest.mark.parametrize(
    ("lines", "names", "index"),
    [
        (["Monthly list", "made by hand,,", "id,qty,born", "1,5,2024-01-01"], ["id", "qty", "born"], 2),
        (["one,two,three", "id,qty,born", "a,b,c"], ["id", "qty", "born"], 1),
        (["one,two,three", " ID ,Q.T.Y,Born", "a,b,c"], ["id", "qty", "born"], 1),
        (["id,qty,born", "id,qty,born", "1,5,2024-01-01"], ["id", "qty", "born"], 0),
        (["qty,id", "1,5"], ["id", "qty", "born"], 0),
        (["ident,number", "id,5", "x,6"], ["id", "qty"], 0),
        (["key,number", "1,5", "2,6"], ["id", "qty"], 0),
        (["1,5", "2,6", "id,qty"], ["id", "qty"], 2),
    ],
)
def test_row_whose_labels_fit_the_schema_best_is_the_header(lines: list[str], names: list[str], index: int) -> None:
    assert find(lines, names)[0] == index


def test_names_below_the_fiftieth_row_are_no_header() -> None:
    assert find([*["x,y"] * 50, "id,qty"], ["id", "qty"])[0] == 0


def test_no_rows_have_no_header() -> None:
    assert find_header([], starts_section=[], field_names=None) is None


@pytest.mark.parametrize(
    ("row", "score"),
    [(["a", "b"], 2.0), (["a", "b", "A"], 2.9), (["a", "A", "B"], 2.8), (["b", "c", "a", " "], 2.0), (["A", "B"], 1.8), (["c", "d"], None), (["a", "c"], None)],
)
def test_names_that_only_resemble_count_less_whatever_else_there_is(row: list[str], score: float | None) -> None:
    found = find_names([row], ["a", "b"])
    assert (None if found is None else pytest.approx(found[1])) == score
