"""`python -m bench.agree`: run frictionless over the cases of tests/peer, store its verdicts there, and show where Rowgate's differ."""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

from bench.measure import RunFailed, run_json, say
from bench.peers import prepare_peers
from tests.peer.cases import CASES
from tests.peer.comparison import Difference, compare_verdicts, inspect_case, load_fixture, save_fixture
from tests.peer.differences import REASONS


def main() -> int:
    """Compare; return 1 if a difference has no reason in tests/peer/differences.py, or if a listed one no longer exists."""
    try:
        ask_frictionless()
    except RunFailed as problem:
        say(f"agree: {problem}")
        return 1
    return show_comparison()


def ask_frictionless() -> None:
    """Validate all cases with frictionless in one child process; its verdicts become the fixture. Raises `RunFailed`."""
    with tempfile.TemporaryDirectory(prefix="agree-") as name:
        folder = Path(name)
        manifest = [
            {"name": case.name, "file": case.write(folder).name, "schema": case.schema, "dialect": case.dialect, "encoding": case.encoding} for case in CASES
        ]
        (folder / "cases.json").write_text(json.dumps(manifest))
        answer = run_json("bench.run_frictionless_cases", name, python=prepare_peers())
    save_fixture(answer["version"], CASES, answer["verdicts"])


def show_comparison() -> int:
    """Print the counts and the unexplained differences; return the exit code."""
    fixture = load_fixture()
    rows = cells = ours = theirs = same = 0
    found: list[Difference] = []
    with tempfile.TemporaryDirectory(prefix="agree-") as name:
        for case in CASES:
            inspected, verdict = inspect_case(case, Path(name)), fixture.verdicts[case.name]
            rows, cells = rows + inspected.rows, cells + inspected.cells
            ours += sum(map(len, inspected.verdict.values()))
            theirs += sum(map(len, verdict.values()))
            same += sum(inspected.verdict.get(place) == kinds for place, kinds in verdict.items())
            found += compare_verdicts(case.name, inspected.verdict, verdict)
    differing = len({difference.case for difference in found})
    print(f"frictionless {fixture.version}: {len(CASES)} files, {rows:,} rows, {cells:,} cells")
    print(f"errors: {ours:,} of Rowgate, {theirs:,} of frictionless; the same at {same:,} places, not at {len(found)}")
    print(f"files: {len(CASES) - differing} with the same verdict throughout, {differing} with differences")
    for reason, count in Counter(REASONS[difference] for difference in found if difference in REASONS).most_common():
        print(f"  {reason}: {count}")
    unlisted, gone = [difference for difference in found if difference not in REASONS], sorted(set(REASONS) - set(found), key=repr)
    for title, differences in (("not explained", unlisted), ("listed, but no longer found", gone)):
        print(f"{title}: {len(differences)}")
        for difference in differences:
            print(f"  {(difference.case, difference.row, difference.column, difference.ours, difference.theirs)},")
    return 1 if unlisted or gone else 0


if __name__ == "__main__":
    sys.exit(main())
