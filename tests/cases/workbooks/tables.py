"""Where the table is on its sheet: headers below titles or of several rows, tables beside each other, merged cells, padded labels."""

from __future__ import annotations

from typing import Any

from tests.cases.workbook_case import Case, collect, field, schema
from tests.cases.workbook_packages import Row, column_letters, make_xls, make_xlsx, one_sheet, raw_text, row_xml, rows_xml, sheet_xml

TABLE_CASES: list[Case] = []
ORDERS = schema(field("id", "integer"), field("name", "string"), field("amount", "number"))
NAMES = ("Ann", "Bob", "Cy", "Di", "Eve", "Fay", "Gus", "Hal")
HEADER: list[Any] = ["id", "name", "amount"]
RECORDS: list[list[Any]] = [[index, name, index * 2.5] for index, name in enumerate(NAMES, 1)]
WRONG: list[Any] = [9, "Ida", "much"]


def placed(*rows: Row, first_row: int = 1, first_column: int = 0, merged: tuple[str, ...] = ()) -> bytes:
    return make_xlsx({"Sheet1": sheet_xml(rows_xml(*rows, first_row=first_row, first_column=first_column), merged=merged)})


def beside(left: list[list[Any]], right: list[list[Any]], *, right_row: int, right_column: int) -> bytes:
    """Return a workbook with one table from A1 on and another from `right_row` (from 1) and `right_column` (from 0) on."""
    rows = {number: list(values) for number, values in enumerate(left, 1)}
    for number, values in enumerate(right, right_row):
        row = rows.setdefault(number, [])
        row += [None] * (right_column - len(row)) + values
    return make_xlsx({"Sheet1": sheet_xml("".join(row_xml(rows[number], number) for number in sorted(rows)))})


add = collect(TABLE_CASES, "header-below")
add(
    "title-and-date",
    "rows above the header are no records",
    placed(["Orders of May"], ["as of", "2024-06-01"], [], HEADER, *RECORDS, WRONG),
    header_row=4,
    errors=[(13, 3, "type-error")],
    notes=["rows-above-header"],
)
add(
    "title-with-a-schema",
    "with a schema it is the row with its names",
    placed(["Orders"], ["for internal use", None, "draft"], HEADER, *RECORDS, WRONG),
    schema=ORDERS,
    header_row=3,
    errors=[(12, 3, "type-error")],
    notes=["rows-above-header"],
)
add(
    "merged-title",
    "a title that is merged over the table is a title, and no merged cell of the body",
    placed(["Orders of May", None, None], HEADER, *RECORDS, merged=("A1:C1",)),
    header_row=2,
    labels=["id", "name", "amount"],
    errors=[],
    notes=["rows-above-header"],
    no_notes=["merged-cells"],
)
add(
    "merged-title-with-a-schema",
    "the same with a schema, and titles in two rows",
    placed(["Orders of May", None, None], ["Ulm", None, None], HEADER, *RECORDS, WRONG, merged=("A1:C1", "A2:C2")),
    schema=ORDERS,
    header_row=3,
    errors=[(12, 3, "type-error")],
    notes=["rows-above-header"],
    no_notes=["merged-cells"],
)
add(
    "merged-title-xls",
    "the same in .xls",
    make_xls({"S": [["Orders of May"], HEADER, *RECORDS, WRONG]}, merged=("A1:C1",)),
    extension="xls",
    header_row=2,
    errors=[(11, 3, "type-error")],
    no_notes=["merged-cells"],
)
add("header-first", "the plain case", placed(HEADER, *RECORDS), header_row=1, errors=[], no_notes=["rows-above-header", "empty-columns", "other-tables"])
add(
    "title-xls",
    "the same in .xls",
    make_xls({"S": [["Orders of May"], [], HEADER, *RECORDS, WRONG]}),
    extension="xls",
    header_row=3,
    errors=[(12, 3, "type-error")],
    notes=["rows-above-header"],
)
add(
    "records-of-text-below-a-header",
    "the first row is a header even where nothing but text follows",
    placed(["name", "city"], ["Ann", "Ulm"], ["Bob", "Bonn"], ["Cy", "Kiel"]),
    header_row=1,
    errors=[],
    no_notes=["rows-above-header", "no-header"],
)
add("native-record-first", "a first row of values is taken as labels all the same", placed(*RECORDS), header_row=1, notes=["no-header"])

add = collect(TABLE_CASES, "begins-in-b2")
add(
    "b2",
    "errors have the place that Excel shows",
    placed(HEADER, *RECORDS, WRONG, first_row=2, first_column=1),
    header_row=2,
    labels=["id", "name", "amount"],
    errors=[(11, 4, "type-error")],
    notes=["empty-columns"],
)
add(
    "b2-with-a-schema",
    "the same with a schema",
    placed(HEADER, *RECORDS, WRONG, first_row=2, first_column=1),
    schema=ORDERS,
    errors=[(11, 4, "type-error")],
    notes=["empty-columns"],
)
add(
    "d5",
    "farther away",
    placed(HEADER, *RECORDS, WRONG, first_row=5, first_column=3),
    header_row=5,
    errors=[(14, 6, "type-error")],
    notes=["empty-columns"],
)
for letters, first_column in (("cz", 103), ("iv", 255), ("xfa", 16_378)):
    add(
        f"{letters}1",
        "far to the right",
        placed(HEADER, *RECORDS, WRONG, first_column=first_column),
        labels=["id", "name", "amount"],
        errors=[(10, first_column + 3, "type-error")],
        cells={f"{column_letters(first_column + 1)}3": "Bob", f"{column_letters(first_column)}10": "9"},
        rows=9,
        notes=["empty-columns"],
    )
add(
    "far-to-the-right-with-a-schema",
    "beside a table that the schema does not fit",
    beside([["city", "people"], ["Ulm", 126_000], ["Kiel", 247_000]], [HEADER, *RECORDS, WRONG], right_row=1, right_column=251),
    schema=ORDERS,
    errors=[(10, 254, "type-error")],
    cells={"IS3": "Bob"},
    notes=["other-tables"],
)
add(
    "b2-xls",
    "the same in .xls",
    make_xls({"S": [[], *([None, *row] for row in (HEADER, *RECORDS, WRONG))]}),
    extension="xls",
    header_row=2,
    errors=[(11, 4, "type-error")],
    notes=["empty-columns"],
)
add(
    "b2-with-a-title-in-a1",
    "a title in the column that is otherwise empty",
    placed(["Orders"], [None, *HEADER], *([None, *row] for row in RECORDS)),
    header_row=2,
    labels=["id", "name", "amount"],
    errors=[],
    notes=["rows-above-header"],
)

add = collect(TABLE_CASES, "header-of-several-rows")
TWO: dict[str, Any] = {"dialect": {"headerRows": [1, 2]}, "labels_are_distinct": True, "errors": [], "no_notes": ["merged-cells"]}
UPPER: list[Any] = ["id", "first half", None, "second half", None]
LOWER: list[Any] = [None, "plan", "done", "plan", "done"]
HALVES: list[list[Any]] = [[index, index * 10, index * 9, index * 11, index * 8] for index in range(1, 7)]
add(
    "merged-across",
    "a merged label is that of every column it spans",
    placed(UPPER, LOWER, *HALVES, merged=("A1:A2", "B1:C1", "D1:E1")),
    labels=["id", "first half plan", "first half done", "second half plan", "second half done"],
    **TWO,
)
add(
    "merged-xls",
    "the same in .xls",
    make_xls({"S": [UPPER, LOWER, *HALVES]}, merged=("A1:A2", "B1:C1", "D1:E1")),
    extension="xls",
    labels=["id", "first half plan", "first half done", "second half plan", "second half done"],
    **TWO,
)
add(
    "merged-and-one-wrong",
    "rows below are counted from the sheet",
    placed(UPPER, LOWER, *HALVES, [7, 70, "x", 77, 56], merged=("B1:C1", "D1:E1")),
    **{**TWO, "errors": [(9, 3, "type-error")]},
)
add(
    "merged-across-three-rows",
    "three rows",
    placed(
        ["id", "2024", None, None],
        [None, "first half", None, "second half"],
        [None, "plan", "done", "done"],
        *([n, n, n, n] for n in range(1, 7)),
        merged=("A1:A3", "B1:D1", "B2:C2"),
    ),
    dialect={"headerRows": [1, 2, 3]},
    labels=["id", "2024 first half plan", "2024 first half done", "2024 second half done"],
    errors=[],
)
add(
    "not-merged",
    "labels that are not merged stay where they are",
    placed(["id", "size", "size"], ["", "width", "height"], *([n, n, n] for n in range(1, 7))),
    labels=["id", "size width", "size height"],
    **TWO,
)

add = collect(TABLE_CASES, "merged-body")
MERGED_BODY: list[list[Any]] = [["region", "city"], ["north", "Kiel"], [None, "Bremen"], ["south", "Ulm"], [None, "Munich"]]
add(
    "regions",
    "the first cell has the value, and the note says where",
    placed(*MERGED_BODY, merged=("A2:A3", "A4:A5")),
    notes=["merged-cells"],
    cells={"A2": "north", "A3": ""},
)
add(
    "regions-xls",
    "the same in .xls",
    make_xls({"S": MERGED_BODY}, merged=("A2:A3", "A4:A5")),
    extension="xls",
    notes=["merged-cells"],
    cells={"A2": "north", "A3": ""},
)
add(
    "required-cells",
    "with a schema the others are missing",
    placed(*MERGED_BODY, merged=("A2:A3", "A4:A5")),
    schema=schema(field("region", "string", constraints={"required": True}), field("city", "string")),
    errors=[(3, 1, "required-error"), (5, 1, "required-error")],
    notes=["merged-cells"],
)
add("merged-title-only", "a title is no body", placed(["Cities", None], *MERGED_BODY, merged=("A1:B1",)), header_row=2, no_notes=["merged-cells"])
add("nothing-merged", "the plain case", placed(*MERGED_BODY), no_notes=["merged-cells"])

add = collect(TABLE_CASES, "second-table")
LEFT: list[list[Any]] = [HEADER, *RECORDS]
RIGHT: list[list[Any]] = [["city", "people"], ["Ulm", 126_000], ["Kiel", 247_000], ["Bonn", 330_000]]
LONG: list[list[Any]] = [["city", "people"], *([f"Town {index}", index * 1000] for index in range(1, 30))]
FIRST: dict[str, Any] = {"labels": ["id", "name", "amount"], "errors": [], "rows": 8, "notes": ["other-tables"]}
add("shorter-in-the-same-row", "what stands behind an empty column is another table", beside(LEFT, RIGHT, right_row=1, right_column=4), **FIRST)
add("header-in-another-row", "the same further down", beside(LEFT, RIGHT, right_row=4, right_column=4), **FIRST)
add("longer", "rows that only the other table has are none of this one", beside(LEFT, LONG, right_row=1, right_column=4), **FIRST)
add("longer-and-further-down", "both", beside(LEFT, LONG, right_row=3, right_column=5), **FIRST)
add("with-a-schema", "with a schema its table is read", beside(LEFT, RIGHT, right_row=1, right_column=4), schema=ORDERS, **FIRST)
add("longer-with-a-schema", "the same", beside(LEFT, LONG, right_row=3, right_column=4), schema=ORDERS, **FIRST)
add(
    "the-schema-fits-the-second",
    "also if it is the one to the right",
    beside(LEFT, LONG, right_row=1, right_column=4),
    schema=schema(field("city", "string"), field("people", "integer", constraints={"maximum": 28_000})),
    labels=["city", "people"],
    errors=[(30, 6, "maximum-error")],
    rows=29,
    notes=["other-tables"],
)
add(
    "an-error-in-the-first",
    "errors of the table itself are found",
    beside([*LEFT, WRONG], RIGHT, right_row=1, right_column=4),
    labels=["id", "name", "amount"],
    errors=[(10, 3, "type-error")],
)
SPACED: list[list[Any]] = [["id", "name", None, "amount", "city"], *([index, name, None, index * 2.5, "Ulm"] for index, name in enumerate(NAMES, 1))]
add(
    "spacer-column",
    "one table with an empty column in it stays one",
    placed(*SPACED, [9, "Ida", None, "much", "Ulm"]),
    labels=["id", "name", "amount", "city"],
    errors=[(10, 4, "type-error")],
    notes=["empty-columns"],
    no_notes=["other-tables"],
)
add(
    "spacer-column-with-a-schema",
    "the same with a schema",
    placed(*SPACED, [9, "Ida", None, "much", "Ulm"]),
    schema=schema(*ORDERS["fields"], field("city", "string")),
    errors=[(10, 4, "type-error")],
    no_notes=["other-tables"],
)
add(
    "two-spacer-columns",
    "and with two of them",
    placed(*([row[0], None, row[1], None, row[3], row[4]] for row in SPACED)),
    labels=["id", "name", "amount", "city"],
    errors=[],
    no_notes=["other-tables"],
)
add(
    "gaps-in-the-last-columns",
    "columns behind a spacer that are not filled in every row",
    placed(["id", "name", None, "left", "why"], *([index, name, None, *(["2024", "moved"] if index in (2, 5) else [])] for index, name in enumerate(NAMES, 1))),
    labels=["id", "name", "left", "why"],
    no_notes=["other-tables"],
)

add = collect(TABLE_CASES, "padded-labels")


def padded(label: str) -> bytes:
    return placed(["id", raw_text(label), "amount"], *RECORDS)


add(
    "kept-blanks",
    "the message says what is wrong with the label",
    padded('<t xml:space="preserve">name </t>'),
    schema=ORDERS,
    errors=[(1, 2, "incorrect-label")],
    says=["name"],
)
add("line-break", "a line break within a label", padded("<t>na\nme</t>"), schema=ORDERS, errors=[(1, 2, "incorrect-label")])
add("blanks-that-excel-drops", "without xml:space there are none", padded("<t> name </t>"), schema=ORDERS, errors=[])
add("invisible-character", "a no-break space", padded("<t>name\u00a0</t>"), schema=ORDERS, errors=[(1, 2, "incorrect-label")])
add("no-schema", "without a schema nothing is wrong", padded('<t xml:space="preserve"> name </t>'), errors=[])
add(
    "escaped-carriage-return",
    "_x000D_ in a label is a carriage return",
    padded("<t>name_x000D_</t>"),
    schema=ORDERS,
    errors=[(1, 2, "incorrect-label")],
    never_says=["_x000D_"],
)

add = collect(TABLE_CASES, "header-only")
add("xlsx", "a header without records is a table with none", placed(HEADER), rows=0, errors=[], labels=["id", "name", "amount"])
add("with-a-schema", "the same with a schema", placed(HEADER), schema=ORDERS, rows=0, errors=[])
add("xls", "the same in .xls", make_xls({"S": [HEADER]}), extension="xls", rows=0, errors=[])
add("nothing-at-all", "an empty sheet has no table", one_sheet(), status="FAILED")
add("blank-cells-alone", "nor has one of blanks", placed(["  ", None], [None, raw_text('<t xml:space="preserve">  </t>')]), status="FAILED")
