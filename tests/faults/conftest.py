"""Run one stack for each module of fault tests.

After every test all accepted jobs must be settled. The logs of a failed test are kept, and their folder is printed.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.harness import Stack, running_stack

WORKERS = {name: ["poison", "pause=0.01", "pause_outputs=0.01"] for name in ("worker", "second", "single")}
"""With these pauses a job of 300 chunks, or an output of it, takes three seconds even on a fast machine."""


class StackKeeper:
    """Keeps one stack running; after a failed test the next one gets a new stack."""

    def __init__(self) -> None:
        self._running = ExitStack()
        self._stack: Stack | None = None

    def get(self) -> Stack:
        if self._stack is None:
            # pytest's own folder cannot be used, because pytest denies others access to it: if root runs this, PostgreSQL runs as nobody,
            # which must be able to reach its data.
            folder = Path(tempfile.mkdtemp(prefix="rowgate-faults-"))
            folder.chmod(0o711)
            self._stack = self._running.enter_context(running_stack(folder / "stack", altered=WORKERS))
        return self._stack

    def drop(self, *, keep_logs: bool) -> None:
        self._running.close()
        if self._stack is not None and keep_logs:
            self._stack.stored.clear()
            print(f"\nlogs are kept in {self._stack.logs}")
        elif self._stack is not None:
            shutil.rmtree(self._stack.folder.parent, ignore_errors=True)
        self._stack = None


@pytest.fixture(scope="module")
def keeper() -> Iterator[StackKeeper]:
    keeper = StackKeeper()
    yield keeper
    keeper.drop(keep_logs=False)


@pytest.fixture
def stack(keeper: StackKeeper, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """The module's stack; after each test it asserts everything that must hold after a fault."""
    failed_before = request.session.testsfailed
    running = keeper.get()
    try:
        yield running
        if request.session.testsfailed == failed_before:
            running.assert_settled()
    except BaseException:
        keeper.drop(keep_logs=True)
        raise
    if request.session.testsfailed != failed_before:
        keeper.drop(keep_logs=True)
