"""Rules of a field whose cost the uploader controls (`pattern`, `jsonSchema`): each distinct text is judged in a child process under limits."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.processing.checking.cell_judge import Verdict
from features.processing.checking.declarations import CheckContext, FileUncheckable
from features.processing.checking.labels import printable_label
from features.processing.checking.limited_judge import AllTextsTooSlow, Budget, TextsTooLarge, TextsTooSlow
from features.processing.column import Column, Indices, Mask, iterate_texts
from shared.descriptors.table_schema import Field
from shared.texts import quote_briefly

_LOOK_AROUND = ("(?=", "(?!", "(?<=", "(?<!")


class SlowRules:
    """The rules of one field in the job's judge, which share its time, and the cells of the current column that they could not judge."""

    def __init__(self, field: Field, context: CheckContext, *, message: str, not_judged: str) -> None:
        self._judge, self._budget = context.judge, Budget(field)
        self._message, self._not_judged_message = message, not_judged
        self._not_judged: Mask | None = None
        """None if all cells were judged."""

    def add(self, kind: str, argument: Any) -> int:  # noqa: ANN401 - JSON
        """Return the number of a new rule; see `LimitedJudge.add_rule`."""
        return self._judge.add_rule(kind, argument, self._budget)

    def start_column(self) -> None:
        """Forget the cells of the last column that could not be judged."""
        self._not_judged = None

    def find_bad(self, number: int, column: Column, candidates: Mask) -> Mask:
        """Mark the cells of `candidates` that a rule finds bad, or that cannot be judged.

        Raises `FileUncheckable` if all of them together take too long, or one of them breaks the judge.
        """
        rows = np.flatnonzero(candidates)
        bad = np.zeros(len(column), np.bool_)
        if not len(rows):
            return bad
        texts = pc.dictionary_encode(column.text.take(pa.array(rows)))
        with _explaining_end():
            judged = self._judge.judge(number, (text for text in iterate_texts(texts.dictionary) if text is not None))
        verdicts = np.array(judged, np.int8)[texts.indices.to_numpy(zero_copy_only=False)]
        bad[rows] = verdicts != Verdict.GOOD
        not_judged = verdicts == Verdict.NOT_JUDGED
        if self._not_judged is not None or bool(not_judged.any()):
            self._not_judged = np.zeros(len(column), np.bool_) if self._not_judged is None else self._not_judged
            self._not_judged[rows] = not_judged
        return bad

    @property
    def left_s(self) -> float:
        """CPU time that is left for slow cells."""
        return self._judge.left_s(self._budget)

    def spend(self, slow_s: float) -> None:
        """Count CPU time that slow cells took. Raises `FileUncheckable` if none is left."""
        if slow_s > 0:
            with _explaining_end():
                self._judge.spend(self._budget, slow_s)

    def messages(self, _column: Column, rows: Indices) -> str | Sequence[str]:
        """Return the messages for bad cells of the current column: one for all of them, or one for each."""
        if self._not_judged is None:
            return self._message
        return [self._not_judged_message if is_not_judged else self._message for is_not_judged in self._not_judged[rows].tolist()]


@contextmanager
def _explaining_end() -> Iterator[None]:
    try:
        yield
    except AllTextsTooSlow as reason:
        raise FileUncheckable(_describe_end_of_all(reason.field)) from reason
    except TextsTooSlow as reason:
        raise FileUncheckable(_describe_end(reason.field, "too long")) from reason
    except TextsTooLarge as reason:
        raise FileUncheckable(_describe_end(reason.field, "too much memory")) from reason


def _describe_end(field: Field, what: str) -> str:
    """Return the sentences that end a job whose field has rules that take `what` ("too long") on the values of the file."""
    rule, remedy = ("jsonSchema", "Write the patterns in it") if field.constraints.pattern is None else ("pattern", "Write it")
    return f"The {rule} of the field {_name(field)} takes {what} on the values of this file. {remedy} {_describe_remedy(field)}, and upload the file again."


def _describe_end_of_all(slowest: Field) -> str:
    """Return the sentences that end a job whose fields together have rules that take too long on the values of the file."""
    return (
        "The patterns and JSON Schemas of this file's fields together take too long on its values; "
        f"the field {_name(slowest)} takes longest. Write its patterns {_describe_remedy(slowest)}, and upload the file again."
    )


def _describe_remedy(field: Field) -> str:
    """Return how the patterns of a field should be written."""
    written = field.constraints.pattern or json.dumps(dict(field.constraints.json_schema or {}))
    looks_around = any(sign in written for sign in _LOOK_AROUND)
    return ("without look-around, such as (?=…) or (?!…), and " if looks_around else "") + "without large or nested repeats"


def _name(field: Field) -> str:
    return quote_briefly(printable_label(field.name))
