"""Reading ahead in a thread: order, errors, bounds and closing."""

from __future__ import annotations

import threading
import time
import weakref
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


@pytest.mark.parametrize("depth", [1, 2])
def test_source_runs_ahead_by_its_depth_only(depth: int) -> None:
    made: list[int] = []

    def source() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    prefetch = Prefetch(source(), depth=depth)
    for taken in range(3):
        time.sleep(0.1)
        assert len(made) == depth + taken
        assert next(prefetch) == taken
    prefetch.close()


def test_no_item_is_held() -> None:
    class Large:
        pass

    prefetch = Prefetch(Large() for _ in range(3))
    first = weakref.ref(next(prefetch))
    time.sleep(0.1)
    second = next(prefetch)
    assert first() is None
    assert isinstance(second, Large)
    prefetch.close()


def test_nothing_comes_after_the_end() -> None:
    prefetch = Prefetch(iter([1]))
    assert list(prefetch) == [1]
    assert next(prefetch, None) is None
    prefetch.close()


def test_closing_ends_the_thread() -> None:
    before = threading.active_count()
    prefetch = Prefetch(iter(range(1000)))
    next(iter(prefetch))
    prefetch.close()
    prefetch.close()
    assert threading.active_count() == before
