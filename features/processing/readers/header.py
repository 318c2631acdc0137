"""Labels of a header that spans one row or several."""

from __future__ import annotations

from collections.abc import Sequence


def join_labels(rows: Sequence[Sequence[str]], separator: str) -> list[str]:
    """Return one label for each column of a header of one or more rows.

    A header of several rows has the non-blank parts of each column joined by `separator`; a part that repeats the one above it is left out.
    """
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
