"""Files whose encoding is known: short tables that are made, and chardet's own tests, which are fetched; none of them is kept in the repository."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

from bench.measure import run_json, say

TEXTS_VARIABLE = "CHARDET_TESTS"
"""Names the folder `tests` of a checkout of chardet, where no package index can be reached."""
_SOURCE = "chardet==5.2.0"
"""The last release whose source package has the texts."""
_LANGUAGE = re.compile("-(arabic|bulgarian|croatian|czech|greek|hebrew|hungarian|polish|romanian|russian|slovak|slovene|turkish)$")


@dataclass(frozen=True, slots=True)
class EncodedFile:
    """A file, the encoding that its maker says it has, and its group: the language of a table, the folder of a text."""

    path: Path
    encoding: str
    group: str


def make_tables(folder: Path, *, python: str) -> list[EncodedFile]:
    """Make the short tables anew, with the peers' Faker."""
    index = run_json("bench.run_encoding_tables", str(folder), python=python)["tables"]
    return [EncodedFile(folder / entry["name"], entry["encoding"], entry["group"]) for entry in index]


def find_texts(folder: Path) -> list[EncodedFile]:
    """Return chardet's test texts: those of `CHARDET_TESTS`, or of its source package, which is downloaded once into `folder`."""
    named = os.environ.get(TEXTS_VARIABLE)
    root = Path(named) if named else _download(folder)
    files = sorted(path for path in root.glob("*/*") if path.is_file() and path.suffix != ".py")
    return [EncodedFile(path, _LANGUAGE.sub("", path.parent.name), path.parent.name) for path in files]


def _download(folder: Path) -> Path:
    root = folder / "tests"
    if not root.exists():
        say(f"downloading {_SOURCE}")
        arguments = ["download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest", str(folder), _SOURCE]
        subprocess.run([sys.executable, "-m", "pip", *arguments], check=True, stdout=sys.stderr)
        with tarfile.open(next(folder.glob("chardet-*.tar.gz"))) as archive:
            members = [member for member in archive.getmembers() if "/tests/" in member.name]
            for member in members:
                member.name = member.name.partition("/")[2]
            archive.extractall(folder, members, filter="data")
    return root
