"""`python -m bench [GROUP …]`: measure some groups, or all of them, and write bench/RESULTS.md."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

from bench.measure import ROOT, Plan, RunFailed, say
from bench.report import Section, load_section, save_section, write_page
from compose.services import ServiceFailed

GROUPS: Mapping[str, str] = {
    "engine": "the engine alone, compared with DuckDB",
    "row_check": "a rule that spans columns, compared with none",
    "excel": "XLSX, compared with openpyxl's own loop; XLS, with xlrd's; a sheet as long as one can be",
    "tables": "tables of many columns, compared with narrow ones; keys, compared with none",
    "reading": "what is found in files as people send them, compared with other detectors",
    "job": "whole jobs with their errors stored, compared with frictionless and COPY",
    "store": "files in an S3 store, compared with a folder, and uploads with a bare multipart put",
    "outputs": "outputs, compared with the engine's own pass and with XlsxWriter; rows in context; sending",
    "memory": "peak memory of a worker child",
    "upload": "uploads, compared with a bare sink and UploadFile",
    "answers": "the answer after the last byte, by size of the upload",
    "load": "GET of a job while 50 clients upload",
    "upload_memory": "memory of an API process with 50 uploads",
    "small": "uploads of 1 KB, compared with an endpoint that inserts a row",
    "pages": "pages of a million errors and of a million jobs",
    "turns": "small files of nine clients beside a thousand large ones of another; claims at a million queued jobs",
    "events": "500 event streams, and what others notice of them",
    "page": "the page in a browser, on a job with 300,000 errors",
    "start": "start of a process, compared with the frameworks alone",
    "webhooks": "a thousand webhooks at once, some to receivers that hang",
}
RESULTS = ROOT / "bench" / "RESULTS.md"
SECTIONS = ROOT / "bench" / "results"
"""Kept next to the page, so that a group that is not measured again keeps its figures, whatever machine another group is measured on."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write the page; return 1 if something could not be measured. A missed target is not a failure; the page shows it."""
    options = _parse_arguments(arguments)
    plan = Plan(rows=options.rows, times=1 if options.quick else Plan.times)
    try:
        for name in options.groups or GROUPS:
            say(f"== {name}: {GROUPS[name]}")
            save_section(SECTIONS, name, _measure_function(name)(plan))
    except (RunFailed, ServiceFailed) as problem:
        say(f"bench: {problem}")
        return 1
    sections = [section for name in GROUPS if (section := load_section(SECTIONS, name)) is not None]
    write_page(RESULTS, sections)
    missed = [verdict for section in sections for verdict in section.verdicts if not verdict.is_met]
    say(f"{RESULTS}: {len(missed)} targets not met" + "".join(f"\n  {verdict.what}: {verdict.measured}, {verdict.target}" for verdict in missed))
    return 0


def _measure_function(name: str) -> Callable[[Plan], Section]:
    """Return a group's function; its module is loaded only when the group is measured."""
    function: Callable[[Plan], Section] = getattr(import_module(f"bench.{name}"), f"measure_{name}")
    return function


def _parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    groups = "\n".join(f"  {name:13} {what}" for name, what in GROUPS.items())
    parser = argparse.ArgumentParser(prog="python -m bench", description=f"Groups (none: all):\n{groups}", formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("groups", nargs="*", choices=[[], *GROUPS], metavar="GROUP", help="what to measure")
    parser.add_argument("--quick", action="store_true", help="make one run of each instead of five")
    parser.add_argument("--rows", type=int, default=Plan.rows, help="rows of the standard file (default: %(default)s); the other sizes are derived from it")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
