"""Detection of the delimiter, the quote and escape characters and initial blanks, from all rows of a sample."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.processing.readers.base import ReadLimits
from features.processing.readers.csv.detect_dialect import NO_DELIMITER, detect_dialect, find_sep_line
from features.processing.readers.csv.grammar import CsvGrammar
from features.processing.readers.csv.table import open_csv


def detect(text: str) -> CsvGrammar:
    return detect_dialect(text.encode(), CsvGrammar(), find_delimiter=True, find_quote=True, find_escape=True, find_space=True, skip_rows=0)


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        # Titles, notes and labels with another delimiter in them.
        ("Sales 2024, all shops\nshop;qty\nA;5\nB;6\n", ";"),
        ("Report; all\nid\tqty\n1\t5\n2\t6\n", "\t"),
        ("Made by Ann, Bob\n\nid|qty|day\n1|5|2024-01-01\n2|6|2024-01-02\n", "|"),
        ("Sum, net;Tax, 19%\n10,50;1,99\n20,50;3,99\n", ";"),
        ("id;qty\n1;5\n2;6\nTotal, all: 11\n", ";"),
        ("Export\nUser: x\nFilter: a, b, c\n\na;b;c;d\n1;2;3;4\n2;3;4;5\n", ";"),
        # Decimal commas, times and lists in cells.
        ("a;b\n1,5;2,5\n3,5;4,5\n5,5;6,5\n", ";"),
        ("name;pos\nA;48.1,11.5\nB;49.2,12.3\n", ";"),
        ("id,tags,qty\n1,a;b,5\n2,b;c;d,6\n3,c,7\n", ","),
        ("id;tags\n1;a,b,c\n2;d,e,f\n3;g,h,i\n", ";"),
        ("id;tags;n\n1;a|b|c;5\n2;d|e|f;6\n3;g|h|i;7\n", ";"),
        ("id;at\n1;2024-01-01 10:00:00,123\n2;2024-01-01 10:00:01,456\n", ";"),
        ("id,note\n1,see this; then that\n2,ok; fine\n3,yes; no\n", ","),
        ("a,b\n1;2;3,4;5;6\nx;y,z;w\n", ","),
        ('id,text\n1,"a|b\nc|d|e\nf|g|h"\n2,x\n', ","),
        # Rows and headers that are a delimiter short or long.
        ("a, b;c;d\n1,5;2;3;\n2,5;3;4;\n3,5;x;5;\n", ";"),
        ("id,name\n1,Ann,5\n2,Bob,6\n3,Cy,7\n", ","),
        ("id;name;qty;\n1;Ann;5\n2;Bob;6\n", ";"),
        # One column.
        ("when\n2024-01-01 15:30:00\n2024-01-02 15:30:00\n", ","),
        ("first last\nJohn Smith\nJane Doe\n", ","),
        ("address\nhttp://a.example/c\nhttp://a.example/d:e\n", ","),
        ('n\n"1,234"\n"12,345"\n', ","),
        ("price\n1,50\n2,75\n3,00\n", NO_DELIMITER),
        ("note\nHello, world\nThis is, well, prose\nGood\n", NO_DELIMITER),
        ("a,b\n1\n2\n3\n", ","),
        # Last resorts.
        ("id^note\n1^Hello, you\n2^Bye, now; ok\n", "^"),
        ("id~name~qty\n1~Ann~2\n2~Bob~3\n", "~"),
        ("root:x:0:0:root:/root\nbin:x:1:1:bin:/bin\nmail:x:8:12:mail:/var\n", ":"),
        ("id qty\n1 5\n2 6\n3 7\n", " "),
        ("id   name  qty\n1    Ann    15\n22   Bob     6\n333  Cy      7\n", " "),
        ("time,note\n12:30,a:b\n13:30,c:d\n", ","),
    ],
)
def test_delimiter_that_makes_a_table_of_all_rows_is_found(text: str, delimiter: str) -> None:
    assert detect(text).delimiter == delimiter


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("a;b\n'x; y';1\n'z';2\n", "'"),
        ("id,word\n'1','a'\n'2','b'\n", "'"),
        ("id,word,qty\n1,'hi',5\n2,'bye',6\n3,'tis,7\n4,it's,7\n", '"'),
        ("id,word\n1,'90s\n2,o'clock\n3,'em\n", '"'),
        ("a,b\n\"x, y\",'z'\n\"v\",'w'\n", '"'),
    ],
)
def test_single_quotes_enclose_cells_only_where_they_are_no_apostrophes(text: str, quote: str) -> None:
    assert detect(text).quote_char == quote


@pytest.mark.parametrize(
    ("text", "escape"),
    [
        ('id,said\n1,"he said \\"hi, you\\" twice"\n2,"no"\n', "\\"),
        ('id;said\n1;"5\\" pipe"\n2;"no"\n', "\\"),
        ("id,said\n1,'it\\'s, well'\n2,'no'\n3,'yes'\n", "\\"),
        ('id,path\n1,"C:\\data\\"\n2,"D:\\"\n', None),
        ('id,said\n1,"he said ""hi"""\n2,"C:\\new"\n', None),
        ("id,path\n1,C:\\data\n2,D:\\new\n", None),
    ],
)
def test_backslash_escapes_only_where_quotes_follow_it_inside_cells(text: str, escape: str | None) -> None:
    assert detect(text).escape_char == escape


@pytest.mark.parametrize(
    ("text", "skips"),
    [
        ("age, job\n39, clerk\n50, boss\n", True),
        ('id, name\n1, "Doe, Jane"\n2, "Ray, Bob"\n', True),
        ("a; b; c\n1; 2; 3\n4; 5; 6\n", True),
        ("id,name\n1,Ann\n2, Bob\n3,Cy\n", False),
        ("id,name\n1,Ann \n2,Bob \n", False),
        ("note\nHello, world\nThis is, well, prose\nGood\n", False),
    ],
)
def test_blanks_behind_the_delimiters_of_all_rows_are_skipped(text: str, skips: bool) -> None:
    assert detect(text).skip_initial_space is skips


@pytest.mark.parametrize(
    ("line", "delimiter"),
    [
        (b"sep=;\n", ";"),
        (b"SEP=,\r\n", ","),
        (b'"sep=|"\r\n', "|"),
        (b"sep=\t\r", "\t"),
        (b"sep=\\t\n", "\t"),
        (b"sep=;;\n", ";"),
        (b"sep=", None),
        (b"sep=a\n", None),
        (b"sep;b\n", None),
        (b"separator=;\n", None),
        (b"x\nsep=;\n", None),
        (b"sep=;x\n", None),
    ],
)
def test_sep_line_names_the_delimiter(line: bytes, delimiter: str | None) -> None:
    assert find_sep_line(line) == delimiter


WORDS = st.sampled_from(["Ann", "Bob", "Ulm", "Bonn, north", "so; so", "it's", "x y", "Kiel", "Oslo", "red"])
COLUMNS = {
    # A year above other numbers may be a label.
    "number": st.integers(3_000, 99_999).map(str),
    "decimal": st.integers(0, 99_999).map(lambda number: f"{number // 100},{number % 100:02d}"),
    "day": st.dates().map(str),
    "word": WORDS,
}


TITLES = ("", "Report May\n", "Sales, north and south\n", "List of all; made by hand\n\n", "Made by|Ann\nin May\n")


@dataclass(frozen=True)
class RandomTable:
    """The text of a table, and how it is laid out."""

    text: str
    delimiter: str
    header_row: int


@st.composite
def tables(draw: st.DrawFn) -> RandomTable:
    delimiter = draw(st.sampled_from([",", ";", "\t", "|"]))
    kinds = draw(st.lists(st.sampled_from(sorted(COLUMNS)), min_size=3, max_size=6).filter(lambda kinds: any(kind != "word" for kind in kinds)))
    text = io.StringIO(newline="")
    quoting: Literal[0, 1] = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    writer = csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator=draw(st.sampled_from(["\n", "\r\n"])))
    title = draw(st.sampled_from([title for title in TITLES if delimiter not in title]))
    text.write(title)
    labels = [f"{kind}_{number}" for number, kind in enumerate(kinds)]
    writer.writerow(draw(st.sampled_from([labels, labels[:-1], [*labels, "more"], [*labels, ""]])))
    end = draw(st.sampled_from([[], [], [""]]))
    for _ in range(draw(st.integers(4, 12))):
        writer.writerow([*(draw(COLUMNS[kind]) for kind in kinds), *end])
    return RandomTable(text.getvalue(), delimiter, title.count("\n") + 1)


@pytest.mark.slow
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(table=tables())
def test_delimiter_and_header_of_a_random_table_are_found(tmp_path_factory: pytest.TempPathFactory, table: RandomTable) -> None:
    path = tmp_path_factory.getbasetemp() / "random.csv"
    path.write_bytes(table.text.encode())
    opened = open_csv(path, dialect=None, encoding="utf-8", limits=ReadLimits())
    opened.close()
    assert (opened.source.delimiter, opened.source.header_row) == (table.delimiter, table.header_row)
