"""Realistic tables: many rows with several kinds of errors each, the same in every run."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Sequence

from tests.peer.case import Case, Descriptor, csv_bytes, csv_case, fields

_FIRST = ("Ada", "Grace", "Linus", "Jürgen", "Zoë", "Øyvind", "María", "Wanda", "Ken", "Noor")
_LAST = ("Berg", "Müller", "O'Neil", "García", "Novák", "Smith", "Lee", "Šimić")
_COUNTRIES = ("AT", "CH", "DE", "ES", "FR", "PL")
_DAY = dt.date(2020, 1, 1)


def _spoil(rows: list[list[object]], seed: int, share: float, bad: Sequence[Sequence[str]]) -> list[list[object]]:
    """Replace a share of the cells, in place, with wrong values; `bad` has the choices for each column."""
    chance = random.Random(seed)
    for row in rows:
        for index, choices in enumerate(bad):
            if choices and chance.random() < share:
                row[index] = chance.choice(choices)
    return rows


PEOPLE = fields(
    {"name": "id", "type": "integer", "constraints": {"required": True, "minimum": 1}},
    {"name": "name", "type": "string", "constraints": {"required": True, "maxLength": 20}},
    {"name": "email", "type": "string", "format": "email", "constraints": {"required": True}},
    {"name": "country", "type": "string", "constraints": {"enum": list(_COUNTRIES)}},
    {"name": "born", "type": "date", "constraints": {"minimum": "1900-01-01", "maximum": "2024-12-31"}},
    {"name": "height_m", "type": "number", "constraints": {"minimum": 0.4, "maximum": 2.6}},
    {"name": "member", "type": "boolean"},
    primaryKey="id",
)


def _people(count: int, seed: int) -> list[list[object]]:
    chance = random.Random(seed)
    rows: list[list[object]] = []
    for number in range(1, count + 1):
        first, last = chance.choice(_FIRST), chance.choice(_LAST)
        born = dt.date(1950, 1, 1) + dt.timedelta(days=chance.randrange(20_000))
        rows.append(
            [
                number,
                f"{first} {last}",
                f"p{number}@example.org",
                chance.choice(_COUNTRIES),
                born,
                f"{chance.uniform(1.4, 2.1):.2f}",
                chance.choice(["true", "false"]),
            ]
        )
    return rows


_BAD_PEOPLE = (
    ("x1", "0", "-4", "12.5"),
    ("", "A name that is far too long to be one"),
    ("", "nobody", "me@", "a b@example.org"),
    ("XX", "de", "Germany"),
    ("31.12.1980", "1980-02-30", "1899-12-31", "2025-01-01", "unknown"),
    ("1,80", "0.1", "3.5", "tall"),
    ("yes", "2", "T"),
)

ORDERS = fields(
    {"name": "order", "type": "string", "constraints": {"required": True, "pattern": "O-[0-9]{5}"}},
    {"name": "line", "type": "integer", "constraints": {"required": True, "minimum": 1, "maximum": 9}},
    {"name": "sku", "type": "string", "constraints": {"required": True, "minLength": 6, "maxLength": 6}},
    {"name": "quantity", "type": "integer", "constraints": {"required": True, "exclusiveMinimum": 0}},
    {"name": "price", "type": "number", "decimalChar": ",", "groupChar": "."},
    {"name": "ordered_at", "type": "datetime"},
    {"name": "note", "type": "string"},
    primaryKey=["order", "line"],
    missingValues=["", "-"],
)


def _orders(count: int, seed: int) -> list[list[object]]:
    chance = random.Random(seed)
    start = dt.datetime(2024, 1, 1)  # noqa: DTZ001 - local times in a file have no zone
    notes = ("", "", "gift, wrapped", 'marked "urgent"', "ring twice\nthen knock", "-")
    return [
        [
            f"O-{10_000 + number // 3}",
            number % 3 + 1,
            f"SK{chance.randrange(9_999):04}",
            chance.randrange(1, 50),
            f"{chance.randrange(1, 9)}.{chance.randrange(1_000):03},{chance.randrange(100):02}",
            (start + dt.timedelta(minutes=chance.randrange(500_000))).isoformat(),
            chance.choice(notes),
        ]
        for number in range(count)
    ]


_BAD_ORDERS = (
    ("", "10001", "o-10001", "O-100012"),
    ("0", "10", "one", ""),
    ("SK1", "SK12345", ""),
    ("0", "-2", "two", "", "1.5"),
    ("12.50", "free", "EUR 5"),
    ("2024-02-30T10:00:00", "01/02/2024 10:00", "yesterday"),
)

SENSORS = fields(
    {"name": "sensor", "type": "string", "constraints": {"required": True, "enum": ["t1", "t2", "h1"]}},
    {"name": "at", "type": "datetime", "constraints": {"required": True, "minimum": "2024-06-01T00:00:00Z"}},
    {"name": "value", "type": "number", "constraints": {"minimum": -40, "maximum": 120}},
    {"name": "place", "type": "geopoint"},
    {"name": "ok", "type": "boolean", "trueValues": ["ok"], "falseValues": ["fail"]},
    uniqueKeys=[["sensor", "at"]],
    missingValues=["", "NaN", "-999"],
)


def _sensors(count: int, seed: int) -> list[list[object]]:
    chance = random.Random(seed)
    start = dt.datetime(2024, 6, 1)  # noqa: DTZ001 - the Z is appended when it is written
    return [
        [
            ("t1", "t2", "h1")[number % 3],
            f"{(start + dt.timedelta(minutes=number // 3)).isoformat()}Z",
            chance.choice([f"{chance.uniform(-10, 40):.3f}", f"{chance.uniform(-10, 40):.1f}", "-999"]),
            f"{chance.uniform(-180, 180):.4f},{chance.uniform(-90, 90):.4f}",
            chance.choice(["ok", "fail"]),
        ]
        for number in range(count)
    ]


_BAD_SENSORS = (("t9", "T1", ""), ("2024-05-31T23:59:59Z", "2024-06-31T00:00:00Z", ""), ("-41", "120.5", "warm"), ("200,10", "10", "north"), ("true", "OK"))

INVENTORY = fields(
    {"name": "sku", "type": "string", "constraints": {"required": True, "pattern": "[A-Z]{3}-[0-9]{4}"}},
    {"name": "title", "type": "string", "constraints": {"required": True, "minLength": 3}},
    {"name": "stock", "type": "integer", "groupChar": " ", "constraints": {"minimum": 0}},
    {"name": "weight", "type": "number", "bareNumber": False},
    {"name": "tags", "type": "list", "delimiter": "|"},
    {"name": "extra", "type": "object"},
    {"name": "best_before", "type": "yearmonth"},
    {"name": "opens", "type": "time"},
    primaryKey=["sku"],
)


def _inventory(count: int, seed: int) -> list[list[object]]:
    chance = random.Random(seed)
    return [
        [
            f"ABC-{number:04}",
            chance.choice(["Bolt", "Nut, M8", 'Pipe 5"', "Kabelbinder", "Écrou"]),
            chance.choice(["12", "0", "340"]),
            f"{chance.uniform(0, 9):.2f} kg",
            chance.choice(["a|b", "metal", "metal|small|round"]),
            chance.choice(['{"colour": "red"}', "{}", ""]),
            f"20{chance.randrange(24, 40)}-{chance.randrange(1, 13):02}",
            f"{chance.randrange(24):02}:30:00",
        ]
        for number in range(count)
    ]


_BAD_INVENTORY = (
    ("", "abc-0001", "ABC-1"),
    ("", "ab"),
    ("-1", "many"),
    ("heavy", "none"),
    (),
    ("[1]", "{", "red"),
    ("2024-13", "2024", "soon"),
    ("9:30", "25:00:00", "always"),
)

STAFF = fields(
    {"name": "id", "type": "integer", "constraints": {"required": True}},
    {"name": "name", "type": "string", "constraints": {"required": True}},
    {"name": "manager", "type": "integer"},
    {"name": "since", "type": "year", "constraints": {"minimum": 1990}},
    {"name": "leave", "type": "duration"},
    {"name": "page", "type": "string", "format": "uri"},
    primaryKey="id",
    foreignKeys=[{"fields": ["manager"], "reference": {"resource": "", "fields": ["id"]}}],
)


def _staff(count: int, seed: int) -> list[list[object]]:
    chance = random.Random(seed)
    return [
        [
            number,
            chance.choice(_FIRST),
            "" if number == 1 else chance.randrange(1, number),
            chance.randrange(1995, 2024),
            f"P{chance.randrange(1, 30)}D",
            f"https://example.org/staff/{number}",
        ]
        for number in range(1, count + 1)
    ]


_BAD_STAFF = (("1", "2", "n/a"), ("",), ("900", "950", "boss"), ("1989", "95", "MMXX"), ("5 days", "D5"), ("example.org", "no page"))

LEDGER = fields(
    {"name": "entry", "type": "integer", "constraints": {"required": True, "unique": True}},
    {"name": "account", "type": "string", "constraints": {"required": True, "pattern": "[0-9]{4}"}},
    {"name": "debit", "type": "number", "constraints": {"minimum": 0}},
    {"name": "credit", "type": "number", "constraints": {"minimum": 0}},
    {"name": "booked", "type": "date", "format": "%d.%m.%Y"},
)


def _ledger(count: int, seed: int) -> list[list[object]]:
    chance = random.Random(seed)
    rows: list[list[object]] = []
    for number in range(count):
        amount, is_debit = f"{chance.uniform(1, 900):.2f}", chance.random() < 0.5
        day = _DAY + dt.timedelta(days=chance.randrange(1_500))
        rows.append([number + 1, f"{chance.randrange(1_000, 9_999)}", amount if is_debit else "", "" if is_debit else amount, day.strftime("%d.%m.%Y")])
    return rows


_BAD_LEDGER = (("1", "2", "3", "x", ""), ("", "12", "12345", "12a4"), ("-5", "5,00"), ("-0.01", "nil"), ("2024-01-31", "31.02.2024", "32.01.2024"))

COUNTS = fields(
    {"name": "word", "type": "string"}, *({"name": f"q{number}", "type": "integer", "constraints": {"minimum": 0, "maximum": 10}} for number in range(1, 13))
)


def _counts(count: int, seed: int) -> list[list[object]]:
    chance = random.Random(seed)
    return [[f"w{number}", *(chance.randrange(11) for _ in range(12))] for number in range(count)]


def _table(name: str, schema: Descriptor, make: Callable[[int, int], list[list[object]]], bad: Sequence[Sequence[str]], rows: int) -> tuple[Case, Case]:
    """Return the case of a clean table, and of one with errors."""
    return (
        csv_case(f"{name}-clean", schema, make(rows, 1)),
        csv_case(f"{name}-mixed", schema, _spoil(make(rows, 2), 3, 0.04, bad)),
    )


def _ragged(rows: list[list[object]], seed: int) -> list[list[object]]:
    """Return the rows with some of them cut short, lengthened or blank."""
    chance = random.Random(seed)
    found: list[list[object]] = []
    for row in rows:
        luck = chance.random()
        if luck < 0.03:
            found.append(row[: chance.randrange(1, len(row))])
        elif luck < 0.06:
            found.append([*row, "more"])
        elif luck < 0.08:
            found += [[], row]
        else:
            found.append(row)
    return found


def _workbook(suffix: str) -> Case:
    rows = [[number, name, *rest] for number, name, *rest in _people(60, 5)]
    typed: list[list[object]] = [[*row[:5], float(str(row[5])), row[6] == "true"] for row in rows]
    typed = _spoil(typed, 6, 0.05, (("x1", "y2"), ("", "A name that is far too long to be one"), ("nobody",), ("XX",), ("unknown",), ("tall",), ("yes",)))
    labels: list[object] = [field["name"] for field in PEOPLE["fields"]]
    return Case(name=f"{suffix}-people", suffix=suffix, schema=PEOPLE, content={"people": [labels, *typed]})


RECORD_CASES: tuple[Case, ...] = (
    *_table("people", PEOPLE, _people, _BAD_PEOPLE, 300),
    *_table("orders", ORDERS, _orders, _BAD_ORDERS, 600),
    *_table("sensors", SENSORS, _sensors, _BAD_SENSORS, 900),
    *_table("inventory", INVENTORY, _inventory, _BAD_INVENTORY, 200),
    *_table("staff", STAFF, _staff, _BAD_STAFF, 250),
    *_table("ledger", LEDGER, _ledger, _BAD_LEDGER, 400),
    *_table("counts", COUNTS, _counts, ((), *((("11", "-1", "x"),) * 12)), 400),
    csv_case("counts-ragged", COUNTS, _ragged(_counts(200, 7), 8)),
    Case(
        name="people-semicolons",
        schema=PEOPLE,
        content=csv_bytes([[field["name"] for field in PEOPLE["fields"]], *_spoil(_people(150, 9), 10, 0.05, _BAD_PEOPLE)], delimiter=";")
        .decode()
        .encode("cp1252", "replace"),
        dialect={"delimiter": ";"},
        encoding="cp1252",
    ),
    _workbook("xlsx"),
    _workbook("xls"),
)
