"""Reading ahead in a thread: order, errors, bounds and closing."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from features.processing.readers.prefetch import Prefetch


def test_items_come_in_their_order() -> None:
    assert list(Prefetch(iter(range(100)))) == list(range(100))


def test_error_comes_after_the_items_before_it() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    items = iter(Prefetch(source()))
    assert next(items) == 1
    with pytest.raises(ValueError, match="broken"):
        next(items)


def test_source_runs_ahead_by_its_depth_only() -> None:
    made: list[int] = []

    def source() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    prefetch = Prefetch(source(), depth=1)
    time.sleep(0.3)
    assert len(made) == 2
    prefetch.close()


def test_closing_ends_the_thread() -> None:
    before = threading.active_count()
    prefetch = Prefetch(iter(range(1000)))
    next(iter(prefetch))
    prefetch.close()
    prefetch.close()
    assert threading.active_count() == before
