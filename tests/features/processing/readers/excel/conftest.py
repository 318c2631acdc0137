"""While coverage is measured, the processes that read and decrypt workbooks are measured too: their environment is otherwise their own."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from features.processing.readers.excel import reading_child
from shared import child_process

_COVERAGE = "COVERAGE_PROCESS_CONFIG"
"""What coverage gives to the processes that it starts."""
_SAVING_S = 10


@pytest.fixture(autouse=True, scope="package")
def measured_children() -> Iterator[None]:
    if _COVERAGE not in os.environ:
        yield
        return
    start_child, close = child_process.start_child, reading_child.ReadingChild.close

    def start_measured(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(child_process, "_KEPT_VARIABLES", (*child_process._KEPT_VARIABLES, _COVERAGE))
            return start_child(*arguments, **options)

    def close_when_saved(child: reading_child.ReadingChild) -> None:
        # It ends with its standard input, and saves what was measured; killed it would save nothing.
        process = child.process
        if process.poll() is None and process.stdin is not None and process.stdout is not None:
            with suppress(BrokenPipeError):
                process.stdin.close()
            reading = threading.Thread(target=process.stdout.read, daemon=True)
            reading.start()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_SAVING_S)
            process.kill()
            reading.join()
        close(child)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading_child, "start_child", start_measured)
        patch.setattr(reading_child.ReadingChild, "close", close_when_saved)
        yield
