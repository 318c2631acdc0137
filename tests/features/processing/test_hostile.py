"""Every hostile file gives its rows and errors, or a sentence for the person who uploaded it, within the memory of a worker."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from tests.features.processing.hostile import corpus
from tests.paths import ROOT

pytestmark = pytest.mark.slow

MAX_PEAK_MIB = 350
"""A worker may take 384 MiB; its connections and tasks need some of that."""

CORPUS = corpus()
LARGE = [name for name in CORPUS if any(word in name for word in ("megabytes", "16,384", "too many for memory", "far corner", "two hundred thousand"))]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """Return the outcome of every file, and the peak memory of the processes that read them: one for each large file, one for all others."""
    folder = tmp_path_factory.mktemp("hostile")
    ends: dict[str, Any] = {}
    peaks: dict[str, float] = {}
    for names in ([name for name in CORPUS if name not in LARGE], *([name] for name in LARGE)):
        paths = [folder / f"{number}{CORPUS[name].suffix}" for number, name in enumerate(names)]
        for name, path in zip(names, paths, strict=True):
            CORPUS[name].make(path)
        command = [sys.executable, "-m", "tests.features.processing.read_files", *map(str, paths)]
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=100)
        for path in paths:
            path.unlink()
        assert done.stderr == ""
        facts: dict[str, Any] = json.loads(done.stdout)
        ends |= zip(names, facts["ends"], strict=True)
        peaks[names[-1]] = facts["peak_mib"]
    return {"ends": ends, "peaks": peaks}


def test_corpus_is_large(outcome: Mapping[str, Any]) -> None:
    assert len(outcome["ends"]) >= 100


@pytest.mark.parametrize("name", CORPUS)
def test_hostile_file_ends_as_it_should(outcome: Mapping[str, Any], name: str) -> None:
    expected, end = CORPUS[name], outcome["ends"][name]
    if expected.sentence:
        assert expected.sentence in end["sentence"]
        assert end["sentence"].endswith(".")
    else:
        assert end == {"sentence": "", "rows": expected.rows, "errors": expected.errors}


def test_no_hostile_file_takes_more_memory_than_a_worker_has(outcome: Mapping[str, Any]) -> None:
    assert {name: peak for name, peak in outcome["peaks"].items() if peak > MAX_PEAK_MIB} == {}
