"""Get frictionless's verdicts on many files, in a separate process and environment: `python -m bench.run_frictionless_cases FOLDER`.

`FOLDER/cases.json` is a list of `{"name", "file", "schema", "dialect", "encoding"}`. Prints one JSON object with the version and the verdicts.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import frictionless  # type: ignore[import-not-found]  # lives in the peers' environment
from frictionless import FrictionlessException, Resource, system

Error: TypeAlias = tuple[int | None, int | None, str]
ALL = 10**9
V2 = "https://datapackage.org/profiles/2.0/dataresource.json"
_CONSTRAINT = re.compile(r'constraint "(\w+)"')


def validate_case(case: Mapping[str, Any]) -> list[Error]:
    """Return row, column and type of every error, in frictionless's order; an error that stops it has neither row nor column."""
    descriptor = {"$schema": V2, "name": case["name"], "path": case["file"], "schema": case["schema"], "dialect": _to_dialect(case["dialect"] or {})}
    try:
        report = Resource.from_descriptor(descriptor | ({"encoding": case["encoding"]} if case["encoding"] else {})).validate(limit_errors=ALL)
    except FrictionlessException as exception:
        return [_to_error(error) for error in exception.reasons or [exception.error]]
    except Exception as exception:  # noqa: BLE001 - whether and how it crashes is part of the verdict
        print(f"crash: {exception!r}", file=sys.stderr)
        return [(None, None, f"crash/{type(exception).__name__}")]
    return [_to_error(error) for error in (*report.errors, *report.tasks[0].errors)]


def _to_dialect(dialect: Mapping[str, Any]) -> dict[str, Any]:
    """Convert the standard's dialect to frictionless's form, in which the sheet is under the name of its own parser."""
    given = dict(dialect)
    sheet = given.pop("sheetName", None) or given.pop("sheetNumber", None)
    return given if sheet is None else given | {"excel": {"sheet": sheet}}


def _to_error(error: Any) -> Error:  # noqa: ANN401 - any of frictionless's error classes
    kind = error.type
    if kind == "constraint-error" and (match := _CONSTRAINT.search(error.note)):
        kind = f"{kind}/{match[1]}"
    row = getattr(error, "row_number", None) or next(iter(getattr(error, "row_numbers", None) or ()), None)
    if row is None:
        print(f"{kind}: {error.note}", file=sys.stderr)
    return row, getattr(error, "field_number", None) or None, kind


def main(folder: Path) -> None:
    """Validate every case of a folder and print the verdicts."""
    os.chdir(folder)
    with system.use_context(trusted=True):
        verdicts = {}
        for case in json.loads(Path("cases.json").read_text()):
            print(f"== {case['name']}", file=sys.stderr)
            verdicts[case["name"]] = validate_case(case)
    json.dump({"version": frictionless.__version__, "verdicts": verdicts}, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
