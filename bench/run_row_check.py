"""Apply one rule that spans columns, in a separate process: `python -m bench.run_row_check engine|pandas FILE`."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bench.files import TABLE_SCHEMA
from bench.probe import report_run
from bench.run_engine import inspect
from features.processing.checking.declarations import CheckContext, RowRule, row_check
from shared.descriptors.table_schema import TableSchema

TODAY = dt.date(2026, 1, 1)
"""Some of the file's dates are later."""


def find_bad(frame: pd.DataFrame) -> pd.Series[bool]:
    """Mark active accounts that joined in the future and have a balance."""
    return frame["active"] & (frame["joined"] > TODAY) & (frame["balance"] > 0)


@row_check("future_account", error_type="future-account")
def build(table_schema: TableSchema, context: CheckContext) -> Sequence[RowRule]:
    """Reject a balance of an active account that joined in the future."""
    del table_schema, context
    rule = RowRule(fields=("active", "joined", "balance"), field="balance", message="An account of the future must not have a balance.", find_bad=find_bad)
    return [rule]


def check_with_pandas(path: Path) -> Mapping[str, Any]:
    """Read the file as a whole and count the rows that break the rule."""
    # Its Arrow parser gives up on cells with line breaks.
    frame = pd.read_csv(path, dtype_backend="pyarrow")
    bad = find_bad(frame.assign(active=frame["active"].astype("bool[pyarrow]"), joined=frame["joined"].astype("date32[pyarrow]")))
    return {"rows": len(frame), "errors": int(bad.fillna(value=False).sum())}


if __name__ == "__main__":
    kind, file = sys.argv[1], Path(sys.argv[2])
    report_run(lambda: inspect(file, TABLE_SCHEMA) if kind == "engine" else check_with_pandas(file))
