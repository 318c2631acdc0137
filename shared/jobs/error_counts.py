"""Count a job's errors by type and by column, in the same way for the API's summary and the command line.

Each entry of a tally is for one column and error type: `{"column_number", "column_name", "error_type", "count", "stored"}`, as in `jobs.error_tally`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any


def count_by_type(tally: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return `{"error_type", "count"}` for each error type, the most frequent first and equal counts by name."""
    counts: Counter[str] = Counter()
    for entry in tally:
        counts[entry["error_type"]] += entry["count"]
    return [{"error_type": name, "count": count} for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]


def count_by_column(tally: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return `{"column_name", "error_type", "count"}` for each column and error type, the most frequent first and equal counts in the tally's order.

    The column's name is None for errors of whole rows and for cells outside the table.
    """
    counts: Counter[tuple[str | None, str]] = Counter()
    for entry in tally:
        counts[entry["column_name"], entry["error_type"]] += entry["count"]
    return [{"column_name": column, "error_type": name, "count": count} for (column, name), count in counts.most_common()]
