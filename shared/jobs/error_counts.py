"""Count a job's errors by type and by cause, in the same way for the API's summary and the command line.

Each entry of a tally is for one column and error type, `{"column_number", "column_name", "error_type", "count", "stored", "causes"}`, and each of its
causes for one sentence, `{"error_message", "count", "first_row_number", "examples"}`, as in `jobs.error_tally`. Jobs that ended before causes were told
apart have none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

OTHER_CAUSES = "Other errors of this type, each with a sentence of its own."
"""The sentence of the cause to which the errors of a column and type count that are past its first ones; no error has it."""
EXAMPLES = 3
"""How many distinct raw values of a cause are shown."""


def count_by_type(tally: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return `{"error_type", "count"}` for each error type, the most frequent first and equal counts by name."""
    counts: Counter[str] = Counter()
    for entry in tally:
        counts[entry["error_type"]] += entry["count"]
    return [{"error_type": name, "count": count} for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]


def count_by_column(tally: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one entry for each column, error type and sentence, the most frequent first and equal counts in the tally's order.

    `{"column_name", "error_type", "error_message", "count", "first_row_number", "examples"}`. The column's name is None for errors of whole rows and for
    cells outside the table; of several columns without a name, errors with the same sentence share an entry.
    """
    found: dict[tuple[str | None, str, str | None], dict[str, Any]] = {}
    for entry in tally:
        for cause in entry.get("causes") or [{"error_message": None, "count": entry["count"], "first_row_number": None, "examples": []}]:
            key = (entry["column_name"], entry["error_type"], cause["error_message"])
            told = found.get(key)
            if told is None:
                found[key] = {"column_name": key[0], "error_type": key[1], "error_message": key[2], **{name: cause[name] for name in _OF_CAUSE}}
            else:
                told["count"] += cause["count"]
                told["first_row_number"] = min((row for row in (told["first_row_number"], cause["first_row_number"]) if row is not None), default=None)
                told["examples"] = list(dict.fromkeys([*told["examples"], *cause["examples"]]))[:EXAMPLES]
    return sorted(found.values(), key=lambda each: -each["count"])


_OF_CAUSE = ("count", "first_row_number", "examples")
