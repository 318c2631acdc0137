"""One stack for the faults that leave it whole; a fault that does not makes one of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.harness import Stack, running_stack


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("faults")
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o711)
    with running_stack(folder / "stack") as running:
        yield running
