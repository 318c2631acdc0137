"""Labels of a header that has one row or several."""

from __future__ import annotations

from collections.abc import Sequence


def join_labels(rows: Sequence[Sequence[str]], separator: str) -> list[str]:
    """One label for each column of a header of one or more rows: the parts that are not empty, the same part once where it is repeated."""
    if len(rows) == 1:
        return list(rows[0])
    labels = []
    for column in range(max(map(len, rows))):
        parts: list[str] = []
        for row in rows:
            if column < len(row) and row[column].strip() and parts[-1:] != [row[column]]:
                parts.append(row[column])
        labels.append(separator.join(parts))
    return labels
