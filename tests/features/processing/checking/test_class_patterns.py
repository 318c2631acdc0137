"""A pattern that is read as classes of characters matches what Python's `re.fullmatch` matches, whatever the cells and their arrays."""

from __future__ import annotations

import random
import re

import pyarrow as pa
import pytest

from features.processing.checking.class_patterns import read_class_pattern
from features.processing.column import Column

CLASSES = ("[0-9]", "[A-Z]", "[a-z0-9.]", r"\d", r"\w", "[+-]", r"[a-f\d_]", r"[\-x]", "[A-Za-z' ]", "x", r"\+", "-", "/", r"\.", "[A-Z-]", r"[\]]")
REPEATS = ("{3}", "{1}", "{2,4}", "{2,}", "{0,2}", "+", "*", "?", "{0}")
CHARACTERS = "0199azfxAZ+-./_' ]éß٣\n\0"


def write_pattern(chance: random.Random) -> str:
    """Write a pattern in which at most one part repeats from so often to so often."""
    parts = [chance.choice(CLASSES) + chance.choice(["", "", "{2}"]) for _ in range(chance.randint(0, 2))]
    parts.insert(chance.randint(0, len(parts)), chance.choice(CLASSES) + chance.choice(REPEATS))
    return chance.choice(["", "^"]) + "".join(parts) + chance.choice(["", "", "$"])


def write_cell(chance: random.Random, pattern: str) -> str:
    """Write a text that matches in most cases, or nearly does."""
    cell = ""
    for part, repeat in re.findall(r"(\[(?:\\.|[^\]])+\]|\\.|[^\\^$\[])(\{[0-9,]+\}|[*+?])?", pattern):
        members = [character for character in CHARACTERS if re.fullmatch(part, character, re.ASCII)] or ["x"]
        counts = [int(number) for number in re.findall("[0-9]+", repeat)] or [1]
        cell += "".join(chance.choices(members, k=chance.choice([*counts, counts[0] + (chance.random() < 0.1)])))
    if chance.random() < 0.3:
        at = chance.randint(0, len(cell))
        cell = cell[:at] + chance.choice([*CHARACTERS, ""]) + cell[at + chance.randint(0, 1) :]
    return cell


@pytest.mark.parametrize("seed", range(150))
def test_cells_match_as_python_matches_them(seed: int) -> None:
    chance = random.Random(seed)
    pattern = write_pattern(chance)
    classes = read_class_pattern(pattern)
    assert classes is not None
    cells = ["", *(write_cell(chance, pattern) for _ in range(300))]
    column = Column(pa.array(["1x", *cells, "0"], pa.string()).slice(1, len(cells)))
    bad = classes.find_bad(column).tolist()
    # What `$` does before a last line feed, and other scripts, the rule asks Python.
    judged = [(cell, found) for cell, found in zip(cells, bad, strict=True) if not cell.endswith("\n")]
    assert judged == [(cell, re.fullmatch(pattern, cell, re.ASCII) is None) for cell, _ in judged]


def test_cells_that_are_not_there_are_bad_and_hide_no_other() -> None:
    classes = read_class_pattern(r"\+[0-9]{2,3}")
    assert classes is not None
    column = Column(pa.array(["+12", None, "", "+1234", "12", "+12x", "+123", None, "+"], pa.string()))
    assert classes.find_bad(column).tolist() == [False, True, True, True, True, True, False, True, True]
    assert classes.find_bad(Column(pa.array([], pa.string()))).tolist() == []
    assert classes.find_bad(Column(pa.array(["", None], pa.string()))).tolist() == [True, True]


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "a|b",
        "(ab)+",
        ".{3}",
        "[^0-9]",
        "[0-9]+-[0-9]+",
        "[a-z]+?",
        "[a-z]++",
        "a{,3}",
        "a{2}{3}",
        r"\bab",
        r"\s+",
        r"\D{2}",
        r"\n",
        r"\x41",
        "[+-9]+",
        "[a-f-z]",
        r"[\d-x]",
        "[--/]",
        "[]a]",
        "[[a]",
        "[a&&b]{2}",
        "é{3}",
        "[à-é]",
        r"a\$b",
        "a$b",
        "a^b",
        "^^a",
        r"\\$",
        "(?i)ab",
        "a{02}",
        "[acegikmoq]+",
        "a b{2} c|",
        "[A-Z]{4}x[0-9]{5}y[0-9]{6}z",
    ],
)
def test_other_patterns_are_left_to_others_or_mean_the_same(pattern: str) -> None:
    classes = read_class_pattern(pattern)
    if classes is None:
        return
    cells = ["", "a", "ab", "a$b", "&", "&&", "a&", "b]", "[", "a]", "]", "\\", "\\$", "-", "+", ",", "9", "x", "aaa", "a" * 6]
    assert classes.find_bad(Column(pa.array(cells, pa.string()))).tolist() == [re.fullmatch(pattern, cell, re.ASCII) is None for cell in cells]


@pytest.mark.parametrize("pattern", ["[0-9]{5}", r"\+[0-9]{9,15}", r"^[A-Z]{2}\d{2}[A-Z0-9]{11,30}$", "[A-Z]{1,3}-[0-9]{4}", "[a-z0-9._-]+"])
def test_usual_patterns_are_read(pattern: str) -> None:
    assert read_class_pattern(pattern) is not None
