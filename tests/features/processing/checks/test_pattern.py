"""Patterns match exactly as with `re.fullmatch`, whichever engine decides, and one that hangs ends the check."""

from __future__ import annotations

import random
import re
import threading
import time
import warnings

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from features.processing.checking.cell_judge import Verdict
from features.processing.checking.checker import Checker
from features.processing.checking.declarations import FileUncheckable
from features.processing.checking.limited_judge import Budget, LimitedJudge, TextsTooSlow
from features.processing.checks import pattern as pattern_check
from features.processing.column import Column
from features.processing.readers.base import Chunk, ReadLimits
from shared.descriptors.table_schema import DescriptorInvalid, Field, parse_table_schema
from shared.descriptors.table_schema.patterns import PatternInvalidError, plan_pattern


def _bad_cells(constraints: dict[str, object], cells: list[str], kind: str = "string") -> dict[int, str]:
    schema = parse_table_schema({"fields": [{"name": "a", "type": kind, "constraints": constraints}], "missingValues": []})
    checker = Checker(schema, labels=["a"], header_row=1, limits=ReadLimits())
    try:
        findings = checker.check(Chunk(columns=[pa.array(cells, pa.string())], row_numbers=np.arange(len(cells)))).findings
    finally:
        checker.close()
    found: dict[int, str] = {}
    for finding in findings:
        messages = finding.message.to_pylist() if not isinstance(finding.message, str) else [finding.message] * len(finding)
        found |= dict(zip(finding.row_numbers.tolist(), messages, strict=True))
    return found


_PIECES = st.sampled_from(
    [
        "a",
        "b",
        "é",
        ".",
        r"\d",
        r"\w",
        r"\s",
        r"\b",
        "^",
        "$",
        "[ab]",
        "[^a]",
        "(a|b)",
        "(?:ab)",
        "*",
        "+",
        "?",
        "{1,2}",
        "{,2}",
        "|",
        r"\.",
        "(?i:A)",
        r"\S",
        "-",
        r"\n",
        "[a-é]",
        "[[:alpha:]]",
    ],
)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(
    st.lists(_PIECES, min_size=1, max_size=6).map("".join),
    st.lists(st.text("abAé1 \n\v\x1c.-ß", max_size=5).filter(lambda text: text == "" or not text.isspace()), max_size=8),
)
def test_any_pattern_matches_what_re_fullmatch_matches(pattern: str, cells: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compiled = re.compile(pattern)
        except re.error:
            assume(condition=False)
            return
    assume("[:alpha:]" not in pattern)
    bad = _bad_cells({"pattern": pattern}, cells)
    assert set(bad) == {index for index, cell in enumerate(cells) if compiled.fullmatch(cell) is None}


@settings(max_examples=300, deadline=None)
@given(
    st.lists(_PIECES.filter(lambda piece: piece not in ("[[:alpha:]]", r"\b", "^", "$")), min_size=1, max_size=4).map("".join),
    st.lists(st.text("abA1 .-", max_size=4).filter(lambda text: text == "" or not text.isspace()), min_size=1, max_size=30),
)
@pytest.mark.slow
def test_column_in_which_all_or_all_but_one_match_is_judged_cell_by_cell(pattern: str, texts: list[str]) -> None:
    try:
        compiled = re.compile(pattern)
    except re.error:
        assume(condition=False)
        return
    good = [text for text in texts if compiled.fullmatch(text) is not None]
    assert _bad_cells({"pattern": pattern}, good) == {}
    for text in texts:
        if text not in good:
            assert set(_bad_cells({"pattern": pattern}, [*good, text, *good])) == {len(good)}


@pytest.mark.parametrize(
    ("pattern", "bad"),
    [
        *((pattern, {0, 1}) for pattern in ("a.*b", r"a\sb", r"a\Wb", "(?s:a.b)", r"a\nb", r"a\x0ab", "a\nb", r"a[\n]b")),
        *((pattern, set()) for pattern in ("[^x]+", r"[\t-z]+", "[[:space:]ab]+")),
    ],
)
def test_cells_that_match_only_when_put_together_are_bad(pattern: str, bad: set[int]) -> None:
    assert set(_bad_cells({"pattern": pattern}, ["a", "b"])) == bad


def test_pattern_too_large_to_be_joined_is_judged_cell_by_cell() -> None:
    pattern = "(?:[a-ü]{100}){10}" * 70
    plan = plan_pattern(pattern)
    assert plan.re2_pattern is not None
    assert plan.re2_lines is None
    assert set(_bad_cells({"pattern": pattern}, ["a" * 70_000, "a" * 69_999])) == {1}


def test_pattern_with_look_around_is_decided_by_python() -> None:
    assert set(_bad_cells({"pattern": r"(?=.*\d)(?=.*[a-z]).{4,}"}, ["abc1", "abcd", "1234", "a1"])) == {1, 2, 3}


def test_pattern_with_unicode_property_is_decided_by_re2() -> None:
    assert set(_bad_cells({"pattern": r"\p{Lu}\p{Ll}+"}, ["Äpfel", "apfel"])) == {1}


@pytest.mark.slow
def test_pattern_that_hangs_ends_the_check_and_names_the_field(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("features.processing.checking.limited_judge.LIMIT_S", 0.2)
    with pytest.raises(FileUncheckable, match=r"^The pattern of the field a takes too long .* without look-around"):
        _bad_cells({"pattern": r"(a+)+(?!x)$"}, ["aaa", "a" * 60 + "!", "b"])


def test_time_of_slow_cells_is_summed_over_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("features.processing.checking.limited_judge.LIMIT_S", 0.3)
    judge = LimitedJudge()
    rule, other = (judge.add_rule("pattern", pattern, Budget(Field(name="a", type="string"))) for pattern in (r"(a+)+(?!x)$", r"a+(?!x)"))
    try:
        with pytest.raises(TextsTooSlow):
            for _ in range(100):
                assert judge.judge(rule, ["a" * 19 + "!"]) == [Verdict.BAD]
        assert judge.judge(other, ["aa", "b"]) == [Verdict.GOOD, Verdict.BAD]
    finally:
        judge.close()


def test_json_schema_is_applied_to_objects() -> None:
    schema = {"type": "object", "properties": {"value": {"type": "integer"}}, "required": ["value"]}
    bad = _bad_cells({"jsonSchema": schema}, ['{"value": 1}', '{"value": "x"}', "{}", "nonsense"], "object")
    assert set(bad) == {1, 2, 3}
    assert "JSON object" in bad[3]


@pytest.mark.slow
def test_json_schema_whose_pattern_hangs_ends_the_check_and_names_the_field(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("features.processing.checking.limited_judge.LIMIT_S", 0.2)
    with pytest.raises(FileUncheckable, match=r"^The jsonSchema of the field a takes too long"):
        _bad_cells({"jsonSchema": {"properties": {"a": {"pattern": "^(a+)+$"}}}}, ['{"a": "aa"}', '{"a": "' + "a" * 60 + '!"}'], "object")


@pytest.mark.parametrize("pattern", ["(", "[z-a]", "[a-z-[aeiou]]", r"\i\c*", "a" * 10_001, "(?<=a+)b"])
def test_pattern_that_cannot_be_used_is_refused(pattern: str) -> None:
    with pytest.raises(PatternInvalidError):
        plan_pattern(pattern)
    with pytest.raises(DescriptorInvalid) as caught:
        parse_table_schema({"fields": [{"name": "a", "type": "string", "constraints": {"pattern": pattern}}]})
    assert [problem.pointer for problem in caught.value.problems] == ["/schema/fields/0/constraints/pattern"]


def _check_chunks(pattern: str, chunks: list[list[str | None]]) -> list[list[int]]:
    schema = parse_table_schema({"fields": [{"name": name, "type": "string", "constraints": {"pattern": pattern}} for name in "ab"]})
    checker = Checker(schema, labels=["a", "b"], header_row=1, limits=ReadLimits())
    bad: list[list[int]] = []
    try:
        for cells in chunks:
            column = pa.array(cells, pa.string())
            findings = checker.check(Chunk(columns=[column, column], row_numbers=np.arange(len(cells)))).findings
            assert [finding.column_number for finding in findings] in ([], [1, 2])
            bad.append(findings[0].row_numbers.tolist() if findings else [])
    finally:
        checker.close()
    return bad


def test_columns_that_are_matched_in_another_thread_have_the_same_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    chooser = random.Random(1)
    words = ["ab1", "ab", "", "AB1", "é1", "\n", " ", "zz9", "a" * 300 + "1", None]
    chunks = [[chooser.choice(words) for _ in range(size)] for size in (1, 2_000, 5_000, 3)] + [["ab1"] * 3_000, ["x" * 300_000, "ab1"], [None] * 40]
    threads: set[int] = set()
    match = pattern_check._Re2Rule._match_part

    def note(self: pattern_check._Re2Rule, column: Column) -> object:
        threads.add(threading.get_ident())
        return match(self, column)

    monkeypatch.setattr(pattern_check._Re2Rule, "_match_part", note)
    expected = [[row for row, cell in enumerate(cells) if cell and cell.strip() and not re.fullmatch(r"[a-z]+\d", cell)] for cells in chunks]
    monkeypatch.setattr(pattern_check, "LEAST_BYTES", 2**40)
    assert _check_chunks(r"(?:[a-z]+)\d", chunks) == expected
    assert threads == {threading.get_ident()}
    threads.clear()
    monkeypatch.setattr(pattern_check, "LEAST_BYTES", 1)
    monkeypatch.setattr(pattern_check, "_PART_BYTES", 2**12)
    assert _check_chunks(r"(?:[a-z]+)\d", chunks) == expected
    # Columns with a large cell are matched in this thread, the others in one more.
    assert len(threads) == 2


@pytest.mark.parametrize("part_bytes", [16, 2**21])
def test_columns_that_are_matched_by_their_bytes_have_the_same_errors(monkeypatch: pytest.MonkeyPatch, part_bytes: int) -> None:
    chooser = random.Random(2)
    words = ["ab1", "ab", "", "AB1", "é1", "ab٣", "\n", " ", "zz9", "a" * 300 + "1", None]
    chunks = [[chooser.choice(words) for _ in range(size)] for size in (1, 2_000, 3)] + [
        ["ab1"] * 300,
        ["x" * 300_000 + "1", "ab1", "x" * 300_000],
        [None] * 40,
    ]
    monkeypatch.setattr(pattern_check, "_CLASSES_PART_BYTES", part_bytes)
    expected = [[row for row, cell in enumerate(cells) if cell and cell.strip() and not re.fullmatch(r"[a-z]+\d", cell)] for cells in chunks]
    assert _check_chunks(r"[a-z]+\d", chunks) == expected


def test_pattern_that_is_slow_in_another_thread_ends_the_check_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pattern_check, "LEAST_BYTES", 1)
    monkeypatch.setattr(pattern_check, "_PART_BYTES", 2**10)
    monkeypatch.setattr("features.processing.checking.limited_judge.LIMIT_S", 0.05)
    parts = 0
    match = pattern_check._Re2Rule._match_part

    def spin(self: pattern_check._Re2Rule, column: Column) -> object:
        nonlocal parts
        parts += 1
        end_s = time.thread_time() + 0.02
        while time.thread_time() < end_s:
            pass
        return match(self, column)

    monkeypatch.setattr(pattern_check._Re2Rule, "_match_part", spin)
    with pytest.raises(FileUncheckable, match=r"^The pattern of the field a takes too long"):
        _check_chunks(r"(?:[a-z]+)\d", [["abc1"] * 20_000])
    # Both columns stop at their limit, and not after eighty parts.
    assert parts < 20
