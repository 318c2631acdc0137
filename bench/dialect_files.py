"""Public CSV files whose delimiter and quote character people have noted, as UTF-8 copies: the three sets of the repository ws-garcia/CSVsniffer."""

from __future__ import annotations

import io
import os
import tarfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.measure import DATA, RunFailed, say

FOLDER_VARIABLE = "BENCH_DIALECTS"
"""Environment variable that names a checkout of the repository; without it the repository is fetched into bench/.data."""
_ARCHIVE = "https://codeload.github.com/ws-garcia/CSVsniffer/tar.gz/refs/heads/master"
_SETS = {
    "CCSV-manual_Dialect_Annotation.txt": ("CSV Wrangling", "CSV_Wrangling/data/github/Curated files"),
    "POLLOCK-dialect_annotations.txt": ("Pollock and others", "CSV"),
    "W3C-CSVW-dialect_annotations.txt": ("W3C CSVW", "W3C-CSVW"),
}
_CHARACTERS = {"comma": ",", "semicolon": ";", "tab": "\t", "vslash": "|", "nsign": "#", "space": " ", "colon": ":", "doublequote": '"', "singlequote": "'"}
_ENCODINGS = {"utf8": "utf-8-sig", "ansi": "cp1252", "unicode": "utf-16", "shif-jis": "shift_jis", "": "utf-8"}
_MOST_BYTES = 50_000_000


@dataclass(frozen=True, slots=True)
class AnnotatedFile:
    """A file, and its dialect as people see it."""

    set_name: str
    path: Path
    delimiter: str
    quote_char: str
    has_quotes: bool
    """Otherwise every quote character is right."""


def list_dialect_files() -> list[AnnotatedFile]:
    """Return all files that can be had, as UTF-8 copies in bench/.data. Raises `RunFailed` if they cannot be fetched."""
    source = Path(os.environ[FOLDER_VARIABLE]) if FOLDER_VARIABLE in os.environ else _fetch()
    copies = DATA / "dialects"
    return [file for annotations, (set_name, folder) in _SETS.items() for file in _read_set(source, annotations, set_name, source / folder, copies)]


def _read_set(source: Path, annotations: str, set_name: str, folder: Path, copies: Path) -> Iterator[AnnotatedFile]:
    lines = (source / "python" / "ground truth" / annotations).read_text("utf-8", "replace").splitlines()
    for line in lines:
        name, encoding, delimiter, quote, *_ = [*line.split("|"), "", "", ""]
        path = folder / name
        if line.startswith(("#", "file_name")) or not path.is_file() or path.stat().st_size > _MOST_BYTES:
            continue
        text = path.read_bytes().decode(_ENCODINGS.get(encoding.lower(), encoding), "replace")
        copy = copies / set_name / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(text.encode())
        yield AnnotatedFile(set_name, copy, _CHARACTERS[delimiter], _CHARACTERS[quote], _CHARACTERS[quote] in text)


def _fetch() -> Path:
    target = DATA / "CSVsniffer-master"
    if not target.exists():
        say("fetching annotated CSV files")
        try:
            with urllib.request.urlopen(_ARCHIVE, timeout=60) as answer, tarfile.open(fileobj=io.BytesIO(answer.read())) as archive:
                archive.extractall(DATA, filter="data")
        except OSError as error:
            raise RunFailed(f"{_ARCHIVE}: {error}; fetch it by hand and name its folder in {FOLDER_VARIABLE}") from error
    return target
