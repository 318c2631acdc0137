"""Rule whose cost the uploader controls (`pattern`, `jsonSchema`): each distinct text is judged in a child process under a time limit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.processing.checking.limited_judge import LimitedJudge, Verdict
from features.processing.column import Column, Indices, Mask


class SlowRule:
    """A judge in a child process, and the cells of the last column that it could not judge in time."""

    def __init__(self, kind: str, argument: Any, message: str, too_slow: str) -> None:  # noqa: ANN401 - JSON
        self._judge = LimitedJudge(kind, argument)
        self._message, self._too_slow = message, too_slow
        self._late: Mask = np.zeros(0, np.bool_)
        self._column: Column | None = None

    def find_bad(self, column: Column, candidates: Mask) -> Mask:
        """Mark the cells of `candidates` that are bad, or that took too long."""
        rows = np.flatnonzero(candidates)
        texts = pc.dictionary_encode(column.text.take(pa.array(rows)))
        verdicts = (
            np.array(self._judge.judge(texts.dictionary.to_pylist()), np.int8)[texts.indices.to_numpy(zero_copy_only=False)] if len(rows) else np.zeros(0)
        )
        bad = np.zeros(len(column), np.bool_)
        bad[rows] = verdicts != Verdict.GOOD
        self._column, self._late = column, np.zeros(len(column), np.bool_)
        self._late[rows] = verdicts == Verdict.TOO_SLOW
        return bad

    def messages(self, column: Column, rows: Indices) -> str | Sequence[str]:
        """Return the messages for cells that the last call of `find_bad` marked: one for all of them, or one for each."""
        if self._column is not column or not bool(self._late[rows].any()):
            return self._message
        return [self._too_slow if is_late else self._message for is_late in self._late[rows].tolist()]

    def close(self) -> None:
        """End the child; may be called twice."""
        self._judge.close()
