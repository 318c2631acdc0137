"""Make orders.csv: a shop's export of some 10,000 rows with the faults that such files typically have.

    python tests/data/make_orders.py [TARGET]

Makes the same bytes every time (seeded). Uses only the standard library.
"""

from __future__ import annotations

import csv
import io
import random
import sys
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

ROWS = 10_000
SEED = 20_240_131
HEADER = ["order_id", "customer", "email", "country", "ordered_on", "quantity", "unit_price", "paid", "phone", "note"]

FIRST_NAMES = [
    "Ada",
    "Björn",
    "Chloé",
    "Dmitri",
    "Elif",
    "Fatima",
    "Grace",
    "Hugo",
    "Inês",
    "Jürgen",
    "Kenji",
    "Léa",
    "Małgorzata",
    "Niamh",
    "Øystein",
    "Paolo",
]
LAST_NAMES = ["Andersson", "Brown", "Çelik", "Dubois", "Eriksen", "Fernández", "García", "Hofmann", "Ivanova", "Jansen", "Kowalski", "O'Neill", "Tanaka"]
COUNTRIES = ["DE", "FR", "GB", "ES", "IT", "NL", "PL", "SE", "TR", "US", "JP"]
NOTES = [
    "",
    "",
    "",
    "",
    "Leave at the door",
    "Gift, please wrap",
    'Customer asked for the 5" model, not the 7"',
    "Call first; nobody at home before 17:00",
    "Second attempt,\nfirst parcel came back",
    "Rabatt 10 %, wie vereinbart",
]

Record = list[str]
Fault = Callable[[random.Random, Record], Record]


def make_record(chance: random.Random, number: int) -> Record:
    """Make one order without faults."""
    first, last = chance.choice(FIRST_NAMES), chance.choice(LAST_NAMES)
    ordered_on = date(2023, 1, 1) + timedelta(days=number * 700 // ROWS)
    price = Decimal(chance.randrange(199, 49_999)) / 100
    mailbox = f"{first}.{last}".lower().encode("ascii", "ignore").decode().replace("'", "")
    return [
        str(100_000 + number),
        f"{first} {last}",
        f"{mailbox}{chance.randrange(1, 99)}@example.{chance.choice(['com', 'org', 'net'])}",
        chance.choice(COUNTRIES),
        ordered_on.isoformat(),
        str(chance.randrange(1, 12)),
        f"{price:.2f}",
        chance.choice(["true", "true", "true", "false"]),
        f"+{chance.randrange(1, 99)} {chance.randrange(100, 999)} {chance.randrange(1_000_000, 9_999_999)}",
        chance.choice(NOTES),
    ]


def replaced(column: str, *values: str) -> Fault:
    """Return a fault that puts one of `values` into a column."""
    position = HEADER.index(column)

    def apply(chance: random.Random, record: Record) -> Record:
        return [*record[:position], chance.choice(values), *record[position + 1 :]]

    return apply


def cut_short(chance: random.Random, record: Record) -> Record:
    """Return the row cut short."""
    return record[: chance.randrange(5, 9)]


def comma_unquoted(_: random.Random, record: Record) -> Record:
    """Return the row with one cell too many, as if quotes around a cell with a comma had been forgotten."""
    return [*record, "express"]


FAULTS: list[tuple[int, Fault]] = [
    (60, replaced("quantity", "two", "3 pcs", "n/a", "1.5")),
    (45, replaced("unit_price", "free", "19,99", "EUR 12.50", "12.5.0")),
    (40, replaced("ordered_on", "31/01/2024", "2024-02-30", "yesterday", "2024-13-01")),
    (30, replaced("paid", "maybe", "open", "?")),
    (35, replaced("customer", "", "   ")),
    (30, replaced("email", "")),
    (25, replaced("quantity", "")),
    (15, replaced("order_id", "", "tbd", "10O234")),
    (12, cut_short),
    (10, comma_unquoted),
]
"""How many rows get each fault."""

BLANK_RUNS = {1_200: 1, 4_800: 3, 7_777: 2}
"""Number of blank rows before an order, by the number of the order."""
UNDECODABLE_ORDER = 6_400


def encode(record: Record) -> bytes:
    """Return a record as a line of the file."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(record)
    return line.getvalue().encode()


def make_orders() -> bytes:
    """Return the whole file."""
    chance = random.Random(SEED)
    places = iter(chance.sample(range(100, ROWS), sum(count for count, _ in FAULTS)))
    faults = {next(places): fault for count, fault in FAULTS for _ in range(count)}
    lines = [encode(HEADER)]
    for number in range(ROWS):
        lines += [b"\r\n"] * BLANK_RUNS.get(number, 0)
        record = make_record(chance, number)
        if number in faults:
            record = faults[number](chance, record)
        if number == UNDECODABLE_ORDER:
            # One line that another program saved in Windows-1252.
            lines.append(encode([*record[:9], "Paid in caf?"]).replace(b"caf?", b"caf\xe9"))
            continue
        lines.append(encode(record))
    return b"".join(lines)


def main() -> None:
    """Write the file."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("orders.csv")
    target.write_bytes(make_orders())


if __name__ == "__main__":
    main()
