"""Text files as people send them, and what reading them must give: for each kind of file some that are of it, and some that only look like it.

Each case names a kind:

A the delimiter is what makes a table of all rows · B one bad byte does not change the encoding · C one decimal makes a column of numbers · D labels that are
those of the schema in another order, or some too few or too many · E lines above the header · F dates, numbers, times and marks for nothing as people
write them · G codes with leading zeros · H groups of digits · I rows or a header that end with a delimiter, line ends · J blanks and invisible characters ·
K no header · L other delimiters, and files that are no table · M escaped quotes · N apostrophes · O text after a closing quote · Q old encodings ·
R descriptors · S the schema that comes back
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Place = tuple[int, int | None, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A small file, how it is sent, and what must be found; what is None may be anything."""

    name: str
    kind: str
    content: bytes
    schema: dict[str, Any] | None = None
    dialect: dict[str, Any] | None = None
    refused: bool = False
    """The upload is refused, and nothing else is expected."""
    encoding: str | None = None
    delimiter: str | None = None
    header_row: int | None = None
    fields: dict[str, Any] | None = None
    """Names of fields, each with a type or with members that the field must have."""
    errors: Sequence[Place] | None = None
    """All errors: row, column and type."""
    notes: Sequence[str] = ()
    """Codes that must be among the notes."""
    no_notes: Sequence[str] = ()
    """Codes that must not be among the notes."""


TEXT_CASES: list[Case] = []


def case(name: str, kind: str, *lines: str, end: str = "\n", written_in: str = "utf-8", **expected: Any) -> None:
    """Add a case whose file has these lines."""
    content = "".join(line + end for line in lines).encode(written_in)
    TEXT_CASES.append(Case(name=name, kind=kind, content=content, **expected))


ORDER = {"fields": [{"name": "id", "type": "integer"}, {"name": "qty", "type": "integer", "constraints": {"required": True}}, {"name": "born", "type": "date"}]}
NUMBERS = [str(number) for number in range(1, 13)]

# A: the delimiter is what makes a table of all rows
case(
    "prices-with-decimal-commas",
    "A",
    "item;price;weight",
    "pen;1,20;0,5",
    "ink;12,50;1,25",
    "cap;x;0,75",
    "pad;3,10;2,5",
    delimiter=";",
    errors=[(4, 2, "type-error")],
)
case("addresses-with-commas", "A", "id;address;city", "1;High St 1, back;Ulm", "2;Low St 2, 3rd floor, left;Bonn", "3;Mill Ln 4;Kiel", delimiter=";", errors=[])
case("tags-with-semicolons", "A", "id,tags,qty", "1,a;b;c,5", "2,d;e,6", "3,f,x", "4,g;h,8", delimiter=",", errors=[(4, 3, "type-error")])
case("tabs-with-commas-in-text", "A", "id\ttext\tqty", "1\tone, two\t5", "2\tthree, four, five\t6", "3\tsix\t7", delimiter="\t", errors=[])
case("pipes-between-cells", "A", "id|name|qty", "1|Doe, Ann|5", "2|Ray, Bob|6", "3|Poe, Cy|7", delimiter="|", errors=[])
case("one-column-of-names-with-commas", "A", "name", '"Doe, Ann"', '"Ray, Bob"', '"Poe, Cy"', errors=[], fields={"name": "string"})
case(
    "one-column-of-decimal-commas",
    "A",
    "price",
    "1,50",
    "2,75",
    "13,00",
    "4,25",
    "5,10",
    "66,00",
    "7,30",
    "8,45",
    "9,99",
    "10,05",
    "frei",
    errors=[(12, 1, "type-error")],
    fields={"price": {"type": "number", "decimalChar": ","}},
)
case("one-column-of-words", "A", "word", "one", "two", "three", errors=[], fields={"word": "string"})
case("semicolons-only-in-the-text-of-a-comma-file", "A", "id,note,qty", "1,see a; b,3", "2,none,4", "3,see c; d; e,5", "4,-,6", delimiter=",", errors=[])
case(
    "times-are-no-colon-table", "A", "start,end", "08:15,09:30", "10:00,11:45", "12:15,13:00", delimiter=",", errors=[], fields={"start": "time", "end": "time"}
)

# B: one bad byte does not change the encoding
TEXT_CASES.append(
    Case(
        name="utf-8-with-two-bad-cells",
        kind="B",
        content="id,city\n1,Łódź\n2,Kraków\n3,Gdańsk\n".encode() + b"4,K\xf6ln\n5,\xff\n",
        encoding="utf-8",
        errors=[(5, 2, "encoding-error"), (6, 2, "encoding-error")],
    )
)
TEXT_CASES.append(
    Case(
        name="utf-8-bom-and-a-bad-byte",
        kind="B",
        content=b"\xef\xbb\xbfid,city\n1,Z\xc3\xbcrich\n2,B\xe2le\n3,Gen\xc3\xa8ve\n",
        encoding="utf-8",
        errors=[(3, 2, "encoding-error")],
    )
)
TEXT_CASES.append(
    Case(
        name="japanese-utf-8-with-a-bad-byte",
        kind="B",
        content="id,市\n1,東京\n2,大阪\n".encode() + b"3,\x93\n",
        encoding="utf-8",
        errors=[(4, 2, "encoding-error")],
    )
)
TEXT_CASES.append(
    Case(
        name="cp1252-with-one-pair-that-looks-like-utf-8",
        kind="B",
        content=b"id,city\n1,K\xf6ln\n2,M\xfcnchen\n3,Gro\xdfau\n4,\xc3\xbcber\n5,Z\xfcrich\n",
        encoding="cp1252",
        errors=[],
    )
)
TEXT_CASES.append(Case(name="plain-ascii", kind="B", content=b"id,city\n1,Ulm\n2,Bonn\n", encoding="utf-8", errors=[], no_notes=["encoding-guessed"]))

# C: one decimal makes a column of numbers
case("one-decimal-at-the-end", "C", "n", *NUMBERS, "13.5", fields={"n": "number"}, errors=[])
case("one-decimal-at-the-start", "C", "n", "0.5", *NUMBERS, fields={"n": "number"}, errors=[])
case("decimals-and-a-word", "C", "n", *NUMBERS, "1.5", "x", fields={"n": "number"}, errors=[(15, 1, "type-error")])
case("whole-numbers-and-a-word", "C", "n", *NUMBERS, "x", fields={"n": "integer"}, errors=[(14, 1, "type-error")])
case("exponent", "C", "n", *NUMBERS, "1e3", fields={"n": "number"}, errors=[])
case("negative-whole-numbers", "C", "n", *(f"-{number}" for number in NUMBERS), fields={"n": "integer"}, errors=[])

# D: labels that are those of the schema
case("first-column-missing", "D", "qty,born", "5,2024-01-01", "x,2024-01-02", schema=ORDER, errors=[(1, 1, "missing-label"), (3, 1, "type-error")])
case("last-column-missing", "D", "id,qty", "1,5", "2,6", schema=ORDER, errors=[(1, 3, "missing-label")])
case("last-moved-to-the-front", "D", "born,id,qty", "2024-01-01,1,5", "soon,2,6", schema=ORDER, errors=[(1, 1, "incorrect-label"), (3, 1, "type-error")])
case("one-column-too-many-in-front", "D", "no,id,qty,born", "1,1,5,2024-01-01", "2,2,6,2024-01-02", schema=ORDER, errors=[(1, 1, "extra-label")])
case("misspelt", "D", "id,qty,borm", "1,5,2024-01-01", "2,6,x", schema=ORDER, errors=[(1, 3, "incorrect-label"), (3, 3, "type-error")])
case("other-case", "D", "ID,Qty,born", "1,5,2024-01-01", "2,6,2024-01-02", schema=ORDER, errors=[(1, 1, "incorrect-label"), (1, 2, "incorrect-label")])
case("labels-in-order", "D", "id,qty,born", "1,5,2024-01-01", schema=ORDER, errors=[])
case(
    "missing-and-moved",
    "D",
    "born,id",
    "2024-01-01,1",
    "2024-01-02,x",
    schema=ORDER,
    errors=[(1, 1, "incorrect-label"), (1, 2, "incorrect-label"), (1, 2, "missing-label"), (3, 2, "type-error")],
)

# E: lines above the header
case(
    "two-titles-and-a-blank-line",
    "E",
    "Stock list",
    "as of May",
    "",
    "id,qty,price",
    "1,5,2.5",
    "2,6,3.5",
    "3,x,4.5",
    "4,8,5.5",
    delimiter=",",
    header_row=4,
    errors=[(7, 2, "type-error")],
    notes=["rows-above-header"],
)
case(
    "title-row-padded-with-delimiters",
    "E",
    "Report 2024,,",
    "id,qty,price",
    "1,5,2.5",
    "2,6,3.5",
    "3,x,4.5",
    "4,8,5.5",
    header_row=2,
    errors=[(5, 2, "type-error")],
    notes=["rows-above-header"],
)
case("sep-line-with-tab-separated-look", "E", "sep=|", "id|qty", "1|5", "2|x", "3|7", "4|8", "5|9", delimiter="|", header_row=2, errors=[(4, 2, "type-error")])
case("sep-line-in-quotes", "E", '"sep=,"', "id,qty", "1,5", "2,6", delimiter=",", header_row=2, errors=[])
case(
    "key-and-value-lines-above",
    "E",
    "Created:;2024-05-01",
    "By:;A. Doe",
    "id;name;qty",
    "1;Ann;5",
    "2;Bob;6",
    "3;Cy;7",
    "4;Di;x",
    "5;Ed;9",
    delimiter=";",
    header_row=3,
    errors=[(7, 3, "type-error")],
    notes=["rows-above-header"],
)
case(
    "no-title-but-a-short-first-record",
    "E",
    "id,name,qty",
    "1,Ann",
    "2,Bob,6",
    "3,Cy,7",
    header_row=1,
    errors=[(2, 3, "missing-cell")],
    no_notes=["rows-above-header"],
)
case("header-rows-are-given", "E", "id,qty", "no,no", "1,5", "2,6", dialect={"headerRows": [2]}, header_row=2, errors=[(2, 2, "duplicate-label")])
case(
    "schema-finds-header-after-notes",
    "E",
    "Export of 12 May",
    "for id and qty only",
    "",
    "id,qty,born",
    "1,5,2024-01-01",
    "2,6,x",
    schema=ORDER,
    header_row=4,
    errors=[(6, 3, "type-error")],
    notes=["rows-above-header"],
)

# F: dates, numbers, times and marks for nothing as people write them
case(
    "dots-in-dates",
    "F",
    "d",
    *(f"{day:02}.03.2024" for day in range(1, 13)),
    "30.02.2024",
    fields={"d": {"type": "date", "format": "%d.%m.%Y"}},
    errors=[(14, 1, "type-error")],
)
case(
    "two-digit-years",
    "F",
    "d",
    *(f"{day:02}/11/95" for day in range(13, 25)),
    "31/11/95",
    fields={"d": {"type": "date", "format": "%d/%m/%y"}},
    errors=[(14, 1, "type-error")],
)
case(
    "slashes-year-first",
    "F",
    "d",
    *(f"2024/01/{day:02}" for day in range(1, 13)),
    "2024/13/01",
    fields={"d": {"type": "date", "format": "%Y/%m/%d"}},
    errors=[(14, 1, "type-error")],
)
case(
    "names-of-months",
    "F",
    "d",
    *(f"{day:02} Mar 2024" for day in range(1, 13)),
    "31 Apr 2024",
    fields={"d": {"type": "date", "format": "%d %b %Y"}},
    errors=[(14, 1, "type-error")],
)
case(
    "order-told-by-another-column",
    "F",
    "a,b",
    *(f"0{day}/04/2024,{day + 12}/04/2024" for day in range(1, 10)),
    "99/04/2024,20/04/2024",
    fields={"a": {"format": "%d/%m/%Y"}, "b": {"format": "%d/%m/%Y"}},
    errors=[(11, 1, "type-error")],
    no_notes=["ambiguous-dates"],
)
case(
    "clock-times",
    "F",
    "t",
    *(f"{hour:02}:30" for hour in range(12)),
    "25:00",
    fields={"t": {"type": "time", "format": "%H:%M"}},
    errors=[(14, 1, "type-error")],
)
case(
    "times-of-half-days",
    "F",
    "t",
    *(f"{hour:02}:30 PM" for hour in range(1, 13)),
    "13:61 PM",
    fields={"t": {"type": "time", "format": "%I:%M %p"}},
    errors=[(14, 1, "type-error")],
)
case(
    "database-times-with-fractions",
    "F",
    "t",
    *(f"2024-01-{day:02} 10:00:00.123" for day in range(1, 13)),
    "2024-01-32 10:00:00.123",
    fields={"t": "datetime"},
    errors=[(14, 1, "type-error")],
)
case(
    "dollars",
    "F",
    "p",
    *(f'"$1,{number}00.50"' for number in range(1, 10)),
    "$5.00",
    "free",
    fields={"p": {"type": "number", "groupChar": ",", "bareNumber": False}},
    errors=[(12, 1, "type-error")],
)
case(
    "percent", "F", "p", *(f"{number}.5%" for number in NUMBERS), "most", fields={"p": {"type": "number", "bareNumber": False}}, errors=[(14, 1, "type-error")]
)
case(
    "spaces-in-numbers",
    "F",
    "n",
    *(f"{number} 234 567" for number in range(1, 12)),
    "x",
    fields={"n": {"type": "integer", "groupChar": " "}},
    errors=[(13, 1, "type-error")],
)
case(
    "apostrophes-in-numbers",
    "F",
    "n",
    *(f"{number}'234.50" for number in range(1, 12)),
    "x",
    fields={"n": {"type": "number", "groupChar": "'"}},
    errors=[(13, 1, "type-error")],
)
case(
    "brackets-for-negative",
    "F",
    "n",
    *(f"{number}.25" for number in range(1, 10)),
    "(3.50)",
    "(x)",
    fields={"n": {"type": "number", "bareNumber": False}},
    errors=[(12, 1, "type-error")],
)
case("ja-nein", "F", "ok", *["ja", "nein"] * 6, "vielleicht", fields={"ok": "boolean"}, errors=[(14, 1, "type-error")])
case("y-n", "F", "ok", *["Y", "N"] * 6, "x", fields={"ok": "boolean"}, errors=[(14, 1, "type-error")])
case("ones-and-zeros-stay-whole-numbers", "F", "ok", *["1", "0"] * 6, fields={"ok": "integer"}, errors=[])
case(
    "dashes-for-nothing",
    "F",
    "sku,qty",
    *(f"A{number},{number}" for number in NUMBERS),
    "B1,-",
    "B2,-",
    "B3,x",
    fields={"qty": "integer"},
    errors=[(16, 2, "type-error")],
)
case(
    "null-in-dates",
    "F",
    "id,d",
    *(f"{day},2024-01-{day:02}" for day in range(1, 13)),
    "13,NULL",
    "14,\\N",
    "15,soon",
    fields={"d": "date"},
    errors=[(16, 2, "type-error")],
)
case("dash-in-text-is-text", "F", "id,note", "1,-", "2,fine", "3,good", "4,-", "5,NULL", fields={"note": "string"}, errors=[])
case(
    "web-addresses",
    "F",
    "u",
    *(f"https://example.org/{number}" for number in NUMBERS),
    "example",
    fields={"u": {"type": "string", "format": "uri"}},
    errors=[(14, 1, "type-error")],
)
case(
    "uuids",
    "F",
    "u",
    *(f"549910e9-5cd2-47a9-abde-af4c8783{number:04}" for number in range(12)),
    "549910e9",
    fields={"u": {"type": "string", "format": "uuid"}},
    errors=[(14, 1, "type-error")],
)
case("versions-are-no-dates", "F", "v", *(f"1.{number}.{number}" for number in NUMBERS), fields={"v": "string"}, errors=[])
case("phone-numbers-are-no-numbers", "F", "tel", *(f"+49 171 55501{number:02}" for number in range(12)), fields={"tel": "string"}, errors=[])
case("month-names-alone-are-text", "F", "m", "Jan", "Feb", "Mar", "Apr", "May", "June", fields={"m": "string"}, errors=[])

# G: codes with leading zeros
case("telephone-codes", "G", "tel", *(f"0171555{number:04}" for number in range(12)), "unknown", fields={"tel": "string"}, errors=[(14, 1, "pattern-error")])
case(
    "codes-of-several-widths",
    "G",
    "code",
    "001",
    "0002",
    "00003",
    "004",
    "0005",
    "00006",
    "007",
    "0008",
    "00009",
    "010",
    "x",
    fields={"code": "string"},
    errors=[(12, 1, "pattern-error")],
)
case("a-single-zero-is-no-code", "G", "n", "0", *NUMBERS, fields={"n": "integer"}, errors=[])
case("zero-point-is-no-code", "G", "n", *(f"0.{number}" for number in NUMBERS), fields={"n": "number"}, errors=[])
case("codes-with-letters-are-text", "G", "code", "A001", "B002", "C003", "D004", fields={"code": "string"}, errors=[])

# H: groups of digits
H_SCHEMA = {"fields": [{"name": "n", "type": "number", "groupChar": ".", "decimalChar": ","}]}
case(
    "groups-of-three",
    "H",
    "n",
    "1.234",
    "12.345,5",
    "1.23",
    "1234.567",
    "1.234.567,89",
    dialect={"delimiter": ";"},
    schema=H_SCHEMA,
    errors=[(4, 1, "type-error"), (5, 1, "type-error")],
)
case(
    "indian-groups",
    "H",
    "n",
    '"12,34,567"',
    '"1,23,456"',
    '"1,2,345"',
    schema={"fields": [{"name": "n", "type": "integer", "groupChar": ","}]},
    errors=[(4, 1, "type-error")],
)
case("no-groups-at-all", "H", "n", "1234567", '"1,234"', schema={"fields": [{"name": "n", "type": "integer", "groupChar": ","}]}, errors=[])
case(
    "group-at-the-end",
    "H",
    "n",
    '"1,"',
    '"1,,234"',
    '",123"',
    schema={"fields": [{"name": "n", "type": "integer", "groupChar": ","}]},
    errors=[(2, 1, "type-error"), (3, 1, "type-error"), (4, 1, "type-error")],
)
case("group-after-the-point", "H", "n", '"1,234.567,8"', schema={"fields": [{"name": "n", "type": "number", "groupChar": ","}]}, errors=[(2, 1, "type-error")])

# I: rows or a header that end with a delimiter, line ends
case(
    "rows-and-header-end-with-a-comma",
    "I",
    "a,b,",
    *(f"{number},{number}," for number in NUMBERS),
    "x,1,",
    errors=[(14, 1, "type-error")],
    notes=["empty-columns"],
)
case("empty-first-column", "I", ",a,b", *(f",{number},{number}" for number in NUMBERS), ",x,1", errors=[(14, 2, "type-error")], notes=["empty-columns"])
case("an-unlabelled-column-with-cells", "I", "a,,c", "1,2,3", "4,5,6", errors=[(1, 2, "blank-label")], no_notes=["empty-columns"])
case("a-labelled-column-without-cells", "I", "a,b,c", "1,,3", "4,,6", errors=[], no_notes=["empty-columns"])
case("cr-only", "I", "a,b", "1,2", "x,3", "4,5", "6,7", end="\r", errors=[(3, 1, "type-error")])
case("cr-cr-lf-with-a-blank-line", "I", "a,b", "1,2", "", "3,4", end="\r\r\n", errors=[(3, None, "blank-row")])

# J: blanks and invisible characters
case("blank-before-a-number", "J", "n", "1", " 2", "3", schema={"fields": [{"name": "n", "type": "integer"}]}, errors=[(3, 1, "type-error")])
case("no-break-space-in-a-date", "J", "d", "2024-01-01", "2024-01-02\u00a0", schema={"fields": [{"name": "d", "type": "date"}]}, errors=[(3, 1, "type-error")])
case("label-with-a-blank", "J", "id ,qty,born", "1,5,2024-01-01", schema=ORDER, errors=[(1, 1, "incorrect-label")])
case("label-with-an-invisible-character", "J", "id,q\u200bty,born", "1,5,2024-01-01", schema=ORDER, errors=[(1, 2, "incorrect-label")])
case("blanks-after-some-delimiters", "J", "a,b", "1, x", "2,y", "3, z", fields={"b": "string"}, errors=[])
case("padded-dates", "J", "a, d", *(f"{day}, 2024-01-{day:02}" for day in range(1, 13)), "13, 2024-02-31", fields={"d": "date"}, errors=[(14, 2, "type-error")])

# K: no header
case("records-of-dates-and-numbers", "K", "2024-01-01;5,5;1", "2024-01-02;6,5;2", "2024-01-03;7,5;3", header_row=1, notes=["no-header"])
case(
    "labels-that-are-years",
    "K",
    "country,2021,2022",
    "DE,5,6",
    "FR,7,8",
    "IT,9,x",
    "ES,1,2",
    "PT,3,4",
    header_row=1,
    errors=[(4, 3, "type-error")],
    no_notes=["no-header"],
)
case("records-of-text-only", "K", "Ann,Ulm", "Bob,Bonn", "Cy,Kiel", header_row=1, errors=[], no_notes=["no-header"])
case("no-header-is-given", "K", "1,5", "2,6", dialect={"header": False}, errors=[], no_notes=["no-header"])
case(
    "mails-and-numbers-first",
    "K",
    "ann@example.org,5,2024-01-01",
    "bob@example.org,6,2024-01-02",
    "cy@example.org,7,2024-01-03",
    header_row=1,
    notes=["no-header"],
)

# L: other delimiters, and files that are no table
case("tildes", "L", "id~name~qty", "1~Ann~5", "2~Bob~x", "3~Cy~7", "4~Di~8", delimiter="~", errors=[(3, 3, "type-error")])
case("colons", "L", "id:name:qty", "1:Ann:5", "2:Bob:x", "3:Cy:7", "4:Di:8", delimiter=":", errors=[(3, 3, "type-error")])
case("blanks-between-numbers", "L", "x y z", "1 2 3", "4 x 6", "7 8 9", "1 2 3", "1 5 3", delimiter=" ", errors=[(3, 2, "type-error")])
case("sentences-are-one-column", "L", "note", "all is well here", "nothing to do", "come back later please", fields={"note": "string"}, errors=[])
case("web-page", "L", "<html>", "<body>Sign in</body>", "</html>", refused=True)
case("xml", "L", '<?xml version="1.0"?>', "<orders><order id='1'/></orders>", refused=True)
case("json-object", "L", "{", '  "orders": [{"id": 1}]', "}", refused=True)
case("json-lines", "L", '{"id": 1, "qty": 5}', '{"id": 2, "qty": 6}', refused=True)
case("labels-in-brackets-are-a-table", "L", "[id],[qty]", "1,5", "2,6", errors=[])
case("markup-in-cells-is-a-table", "L", "id,html", "1,<b>bold</b>", "2,<i>it</i>", errors=[])
case("json-in-cells-is-a-table", "L", "id;data", '1;{"a": 1}', '2;{"a": 2}', delimiter=";", errors=[])

# M: escaped quotes
case("backslashes-before-quotes", "M", "id,said,qty", r'1,"a \"b\" c",5', r'2,"d, \"e\"",6', r'3,"f",x', r'4,"g \"h\"",8', errors=[(4, 3, "type-error")])
case("doubled-quotes", "M", "id,said,qty", '1,"a ""b"", c",5', '2,"d",6', '3,"e",x', '4,"f ""g""",8', errors=[(4, 3, "type-error")])
case("paths-with-backslashes", "M", "id,path,qty", r"1,C:\a\b,5", r'2,"C:\c\",6', r"3,D:\e,7", errors=[])
case("backslash-before-a-letter", "M", "id,said", r"1,a\nb", r"2,c\td", errors=[])
case("escaped-delimiters", "M", "id,said,qty", r'1,"a\"",5', r'2,"b, \"c\", d",6', '3,"e",7', errors=[])

# N: apostrophes, of which few are quotes
case("apostrophes-within-words", "N", "id,word", "1,don't", "2,it's", "3,O'Hara", errors=[])
case("cells-in-apostrophes", "N", "id,word,qty", "1,'a, b',5", "2,'c, d',6", "3,'e',7", errors=[])
case("feet-and-inches", "N", "id,height,qty", "1,5'10,3", "2,6'1,4", "3,5'7,x", "4,6'0,6", errors=[(4, 3, "type-error")])
case("leading-apostrophes", "N", "id,word,qty", "1,'tis,5", "2,'twas,6", "3,'til,7", errors=[])
case("inches", "N", "id,size,qty", '1,5" pipe,3', '2,6" pipe,4', "3,rod,x", "4,bar,5", "5,nut,6", errors=[(4, 3, "type-error")])

# O: text after a closing quote
case("text-after-a-quote", "O", "id,title", '1,"a" b', '2,"c"', "3,d", errors=[(2, 2, "stray-quote")])
case("text-right-behind-a-quote", "O", "id,title,qty", '1,"a"b,5', '2,"c",x', "3,d,7", "4,e,8", errors=[(2, 2, "stray-quote"), (3, 3, "type-error")])
case("two-quoted-parts", "O", "id,title,qty", '1,"a" and "b",5', '2,"c",6', "3,d,7", errors=[(2, 2, "stray-quote")])
case("quotes-in-the-middle-are-text", "O", "id,title", '1,a "b" c', '2,d"e', errors=[])
case("quoted-line-break", "O", "id,title,qty", '1,"a', 'b",5', "2,c,x", "3,d,4", "4,e,5", errors=[(3, 3, "type-error")])

# Q: old encodings
case(
    "french", "Q", "id,ville", "1,Orléans", "2,Besançon", "3,Nîmes", "4,Béziers", written_in="cp1252", encoding="cp1252", errors=[], notes=["encoding-guessed"]
)
case("czech", "Q", "id,město", "1,Plzeň", "2,Děčín", "3,Třebíč", "4,Kroměříž", written_in="cp1250", encoding="cp1250", errors=[])
case("russian", "Q", "id,город", "1,Москва", "2,Казань", "3,Самара", written_in="cp1251", encoding="cp1251", errors=[])
case("russian-of-dos", "Q", "id,город", "1,Москва", "2,Казань", "3,Самара", "4,Новосибирск", "5,Челябинск", written_in="cp866", encoding="cp866", errors=[])
case("german-of-dos", "Q", "id,ort", "1,München", "2,Köln", "3,Zürich", "4,Lübeck", written_in="cp850", encoding="cp850", errors=[])
case("turkish", "Q", "id,şehir", "1,İstanbul", "2,Eskişehir", "3,Muğla", "4,Şırnak", written_in="cp1254", encoding="cp1254", errors=[])
case("japanese", "Q", "id,都市", "1,東京", "2,大阪", "3,名古屋", "4,札幌", written_in="cp932", encoding="cp932", errors=[])
case("greek", "Q", "id,πόλη", "1,Αθήνα", "2,Θεσσαλονίκη", "3,Πάτρα", "4,Λάρισα", written_in="cp1253", encoding="cp1253", errors=[])
TEXT_CASES.append(Case(name="utf-16-without-a-mark", kind="Q", content="id,city\n1,Ulm\n2,Bonn\n3,Kiel\n".encode("utf-16-le"), encoding="utf-16-le", errors=[]))

# What a demanding reader tried: files that look like others
case(
    "three-key-and-value-lines",
    "E",
    "Report,Sales",
    "Date,2024-05-01",
    "Author,Ann",
    "id,name,qty",
    "1,Ann,5",
    "2,Bob,x",
    "3,Cy,7",
    "4,Di,8",
    header_row=4,
    errors=[(6, 3, "type-error")],
    notes=["rows-above-header"],
)
case("title-with-a-comma-above-text", "E", "Staff, May", "name,city,dept", "Ann,Ulm,Sales", "Bob,Bonn,Stock", "Cy,Kiel,Sales", header_row=2, errors=[])
case("pairs-above-text", "E", "Company,ACME", "Year,2024", "name,city,dept", "Ann,Ulm,Sales", "Bob,Bonn,Stock", "Cy,Kiel,Sales", header_row=3, errors=[])
case(
    "one-cell-behind-the-last-column",
    "I",
    "a,b",
    *(f"{number},{number}," for number in range(1, 7)),
    "7,7,oops",
    errors=[(8, 3, "extra-cell")],
    notes=["empty-columns"],
)
case(
    "one-cell-in-an-unlabelled-column",
    "I",
    "a,b,",
    *(f"{number},{number}," for number in range(1, 7)),
    "7,7,oops",
    errors=[(8, 3, "extra-cell")],
    notes=["empty-columns"],
)
case("italian", "Q", "id;città;prov", "1;Forlì;FC", "2;Cantù;CO", "3;Mondovì;CN", written_in="cp1252", encoding="cp1252", errors=[])
case("italian-yes", "Q", "prodotto;disponibile", "Caffè;sì", "Tè;sì", "Ragù;no", written_in="cp1252", encoding="cp1252", errors=[])
case("spanish-telephone-numbers", "F", "tel", "+34 612 345 678", "+34 612 345 679", "+34 91 234 56 78", "+34 612 345 670", fields={"tel": "string"}, errors=[])
case("telephone-numbers-with-points", "F", "tel", *(f"030.123.{number}" for number in range(400, 412)), fields={"tel": "string"}, errors=[])
case("provinces", "F", "prov", "ON", "ON", "QC", "ON", "ON", fields={"prov": "string"}, errors=[])
case("countries-that-say-no", "F", "country", "NO", "NO", "SE", "NO", "NO", fields={"country": "string"}, errors=[])
case("directions", "F", "dir", "N", "S", "N", "S", "E", fields={"dir": "string"}, errors=[])
case("czech-booleans-of-excel", "F", "ok", *["PRAVDA", "NEPRAVDA"] * 6, "možná", fields={"ok": "boolean"}, errors=[(14, 1, "type-error")])
case(
    "hungarian-dates",
    "F",
    "d",
    *(f"2024.01.{day:02}." for day in range(1, 13)),
    "2024.02.31.",
    fields={"d": {"type": "date", "format": "%Y.%m.%d."}},
    errors=[(14, 1, "type-error")],
)
case("part-of-a-web-page", "L", "<h1>404 Not Found</h1>", refused=True)
case("xml-in-one-line", "L", "<orders><order><id>1</id></order></orders>", refused=True)
case("json-list", "L", "[1, 2, 3]", refused=True)
case("python", "L", "def main():", "    return 1", refused=True)
case("javascript", "L", "const a = require('a')", "a()", refused=True)
case("markup-in-the-first-cell", "L", "<b>,<c>", "1,2", "3,4", errors=[])
case("rows-of-markup", "L", "<a><b>1</b></a>", "<a><b>2</b></a>", "<a><b>3</b></a>", errors=[])
case("numbers-in-brackets", "L", "[id]", "[1]", "[2]", errors=[])
