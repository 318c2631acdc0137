"""All files on which Rowgate and frictionless are compared."""

from __future__ import annotations

from tests.peer.case import Case
from tests.peer.constraint_cases import CONSTRAINT_CASES
from tests.peer.edge_cases import EDGE_CASES
from tests.peer.layout_cases import LAYOUT_CASES
from tests.peer.record_cases import RECORD_CASES
from tests.peer.value_cases import VALUE_CASES

CASES: tuple[Case, ...] = (*VALUE_CASES, *CONSTRAINT_CASES, *LAYOUT_CASES, *EDGE_CASES, *RECORD_CASES)
