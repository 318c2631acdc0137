"""Encodings found, beside other detectors, in short tables and in chardet's own test texts."""

from __future__ import annotations

import codecs
from collections import Counter
from collections.abc import Mapping, Sequence

from bench.encoded_files import EncodedFile, find_texts, make_tables
from bench.measure import Plan, run_json, say
from bench.peers import peer_versions, prepare_peers
from bench.reading_part import ReadingPart
from bench.report import Verdict
from features.processing.readers.csv.detect_encoding import detect_encoding

OURS = "Rowgate"
PEERS = ("chardet", "cchardet", "charset-normalizer")
TARGET = 0.97
_SUPERSETS = {
    "shift_jis": "cp932",
    "shift_jis_2004": "cp932",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "euc_kr": "cp949",
    "iso8859-1": "cp1252",
    "tis-620": "cp874",
    "big5": "cp950",
    "big5hkscs": "cp950",
    "euc_jis_2004": "euc_jp",
    "utf-8-sig": "utf-8",
}
"""For files that are damaged, or of which only the superset is right."""


def measure_encodings(plan: Plan) -> ReadingPart:
    """Detect the encodings of all files with each detector; a detector is right if its encoding gives the same text as the true one."""
    python = prepare_peers()
    folder = plan.data / "encodings"
    folder.mkdir(parents=True, exist_ok=True)
    sets = {
        "Encodings: short tables of 35 languages": make_tables(folder / "tables", python=python),
        "Encodings: chardet's test texts": find_texts(folder),
    }
    rows: list[tuple[str, ...]] = []
    verdicts: list[Verdict] = []
    for what, files in sets.items():
        shares = {name: _share_right(name, files, found) for name, found in _ask_all(files, python=python, plan=plan).items()}
        best = max(PEERS, key=lambda name: shares[name])
        rows.append((what, f"{len(files)} files", f"{shares[OURS]:.1%}", ", ".join(f"{name} {shares[name]:.1%}" for name in PEERS)))
        verdicts += [
            Verdict(what, f"≥ {TARGET:.0%}", f"{shares[OURS]:.1%}", shares[OURS] >= TARGET),
            Verdict(f"{what}, beside the best peer", f"≥ {shares[best]:.1%} ({best})", f"{shares[OURS]:.1%}", shares[OURS] >= shares[best]),
        ]
    return ReadingPart(rows=rows, verdicts=verdicts, peers=peer_versions(names=PEERS))


def _ask_all(files: Sequence[EncodedFile], *, python: str, plan: Plan) -> Mapping[str, Sequence[str | None]]:
    names = plan.data / "encodings" / "files.txt"
    names.write_text("".join(f"{file.path}\n" for file in files))
    return {OURS: [detect_encoding(file.path).name for file in files], **run_json("bench.run_encoding_peers", str(names), python=python)}


def _share_right(name: str, files: Sequence[EncodedFile], found: Sequence[str | None]) -> float:
    wrong: Counter[tuple[str, str, str | None]] = Counter()
    for file, encoding in zip(files, found, strict=True):
        if encoding is None or not is_same_text(file.path.read_bytes(), encoding, file.encoding):
            wrong[file.group, file.encoding, encoding] += 1
    if name == OURS:
        for (group, true, encoding), count in wrong.most_common():
            say(f"  {group}: {true} was called {encoding} {count} times")
    return 1 - wrong.total() / len(files)


def is_same_text(data: bytes, found: str, true: str) -> bool:
    """Whether both encodings read the bytes as the same text; a superset stands for its subset."""
    try:
        names = [codecs.lookup(name).name for name in (found, true)]
    except LookupError:
        return False
    if len({_SUPERSETS.get(name, name) for name in names}) == 1:
        return True
    try:
        return data.decode(found) == data.decode(true)
    except UnicodeDecodeError:
        return False
