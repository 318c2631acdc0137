"""The layout of a table in its file: labels, ragged and blank rows, dialects, encodings, workbooks."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from tests.peer.case import PLAIN, Case, Cells, Descriptor, fields, text_case

ABC = fields({"name": "a", "type": "integer"}, "b", {"name": "c", "type": "number"})
_STRICT = fields({"name": "a", "type": "integer", "constraints": {"required": True}}, "b", {"name": "c", "type": "number", "constraints": {"required": True}})

LABELS = (
    text_case("labels-right", ABC, "a,b,c\n1,x,1.5\n2,y,z\n"),
    text_case("label-incorrect", ABC, "a,B,c\n1,x,1.5\nq,y,2\n"),
    text_case("labels-swapped", ABC, "b,a,c\nx,1,1.5\n2,y,2\n"),
    text_case("label-missing", ABC, "a,b\n1,x\n2,y\n"),
    text_case("label-extra", ABC, "a,b,c,d\n1,x,1.5,more\n2,y,z,\n"),
    text_case("label-blank", ABC, "a,,c\n1,x,1.5\nq,y,2\n"),
    text_case("label-duplicate", ABC, "a,b,b\n1,x,1.5\n2,y,z\n"),
    text_case("label-padded", ABC, "a, b,c \n1,x,1.5\n"),
    text_case("label-extra-blank", ABC, "a,b,c,\n1,x,1.5,\n"),
    text_case("label-extra-duplicate", ABC, "a,b,c,a\n1,x,1.5,2\n"),
    text_case("header-only", ABC, "a,b,c\n"),
    text_case("header-none", ABC, "1,x,1.5\nq,y,2\n3,z,w\n", {**PLAIN, "header": False}),
    text_case("header-none-ragged", ABC, "1,x,1.5\n2,y\n3,z,3,more\n", {**PLAIN, "header": False}),
    text_case("header-two-rows", fields({"name": "a x", "type": "integer"}, "b y"), "a,b\nx,y\n1,p\nq,r\n", {**PLAIN, "headerRows": [1, 2]}),
    text_case("header-below", ABC, "a report\nof today\na,b,c\n1,x,1.5\nq,y,2\n", {**PLAIN, "headerRows": [3]}),
)

MATCHES = tuple(
    text_case(f"fields-match-{kind}-{name}", {**ABC, "fieldsMatch": kind}, text)
    for kind in ("exact", "equal", "subset", "superset", "partial")
    for name, text in {
        "same": "a,b,c\n1,x,1.5\nq,y,z\n",
        "order": "c,a,b\n1.5,1,x\nz,q,y\n",
        "fewer": "a,c\n1,1.5\nq,z\n",
        "more": "a,b,c,d\n1,x,1.5,m\nq,y,z,n\n",
        "other": "x,y\n1,2\n3,4\n",
    }.items()
)

ROWS = (
    text_case("row-short", ABC, "a,b,c\n1,x\n2\n3,z,3\n"),
    text_case("row-long", ABC, "a,b,c\n1,x,1.5,more\n2,y,2,,\n3,z,3\n"),
    text_case("row-short-required", _STRICT, "a,b,c\n1,x\n2\n3,z,3\n"),
    text_case("row-short-and-wrong", ABC, "a,b,c\nq,x\nr\n3,z,3,4\ns,z,t,u\n"),
    text_case("row-blank", ABC, "a,b,c\n1,x,1.5\n\n2,y,2\n,,\n3,z,3\n"),
    text_case("row-blank-run", ABC, "a,b,c\n1,x,1.5\n\n\n,,\n2,y,2\n"),
    text_case("row-blank-last", ABC, "a,b,c\n1,x,1.5\n\n\n"),
    text_case("row-blank-last-cells", ABC, "a,b,c\n1,x,1.5\n,,\n"),
    text_case("row-blank-first", ABC, "a,b,c\n\n1,x,1.5\n"),
    text_case("row-blank-before-header", ABC, "\na,b,c\n1,x,1.5\n"),
    text_case("row-of-missing-values", {**ABC, "missingValues": ["", "NA"]}, "a,b,c\n1,x,1.5\nNA,NA,NA\n,NA,\n2,y,2\n"),
    text_case("row-blank-required", _STRICT, "a,b,c\n1,x,1.5\n\n2,y,2\n"),
    text_case("row-of-blanks", ABC, "a,b,c\n1,x,1.5\n , ,\n2,y,2\n"),
    text_case("row-without-line-end", ABC, "a,b,c\n1,x,1.5\nq,y,2"),
)

QUOTES = (
    text_case("quoted-line-break", ABC, 'a,b,c\n1,"x\ny",1.5\nq,"z\r\nw",2\n3,v,w\n'),
    text_case("quoted-delimiter", ABC, 'a,b,c\n1,"x,y",1.5\n"2","z""w",q\n'),
    text_case("quoted-number", ABC, 'a,b,c\n"1",x,"1.5"\n"q","","2"\n'),
    text_case("quote-inside", ABC, 'a,b,c\n1,5" pipe,1.5\nq,6" pipe,2\n'),
    text_case("quote-open", ABC, 'a,b,c\n1,x,1.5\n2,"y,2\n3,z,3\n'),
    text_case("quote-single", ABC, "a,b,c\n1,'x,y',1.5\nq,z,2\n", {**PLAIN, "quoteChar": "'"}),
    text_case("quote-none", ABC, 'a,b,c\n1,"x,1.5\nq,y",2\n', {"delimiter": ",", "quoteChar": None}),
    text_case("quote-escaped", ABC, 'a,b,c\n1,"x \\" y",1.5\nq,z,2\n', {"delimiter": ",", "quoteChar": '"', "escapeChar": "\\", "doubleQuote": False}),
    text_case("line-end-crlf", ABC, "a,b,c\r\n1,x,1.5\r\nq,y,2\r\n"),
    text_case("line-end-cr", ABC, "a,b,c\r1,x,1.5\rq,y,2\r"),
)

DIALECTS = (
    text_case("semicolon", ABC, "a;b;c\n1;x,y;1.5\nq;z;2\n", {"delimiter": ";"}),
    text_case("tab", ABC, "a\tb\tc\n1\tx y\t1.5\nq\tz\t2\n", {"delimiter": "\t"}),
    text_case("pipe", ABC, "a|b|c\n1|x|1.5\nq|y|2\n", {"delimiter": "|"}),
    text_case("caret", ABC, "a^b^c\n1^x^1.5\nq^y^2\n", {"delimiter": "^"}),
    text_case("initial-space", ABC, 'a, b, c\n1, "x, y", 1.5\nq, z, 2\n', {"delimiter": ",", "skipInitialSpace": True}),
    text_case("comment-char", ABC, "# made today\na,b,c\n1,x,1.5\n# a remark, of two\nq,y,2\n", {**PLAIN, "commentChar": "#"}),
    text_case("comment-rows", ABC, "a,b,c\nunits,none,kg\n1,x,1.5\nq,y,2\n", {**PLAIN, "commentRows": [2]}),
    text_case("null-sequence", ABC, "a,b,c\n1,x,1.5\n\\N,y,\\N\nq,\\N,2\n", {**PLAIN, "nullSequence": "\\N"}),
    text_case("detect-comma", ABC, "a,b,c\n" + "".join(f"{n},name {n},{n}.5\n" for n in range(30)) + "q,y,2\n", None),
    text_case("detect-semicolon", ABC, "a;b;c\n" + "".join(f"{n};name {n};{n}.5\n" for n in range(30)) + "q;y;2\n", None),
    text_case("detect-tab", ABC, "a\tb\tc\n" + "".join(f"{n}\tname {n}\t{n}.5\n" for n in range(30)) + "q\ty\t2\n", None),
    text_case("detect-pipe", ABC, "a|b|c\n" + "".join(f"{n}|name {n}|{n}.5\n" for n in range(30)) + "q|y|2\n", None),
    text_case("detect-quoted", ABC, "a,b,c\n" + "".join(f'{n},"name, {n}",{n}.5\n' for n in range(30)) + 'q,"y",2\n', None),
)

NAMES = fields({"name": "a", "type": "integer"}, {"name": "name", "type": "string", "constraints": {"maxLength": 6}})
_NAMES_TEXT = "a,name\n1,Zoë\nq,Jürgen\n3,Françoise\n4,Øyvind\n"

ENCODINGS = (
    text_case("utf-8", NAMES, _NAMES_TEXT),
    text_case("utf-8-bom", NAMES, _NAMES_TEXT, encoding="utf-8-sig"),
    text_case("utf-16", NAMES, _NAMES_TEXT, encoding="utf-16", told=True),
    text_case("utf-16-untold", NAMES, _NAMES_TEXT, encoding="utf-16"),
    text_case("cp1252", NAMES, _NAMES_TEXT + "5,30 €\n", encoding="cp1252", told=True),
    text_case("iso-8859-2", NAMES, "a,name\n1,Łódź\nq,Gdańsk\n", encoding="iso-8859-2", told=True),
    text_case("shift-jis", NAMES, "a,name\n1,日本\nq,東京\n", encoding="shift_jis", told=True),
    Case(name="utf-8-broken", schema=NAMES, content="a,name\n1,Zoë\n".encode() + b"2,Z\xff\nq,x\n", dialect=PLAIN, encoding="utf-8"),
)

DAY = dt.date(2024, 1, 31)
BOOK = fields(
    {"name": "id", "type": "integer"}, "name", {"name": "price", "type": "number"}, {"name": "day", "type": "date"}, {"name": "ok", "type": "boolean"}
)
_BOOK_LABELS: list[object] = ["id", "name", "price", "day", "ok"]
_BOOK_ROWS: Cells = [_BOOK_LABELS, [1, "Ann", 1.5, DAY, True], ["x", "Bob", "y", "z", "maybe"], [3, "Cyd", 3, DAY, False], [4.5, "Dan", -2.25, DAY, True]]
_TEXT_ROWS: Cells = [_BOOK_LABELS, ["1", "Ann", "1.5", "2024-01-31", "true"], ["x", "Bob", "y", "2024-02-30", "maybe"], ["3", "", "3", "2024-01-31", "0"]]
_SPARSE_ROWS: Cells = [_BOOK_LABELS, [1, "Ann", 1.5, DAY, True], [None] * 5, [2, None, None, None, None], [None, "Eve", None, None, None]]
_REQUIRED_BOOK = fields(
    {"name": "id", "type": "integer", "constraints": {"required": True, "unique": True}}, {"name": "name", "type": "string", "constraints": {"required": True}}
)


def _book(name: str, suffix: str, rows: Cells, schema: Descriptor = BOOK) -> Case:
    return Case(name=f"{suffix}-{name}", suffix=suffix, schema=schema, content={"data": rows})


def _second_sheet(name: str, suffix: str, dialect: Descriptor) -> Case:
    sheets: Mapping[str, Cells] = {"notes": [["nothing"]], "data": [["id", "name"], [1, "Ann"], ["x", "Bob"]]}
    return Case(name=f"{suffix}-{name}", suffix=suffix, schema=_REQUIRED_BOOK, content=sheets, dialect=dialect)


BOOKS = tuple(
    case
    for suffix in ("xlsx", "xls")
    for case in (
        _book("values", suffix, _BOOK_ROWS),
        _book("texts", suffix, _TEXT_ROWS),
        _book("sparse", suffix, _SPARSE_ROWS),
        _book("required", suffix, [["id", "name"], [1, "Ann"], [None, "Bob"], [2, None], [1, "Cyd"]], _REQUIRED_BOOK),
        _book("labels", suffix, [["id", "nom", "price", None, "ok"], [1, "Ann", 1.5, DAY, True]]),
        _book("wide", suffix, [["id", "name"], [1, "Ann", "more"], [2, "Bob"]], _REQUIRED_BOOK),
        _book("numbers-as-names", suffix, [["id", "name"], [1, 5], [2, 2.5], [3, True], [4, DAY]], _REQUIRED_BOOK),
        _book("blank-last", suffix, [["id", "name"], [1, "Ann"], [None, None], ["x", "Bob"], [None, ""]], _REQUIRED_BOOK),
        _second_sheet("second-sheet", suffix, {"sheetNumber": 2}),
        _second_sheet("named-sheet", suffix, {"sheetName": "data"}),
    )
)

FORMULAS = Case(
    name="xlsx-error-values",
    suffix="xlsx",
    schema=fields({"name": "id", "type": "integer"}, "name"),
    content={"data": [["id", "name"], [1, "Ann"], ["#N/A", "Bob"], [3, "#DIV/0!"]]},
)

LAYOUT_CASES: tuple[Case, ...] = (*LABELS, *MATCHES, *ROWS, *QUOTES, *DIALECTS, *ENCODINGS, *BOOKS, FORMULAS)
