"""The verdicts of Rowgate and frictionless agree cell by cell, except for the differences listed in tests/peer/differences.py."""

from __future__ import annotations

import re
import tempfile
from functools import cache
from pathlib import Path

import pytest

from bench.measure import ROOT
from bench.peers import peer_versions
from tests.peer.cases import CASES
from tests.peer.comparison import Fixture, Inspected, compare_verdicts, inspect_case, load_fixture
from tests.peer.differences import DIFFERENCES, REASONS

PAGE = ROOT / "docs" / "beside-frictionless.md"
BY_NAME = {case.name: case for case in CASES}
STALE = "Run python -m bench.agree: the cases are no longer those that frictionless saw."


@cache
def fixture() -> Fixture:
    return load_fixture()


@cache
def inspected(name: str) -> Inspected:
    with tempfile.TemporaryDirectory(prefix="peer-") as folder:
        return inspect_case(BY_NAME[name], Path(folder))


@pytest.mark.parametrize("name", BY_NAME)
def test_verdict_is_that_of_frictionless_or_differs_as_listed(name: str) -> None:
    assert fixture().digests.get(name) == BY_NAME[name].digest, STALE
    found = compare_verdicts(name, inspected(name).verdict, fixture().verdicts[name])
    listed = [difference for difference in REASONS if difference.case == name]
    assert sorted(found, key=repr) == sorted(listed, key=repr)


def test_fixture_has_the_verdicts_on_these_cases_and_no_other() -> None:
    assert list(fixture().digests) == [case.name for case in CASES], STALE
    assert f"frictionless=={fixture().version}" in peer_versions(), "Run python -m bench.agree: the peers' environment has another version."


def test_cases_are_many_and_most_of_them_agree() -> None:
    differing = {difference.case for difference in REASONS}
    assert len(BY_NAME) == len(CASES) >= 60
    assert differing <= {case.name for case in CASES}
    assert len(CASES) - len(differing) >= 200
    assert sum(not verdict for verdict in fixture().verdicts.values()) >= 20


def test_every_difference_is_listed_once() -> None:
    assert len(REASONS) == sum(map(len, DIFFERENCES.values()))


def test_page_explains_every_reason_and_no_other() -> None:
    rows = re.findall(r"^\| `([a-z0-9-]+)` \|(.*)\|$", PAGE.read_text(), re.MULTILINE)
    assert sorted(reason for reason, _ in rows) == sorted(DIFFERENCES)
    for reason, explanation in rows:
        cells = [cell.strip() for cell in explanation.split(" | ")]
        assert len(cells) == 4, reason
        assert all(cells), reason
        assert cells[0] == str(len(DIFFERENCES[reason])), f"The page counts {cells[0]} for {reason}."


def test_page_tells_the_counts_of_the_comparison() -> None:
    ours = {name: inspected(name) for name in BY_NAME}
    theirs = fixture().verdicts
    same = sum(ours[name].verdict.get(place) == kinds for name, verdict in theirs.items() for place, kinds in verdict.items())
    counts = {
        "files": len(CASES),
        "rows": sum(each.rows for each in ours.values()),
        "cells": sum(each.cells for each in ours.values()),
        "files with the same verdict throughout": len(CASES) - len({difference.case for difference in REASONS}),
        "errors that Rowgate finds": sum(len(kinds) for each in ours.values() for kinds in each.verdict.values()),
        "errors that frictionless finds": sum(len(kinds) for verdict in theirs.values() for kinds in verdict.values()),
        "places with the same errors from both": same,
        "places that differ": len(REASONS),
    }
    page = PAGE.read_text()
    assert [f"| {what} | {count:,} |" for what, count in counts.items() if f"| {what} | {count:,} |" not in page] == []
