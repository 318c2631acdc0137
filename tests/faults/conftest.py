"""One stack for each module of faults. A failing run keeps its logs and says where."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.harness import Stack, running_stack


@pytest.fixture(scope="module")
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    # Not pytest's own folder: run by root, PostgreSQL runs as nobody, who has to reach its data, and pytest closes its folder to others.
    folder = Path(tempfile.mkdtemp(prefix="rowgate-faults-"))
    folder.chmod(0o711)
    failed_before = request.session.testsfailed
    with running_stack(folder / "stack") as running:
        yield running
    if request.session.testsfailed == failed_before:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"\nlogs are kept in {folder}/stack/logs")
