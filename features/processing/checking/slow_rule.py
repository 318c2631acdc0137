"""Rule whose cost the uploader controls (`pattern`, `jsonSchema`): each distinct text is judged in a child process under limits."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.processing.checking.declarations import CheckContext, FileUncheckable
from features.processing.checking.judge_process import Verdict
from features.processing.checking.labels import printable_label
from features.processing.checking.limited_judge import TextsTooLarge, TextsTooSlow
from features.processing.column import Column, Indices, Mask
from shared.descriptors.table_schema import Field
from shared.texts import quote_briefly


class SlowRule:
    """A rule of the job's judge, and the cells of the last column that it could not judge."""

    def __init__(self, kind: str, argument: Any, field: Field, context: CheckContext, *, message: str, not_judged: str) -> None:  # noqa: ANN401 - JSON
        self._judge, self._number = context.judge, context.judge.add_rule(kind, argument)
        self._kind, self._field = kind, field
        self._message, self._not_judged_message = message, not_judged
        self._not_judged: Mask = np.zeros(0, np.bool_)
        self._column: Column | None = None

    def find_bad(self, column: Column, candidates: Mask) -> Mask:
        """Mark the cells of `candidates` that are bad, or that cannot be judged.

        Raises `FileUncheckable` if all of them together take too long, or one of them breaks its judge.
        """
        rows = np.flatnonzero(candidates)
        bad = np.zeros(len(column), np.bool_)
        self._column, self._not_judged = column, np.zeros(len(column), np.bool_)
        if not len(rows):
            return bad
        texts = pc.dictionary_encode(column.text.take(pa.array(rows)))
        with self._naming_field():
            judged = self._judge.judge(self._number, texts.dictionary.to_pylist())
        verdicts = np.array(judged, np.int8)[texts.indices.to_numpy(zero_copy_only=False)]
        bad[rows] = verdicts != Verdict.GOOD
        self._not_judged[rows] = verdicts == Verdict.NOT_JUDGED
        return bad

    @contextmanager
    def counting(self, column: Column, *, cell_s: float, byte_s: float) -> Iterator[None]:
        """Count what this thread takes for the block, beyond so much CPU time for each cell and byte, as time of slow cells. Raises `FileUncheckable`."""
        start_s = time.thread_time()
        yield
        spent_s = time.thread_time() - start_s - len(column) * cell_s - len(column.data) * byte_s
        if spent_s > 0:
            with self._naming_field():
                self._judge.spend(self._number, spent_s)

    @contextmanager
    def _naming_field(self) -> Iterator[None]:
        try:
            yield
        except (TextsTooSlow, TextsTooLarge) as reason:
            what = "too long" if isinstance(reason, TextsTooSlow) else "too much memory"
            raise FileUncheckable(_describe_end(self._kind, self._field, what)) from reason

    def messages(self, column: Column, rows: Indices) -> str | Sequence[str]:
        """Return the messages for cells that the last call of `find_bad` marked: one for all of them, or one for each."""
        if self._column is not column or not bool(self._not_judged[rows].any()):
            return self._message
        return [self._not_judged_message if is_not_judged else self._message for is_not_judged in self._not_judged[rows].tolist()]


def _describe_end(kind: str, field: Field, what: str) -> str:
    """Return the sentence that ends a job whose field has a rule that takes `what` ("too long") on the values of the file."""
    rule, remedy = ("jsonSchema", "Write the patterns in it") if kind == "json-schema" else ("pattern", "Write it")
    return (
        f"The {rule} of the field {quote_briefly(printable_label(field.name))} takes {what} on the values of this file. "
        f"{remedy} without look-around, such as (?=…) or (?!…), and without large or nested repeats, and upload the file again."
    )
