"""A new check is one file, which is found automatically and runs in the right order."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import features.processing.checks as checks_package
from features.processing.checking import declarations as registry
from features.processing.checking.checker import Checker
from features.processing.readers.base import Chunk, ReadLimits
from shared.descriptors.table_schema import parse_table_schema


def _example() -> str:
    """Return the program in the docstring of the package, as a reader would copy it."""
    lines = (checks_package.__doc__ or "").split("\n")
    return "\n".join(line[4:] for line in lines if line.startswith("    ") or not line)


def test_check_of_the_documentation_works_as_a_file_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry.column_checks()
    (tmp_path / "trimmed_example.py").write_text(_example())
    monkeypatch.setattr(checks_package, "__path__", [*checks_package.__path__, str(tmp_path)])
    # Whoever added the check of the documentation has it already.
    known = {name: check for name, check in registry._column_checks.items() if name != "trimmed"}
    monkeypatch.setattr(registry, "_column_checks", known)
    registry.import_all.cache_clear()
    try:
        schema = parse_table_schema({"fields": [{"name": "a", "type": "string", "trimmed": True}, {"name": "b", "type": "string"}]})
        checker = Checker(schema, labels=["a", "b"], header_row=1, limits=ReadLimits())
        result = checker.check(Chunk(columns=[pa.array(["x", " x", ""])] * 2, row_numbers=np.array([2, 3, 4])))
        checker.close()
    finally:
        sys.modules.pop(f"{checks_package.__name__}.trimmed_example", None)
        registry.import_all.cache_clear()
    assert [(finding.error_type, finding.row_numbers.tolist(), finding.column_number) for finding in result.findings] == [("trimmed-error", [3], 1)]
    assert result.findings[0].message == "This value must not begin or end with blanks."


def test_checks_run_in_the_order_of_the_contract() -> None:
    order = [check.error_type for checks in (registry.column_checks(), registry.key_checks()) for check in checks]
    of_the_contract = [error_type for error_type in registry.ERROR_ORDER if error_type != "required-error"]
    assert [error_type for error_type in order if error_type in registry.ERROR_ORDER] == of_the_contract


@pytest.mark.parametrize(
    ("declare", "known", "listed"),
    [
        (registry.column_check, "_column_checks", registry.column_checks),
        (registry.row_check, "_row_checks", registry.row_checks),
        (registry.key_check, "_key_checks", registry.key_checks),
    ],
    ids=["column", "row", "key"],
)
def test_check_of_ones_own_comes_after_those_of_the_contract(monkeypatch: pytest.MonkeyPatch, declare: Any, known: str, listed: Any) -> None:
    listed()
    monkeypatch.setattr(registry, known, dict(getattr(registry, known)))
    declare("aaa_of_a_test", error_type="aaa-error")(lambda _schema, _context: [])
    names = [check.error_type for check in listed()]
    first_own = next(place for place, error_type in enumerate(names) if error_type not in registry.ERROR_ORDER)
    assert "aaa-error" in names[first_own:]
    assert all(error_type not in registry.ERROR_ORDER for error_type in names[first_own:])


def test_second_check_with_the_same_name_is_refused() -> None:
    registry.column_checks()
    with pytest.raises(ValueError, match="two checks"):
        registry.column_check("enum", error_type="enum-error")(lambda _field, _context: None)
