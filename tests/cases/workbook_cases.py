"""Workbooks as people send them, and what reading them must give: of each kind some that are of it, and some that only look like it.

What is expected follows from what readers promise, never from what they happen to do. All data is invented.
"""

from __future__ import annotations

from tests.cases.workbook_case import Case
from tests.cases.workbooks.encrypted import ENCRYPTED_CASES
from tests.cases.workbooks.formats import FORMAT_CASES
from tests.cases.workbooks.formulas import FORMULA_CASES
from tests.cases.workbooks.inference import INFERENCE_CASES
from tests.cases.workbooks.native import NATIVE_CASES
from tests.cases.workbooks.packages import PACKAGE_CASES
from tests.cases.workbooks.rows import ROW_CASES
from tests.cases.workbooks.sheets import SHEET_CASES
from tests.cases.workbooks.shown import SHOWN_CASES
from tests.cases.workbooks.tables import TABLE_CASES

WORKBOOK_CASES: list[Case] = [
    *FORMAT_CASES,
    *SHOWN_CASES,
    *NATIVE_CASES,
    *INFERENCE_CASES,
    *PACKAGE_CASES,
    *FORMULA_CASES,
    *TABLE_CASES,
    *SHEET_CASES,
    *ROW_CASES,
    *ENCRYPTED_CASES,
]
