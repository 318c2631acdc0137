"""Print the tables of `docs/beside-calamine.md` from what `bench.sweep` has found: `python -m bench.sweep_tables OUT.json`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

KINDS = {
    "beyond-15-digits": "Excel shows and keeps 15 significant digits: `434.99999999999994` is `435`. The other readers give what is stored.",
    "shown-zeros": "The number format is zeros only (`00000`), and shows zeros that a code needs: `00501`. The other readers give `501`.",
    "hidden-time": "The number format shows a day, and hides the time of the stored moment. Rowgate gives what Excel shows.",
    "hidden-date": "The format shows a time alone, or day 0 or 1 of the epoch: the other reader gives a moment with its day.",
    "rounding": "Within a second: Rowgate rounds to what the format shows, as Excel does; the other reader gives the stored fraction, or cuts it off.",
    "day-of-1900": "Excel counts a 29 February 1900, and shows day 0 as 1900-01-00; no other calendar has either. Rowgate gives what Excel shows.",
    "duration": "`[h]:mm` counts hours beyond a day. Rowgate gives a duration; the other reader a moment or a time of day.",
    "date-or-number": "A negative number under a date format, which Excel shows as `####`, or a conditional format that was taken for one of the cells.",
    "date-or-text": 'The workbook holds the date as ISO 8601 text of a date cell (`t="d"`), or one of the two does not take it for a date.',
    "date": "A number that is no date, or a date of 1900 that no calendar has, read as a date.",
    "number": "Different numbers.",
    "number-or-text": "A number in one, text in the other.",
    "boolean": "A boolean in one, the text or number in the other.",
    "error-value": "An error value (`#N/A`) is a `formula-error`; python-calamine gives an empty cell, openpyxl `#VALUE!` for dates after 9999.",
    "formula-not-computed": "A formula without a stored value is a `formula-error`. Others give an empty cell, or the 0 of a writer that computes nothing.",
    "picture": "A picture in a cell is stored as `#VALUE!`, and called a picture.",
    "blanks-at-ends": 'Text without `xml:space="preserve"` loses the blanks at its ends, as in Excel; others keep them, or strip those that are to stay.',
    "blanks-alone": "The same for cells of nothing but blanks.",
    "line-ends": "A carriage return, kept by one and dropped by the other.",
    "escape": "`_x000D_` stands for a character that XML cannot hold. Rowgate and Excel replace it.",
    "phonetic": "Readings above Japanese text (`rPh`) are no part of the text.",
    "character-set": "An .xls of Excel 5 or 95 says its code page; calamine reads such text by another one, or leaves NUL characters in it.",
    "merged": "openpyxl drops the values of cells that a merged range covers. They are in the file, and Rowgate reads them.",
    "only-here": "Values that the file keeps in a way that the other reader does not look for.",
    "only-there": "openpyxl gives the address of a link as the value of an empty cell; a cell that Rowgate leaves out.",
    "text": "All but a few are texts of Excel 5 or 95 in other scripts, which calamine reads byte by byte. "
    "The rest: long texts of old workbooks that it cuts, a shared string whose number has a blank behind it (`2 `), alternative content.",
    "other": "A value of another type.",
}
"""What each kind of difference is, and who is right."""
PEERS = ("calamine", "openpyxl", "xlrd")


def main(path: Path) -> None:
    """Print all tables."""
    found = json.loads(path.read_text(encoding="utf-8"))
    total = found["all"]
    for table in (_list_groups(found), _list_kinds(total), _list_refusals(total)):
        print("\n".join(table), end="\n\n")


def _list_groups(found: Mapping[str, Any]) -> Iterator[str]:
    yield "| Repository | Files | Read | Nothing there | Refused by Rowgate alone | by calamine alone | by both | Cells | Differ from calamine |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for name, group in [*found["groups"].items(), ("**all**", found["all"])]:
        if not group["files"]:
            continue
        peer = group["peers"].get("calamine", {"compared": 0, "counts": {}})
        lists = [len(group[each]) for each in ("nothing_there", "refused_here", "refused_there", "refused_by_both")]
        counts = [group["files"], group["outcomes"].get("Rowgate: read", 0), *lists, peer["compared"], sum(peer["counts"].values())]
        yield f"| {name.replace('+', '/')} | {' | '.join(f'{count:,}' for count in counts)} |"


def _list_kinds(total: Mapping[str, Any]) -> Iterator[str]:
    yield "| Kind | calamine | openpyxl | xlrd | Which, and why | Example |"
    yield "|---|---|---|---|---|---|"
    counts = {kind: [total["peers"].get(peer, {"counts": {}})["counts"].get(kind, 0) for peer in PEERS] for kind in KINDS}
    for kind in sorted(KINDS, key=lambda each: -sum(counts[each])):
        if any(counts[kind]):
            examples = (each for peer in PEERS for each in total["peers"].get(peer, {"examples": {}})["examples"].get(kind, []))
            yield f"| `{kind}` | {' | '.join(f'{count:,}' for count in counts[kind])} | {KINDS[kind]} | {_show_example(next(examples))} |"


def _show_example(example: Mapping[str, str]) -> str:
    ours, theirs = (example[name][:40].replace("|", "\\|").replace("`", "'") for name in ("ours", "theirs"))
    return f"{Path(example['file']).name} {example['cell']}: `{ours}`, not `{theirs}`"


def _list_refusals(total: Mapping[str, Any]) -> Iterator[str]:
    yield "| File | What Rowgate says |"
    yield "|---|---|"
    for each in total["refused_here"]:
        yield f"| {each['file'].replace('+', '/', 1)} | {each['sentence']} |"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
