"""The errors and notes that the engine can give are those that the document and the README explain."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from features.processing.checking.declarations import ERROR_ORDER, column_checks, key_checks, row_checks
from shared.vocabulary import ERROR_TYPES, NOTE_CODES
from tests.paths import ROOT

ENGINE = ROOT / "features" / "processing"
ERROR_TYPE = re.compile(r"[a-z]+(-[a-z]+)*-(error|cell|row|label|quote|long)")


def list_nodes() -> Iterator[ast.AST]:
    """Yield what the engine's code consists of, without that of checks, which declare their error types."""
    for path in ENGINE.rglob("*.py"):
        if path.parent.name != "checks":
            yield from ast.walk(ast.parse(path.read_text()))


def test_error_types_are_those_that_readers_and_checks_give() -> None:
    """A check that is added without a place in the order brings a type of its own, and nothing else has to be edited."""
    texts = {node.value for node in list_nodes() if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    of_checks = {check.error_type for checks in (column_checks(), row_checks(), key_checks()) for check in checks}
    given = {text for text in texts if ERROR_TYPE.fullmatch(text)} | (of_checks & set(ERROR_ORDER))
    assert given == set(ERROR_TYPES)
    assert set(ERROR_ORDER) - of_checks == {"required-error"}  # found with the types


def test_note_codes_are_those_that_readers_and_inference_give() -> None:
    calls = [node for node in list_nodes() if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Note"]
    given = [keyword.value for call in calls for keyword in call.keywords if keyword.arg == "code"]
    codes = [code.value for code in given if isinstance(code, ast.Constant)]
    assert len(codes) == len(calls)
    assert set(codes) == set(NOTE_CODES)
