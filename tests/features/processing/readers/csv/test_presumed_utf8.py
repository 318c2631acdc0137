"""Files that are read while they are fetched give what they give when all of them is there, whatever their encoding turns out to be."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.processing.engine import inspect_file
from features.processing.readers.base import Finding, ReadAnew, ReadLimits
from features.processing.readers.csv.utf8_count import count_unfinished
from shared.storage.arrival import Arrival

ROWS = 30_000
PLAIN = b"id,name\n" + b"".join(b"%d,Name %d\n" % (number, number) for number in range(ROWS))
"""Longer than the beginning that is looked at first (64 KiB), and than one block."""
CYRILLIC = b"id,name\n" + "".join(f"{number},Имя {number} €\n" for number in range(ROWS)).encode()
"""Characters of two and three bytes, which blocks of any size cut."""
LATIN = "Müller,Größe,Straße,Jürgen,Björn,süß,Äpfel,Öl".encode("cp1252")


@contextmanager
def arriving(path: Path, *, step: int = 50_000) -> Iterator[Arrival]:
    """Let a file arrive piece by piece, each only when somebody waits for it or a moment has passed."""
    size = path.stat().st_size
    arrival = Arrival(size, must_stop=lambda: False)

    def arrive() -> None:
        for begin in range(0, size, step):
            arrival.note(begin, min(size, begin + step))

    thread = threading.Thread(target=arrive)
    thread.start()
    try:
        yield arrival
    finally:
        thread.join()


def describe(finding: Finding) -> list[tuple[str, ...]]:
    messages = [finding.message] * len(finding) if isinstance(finding.message, str) else finding.message.to_pylist()
    values = [None] * len(finding) if finding.raw_values is None else finding.raw_values.to_pylist()
    return [
        (finding.error_type, str(finding.column_number), str(row), message, repr(value))
        for row, message, value in zip(finding.row_numbers, messages, values, strict=True)
    ]


def read(path: Path, arrival: Arrival | None) -> dict[str, Any]:
    limits = ReadLimits(chunk_rows=1000, arrival=arrival)
    inspection = inspect_file(path, limits=limits)
    try:
        reports = list(inspection.reports())
        return {
            "source": inspection.source,
            "notes": list(inspection.notes),
            "rows": sum(report.rows_processed for report in reports),
            "errors": sorted(error for report in reports for finding in report.findings for error in describe(finding)),
        }
    finally:
        inspection.close()


def read_while_it_arrives(path: Path) -> tuple[dict[str, Any], bool]:
    """Return what is found in a file that is being fetched, and whether it had to be read anew."""
    with arriving(path) as arrival:
        try:
            return read(path, arrival), False
        except ReadAnew:
            return read(path, None), True


@pytest.mark.parametrize(
    ("content", "is_anew"),
    [
        (PLAIN, False),
        (PLAIN + "é,ü\n".encode() * 2000, False),
        ("\ufeff".encode() + PLAIN, False),
        (PLAIN * 20 + LATIN * 5 + b"\n", True),
        (PLAIN + LATIN * 5 + b"\n", False),
        (b"id,name\n1," + LATIN + b"\n" + PLAIN[8:], False),
        (PLAIN + "é,ü\n".encode() * 2000 + b"\xff,1\n" + PLAIN[8:], False),
        (PLAIN * 20 + b"1,\xe4\n", True),
        (PLAIN * 20 + "1,é".encode()[:-1], True),
        (PLAIN.decode().encode("utf-16"), False),
        (b"id,name\n1,\x1b$B%F\x1b(B\n" + PLAIN[8:], False),
        (CYRILLIC, False),
        (CYRILLIC.replace(b"\n", b"\r\r\n"), False),
        (b'"id","name"\n' + b"".join(b'"%d,""%s"""\n' % (number, "Имя".encode()) for number in range(ROWS)), False),
        (CYRILLIC + b"1," + "Ы".encode() * 9_000_000 + b"\n" + CYRILLIC[8:], False),
    ],
    ids=[
        "ascii",
        "utf-8",
        "marked",
        "legacy at the end",
        "legacy in the first blocks",
        "legacy at once",
        "one bad byte in utf-8",
        "one bad byte at the end",
        "cut character",
        "utf-16",
        "escape",
        "other letters",
        "line ends doubled",
        "rows wrapped in quotes",
        "row longer than may be",
    ],
)
def test_what_arrives_is_read_as_what_is_there(tmp_path: Path, content: bytes, is_anew: bool) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    found, was_anew = read_while_it_arrives(path)
    assert found == read(path, None)
    assert was_anew is is_anew


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(place=st.integers(0, len(PLAIN)), byte=st.sampled_from([b"\xff", b"\xe4", b"\xc3", b"\xe2\x82", "ü".encode(), b"\x80\x80"]), times=st.integers(1, 40))
def test_bad_bytes_anywhere_change_nothing_but_when(tmp_path: Path, place: int, byte: bytes, times: int) -> None:
    path = tmp_path / "b.csv"
    path.write_bytes(PLAIN[:place] + byte * times + PLAIN[place:])
    assert read_while_it_arrives(path)[0] == read(path, None)


def test_rows_are_read_before_all_of_the_file_is_there(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_bytes(PLAIN * 20)
    arrival = Arrival(path.stat().st_size, must_stop=lambda: False)
    arrival.note(0, len(PLAIN) * 19)
    inspection = inspect_file(path, limits=ReadLimits(chunk_rows=1000, arrival=arrival))
    reports = inspection.reports()
    assert next(reports).rows_processed == 1000
    arrival.note(len(PLAIN) * 19, len(PLAIN) * 20)
    assert sum(report.rows_processed for report in reports) == 20 * ROWS + 19 - 1000
    inspection.close()


@pytest.mark.parametrize("character", ["a", "é", "€", "😀"])
def test_unfinished_characters_are_counted(character: str) -> None:
    whole = character.encode()
    for end in range(len(whole) + 1):
        assert count_unfinished(b"x" + whole[:end]) == (end if 0 < end < len(whole) else 0)
    assert count_unfinished(b"") == 0
    assert count_unfinished(b"\x80" * 5) == 0
