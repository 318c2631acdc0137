"""Read real workbooks with Rowgate and with other readers, and compare them cell by cell: `python -m bench.sweep FOLDER… --json OUT`.

Every .xlsx, .xlsm and .xls below the folders is read four times, each time in a process of its own: as a job reads and checks it (timed), with Rowgate's row
reader, with python-calamine, and with openpyxl or xlrd. Files with the same content count once. What is found, with three examples of each kind of difference,
goes to the JSON file; a summary is printed. `docs/beside-calamine.md` explains it.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from bench.sweep_child import Outcome, run_limited
from bench.sweep_compare import Differences, compare_sheets
from bench.sweep_readers import SheetCells, check_as_service, read_calamine, read_openpyxl, read_ours, read_xlrd

SUFFIXES = (".xlsx", ".xls", ".xlsm")
LIMIT_MIB = 300
PEER_LIMIT_S, PEER_MEMORY_BYTES = 60.0, 6 * 2**30
RECORDING_LIMIT_S = 60.0
_OLE2 = bytes.fromhex("D0CF11E0A1B11AE1")


@dataclass(slots=True)
class Group:
    """What was found in one folder, or in all."""

    files: int = 0
    duplicates: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    slow: list[dict[str, Any]] = field(default_factory=list)
    large: list[dict[str, Any]] = field(default_factory=list)
    broken: list[dict[str, Any]] = field(default_factory=list)
    refused_here: list[dict[str, Any]] = field(default_factory=list)
    """Refused by Rowgate, while calamine finds cells."""
    nothing_there: list[dict[str, Any]] = field(default_factory=list)
    """Refused by Rowgate, and calamine finds no cell in any sheet."""
    refused_there: list[dict[str, Any]] = field(default_factory=list)
    refused_by_both: list[dict[str, Any]] = field(default_factory=list)
    torn: list[dict[str, Any]] = field(default_factory=list)
    other_sheets: list[dict[str, Any]] = field(default_factory=list)
    """The other reader does not have the sheet that was read."""
    notes: Counter[str] = field(default_factory=Counter)
    wall_s: float = 0.0
    peers: dict[str, Differences] = field(default_factory=dict)

    def merge(self, other: Group) -> None:
        """Add what was found in another folder."""
        for name in self.__dataclass_fields__:
            mine, theirs = getattr(self, name), getattr(other, name)
            if name == "peers":
                for peer, differences in theirs.items():
                    mine.setdefault(peer, Differences()).merge(differences)
            elif isinstance(mine, Counter):
                mine.update(theirs)
            else:
                setattr(self, name, mine + theirs)

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON."""
        whole = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "peers"}
        peers = {name: {"compared": each.compared, "counts": dict(each.counts.most_common()), "examples": each.examples} for name, each in self.peers.items()}
        return {**whole, "peers": peers}


def main(arguments: Sequence[str]) -> int:
    """Compare the files below the given folders."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--json", type=Path, required=True, metavar="OUT")
    parser.add_argument("--limit-s", type=float, default=10.0, help="longer than this is a failure of Rowgate's")
    parser.add_argument("--only", default="", help="only files whose path has this text")
    options = parser.parse_args(arguments)
    # What is imported is not to be looked at again by the garbage collector of every forked process.
    gc.freeze()
    groups: dict[str, Group] = {}
    seen: set[bytes] = set()
    for folder in options.folders:
        for name, root in _list_groups(folder):
            group = groups.setdefault(name, Group())
            for path in _list_files(root, options.only):
                digest = hashlib.sha256(path.read_bytes()).digest()
                if digest in seen:
                    group.duplicates += 1
                    continue
                seen.add(digest)
                look_at(path, str(path.relative_to(folder)), group, limit_s=options.limit_s)
            if group.files or group.duplicates:
                print(describe(name, group), flush=True)
    total = Group()
    for group in groups.values():
        total.merge(group)
    print(describe("all", total))
    options.json.write_text(
        json.dumps({"all": total.to_json(), "groups": {name: group.to_json() for name, group in groups.items()}}, indent=1, ensure_ascii=False, default=str),
        encoding="utf-8",
    )
    return 1 if total.broken or total.slow or total.large or total.torn else 0


def _list_groups(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the folders in `folder`, each of which is a group, and `folder` itself if it has files of its own."""
    if any(path.is_file() for path in folder.iterdir()):
        yield folder.name, folder
        return
    for path in sorted(folder.iterdir()):
        yield path.name, path


def _list_files(root: Path, only: str) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file() and only in str(path))


def look_at(path: Path, name: str, group: Group, *, limit_s: float) -> None:
    """Read one file with all readers, and add what was found to the group."""
    group.files += 1
    checked = run_limited(check_as_service, path, limit_s=limit_s)
    facts = _note_run(group, name, checked)
    found: SheetCells | None = None
    if checked.status == "read":
        ours = run_limited(read_ours, path, limit_s=RECORDING_LIMIT_S)
        if ours.status == "read":
            found = ours.value
            _note_cells(group, name, ours.value)
        else:
            group.broken.append({"file": name, "status": ours.status, "sentence": f"only when recorded: {ours.sentence}"})
    for peer, read in _list_peers(path, found.sheet if found is not None else None):
        theirs = run_limited(read, path, limit_s=PEER_LIMIT_S, memory_bytes=PEER_MEMORY_BYTES)
        if peer == "calamine":
            _note_refusals(group, facts, theirs)
        if found is not None:
            _note_differences(group, name, peer, found, theirs)


def _note_run(group: Group, name: str, checked: Outcome) -> dict[str, Any]:
    """Note how the run ended that is like a job's, and return it as JSON."""
    group.wall_s += checked.wall_s
    group.outcomes[f"Rowgate: {checked.status}"] += 1
    facts = {"file": name, "status": checked.status, "sentence": checked.sentence, "wall_s": round(checked.wall_s, 2), "peak_mib": round(checked.peak_mib)}
    if checked.status == "killed":
        group.slow.append(facts)
    elif checked.status not in ("read", "refused"):
        group.broken.append(facts)
    if checked.peak_mib > LIMIT_MIB:
        group.large.append(facts)
    return facts


def _note_cells(group: Group, name: str, found: SheetCells) -> None:
    group.notes.update(set(found.notes))
    group.outcomes["cells"] += len(found.cells)
    group.outcomes["cells outside the table"] += found.outside_table
    if found.torn:
        group.torn.append({"file": name, "count": len(found.torn), "first": found.torn[0]})


def _note_differences(group: Group, name: str, peer: str, found: SheetCells, theirs: Outcome) -> None:
    if theirs.status == "read":
        group.peers.setdefault(peer, Differences()).merge(compare_sheets(found, theirs.value, file=name))
        group.outcomes[f"compared with {peer}"] += 1
    elif theirs.status == "refused":
        group.other_sheets.append({"file": name, "peer": peer, "sentence": theirs.sentence})
    else:
        group.outcomes[f"not read by {peer}"] += 1


def _list_peers(path: Path, sheet: str | None) -> list[tuple[str, Callable[[Path], SheetCells]]]:
    with path.open("rb") as file:
        is_zip = file.read(2) == b"PK"
    other: Callable[[Path], SheetCells] = partial(read_openpyxl if is_zip else read_xlrd, sheet=sheet)
    return [("calamine", partial(read_calamine, sheet=sheet)), ("openpyxl" if is_zip else "xlrd", other)]


def _note_refusals(group: Group, facts: dict[str, Any], theirs: Outcome) -> None:
    is_read = theirs.status in ("read", "refused")
    entry = {**facts, "calamine": theirs.sentence or f"{len(theirs.value.cells)} cells"}
    if facts["status"] == "refused":
        has_cells = theirs.status == "read" and theirs.value.cells
        (group.refused_here if has_cells else group.nothing_there if is_read else group.refused_by_both).append(entry)
    elif facts["status"] == "read" and not is_read:
        group.refused_there.append(entry)


def describe(name: str, group: Group) -> str:
    """Return some lines on a group."""
    outcome = group.outcomes["Rowgate: read"]
    counts = (
        f"{name}: {group.files} files ({group.duplicates} more are copies), {outcome} read in {group.wall_s:.0f} s; nothing there {len(group.nothing_there)}, "
        f"refused here alone {len(group.refused_here)}, by calamine alone {len(group.refused_there)}, by both {len(group.refused_by_both)}; "
        f"broken {len(group.broken)}, slow {len(group.slow)}, large {len(group.large)}, torn {len(group.torn)}"
    )
    lines = [counts]
    for peer, found in group.peers.items():
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in found.counts.most_common())
        lines.append(f"  {peer}: {found.compared:,} cells compared; {kinds or 'no difference'}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
