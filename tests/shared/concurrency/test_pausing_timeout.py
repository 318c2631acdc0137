from __future__ import annotations

import asyncio
import time

import pytest

from shared.concurrency.pausing_timeout import PausingTimeout


async def test_block_that_hangs_ends_when_its_time_is_over() -> None:
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        async with PausingTimeout(0.1):
            await asyncio.sleep(30)
    assert 0.1 <= time.monotonic() - begun < 10


async def test_clock_that_stands_still_ends_nothing_and_then_runs_from_zero() -> None:
    async with PausingTimeout(0.2) as timeout:
        timeout.stop()
        await asyncio.sleep(0.5)
        timeout.start()
        await asyncio.sleep(0.05)
    with pytest.raises(TimeoutError):
        async with PausingTimeout(0.1) as timeout:
            timeout.stop()
            await asyncio.sleep(0.25)
            timeout.start()
            await asyncio.sleep(30)


async def test_clock_that_is_started_again_and_again_does_not_end() -> None:
    async with PausingTimeout(0.5) as timeout:
        for _ in range(40):
            await asyncio.sleep(0.02)
            timeout.start()


async def test_block_that_ends_in_time_leaves_no_timer_behind() -> None:
    async with PausingTimeout(0.05):
        pass
    await asyncio.sleep(0.15)


async def test_what_the_block_raises_goes_through() -> None:
    with pytest.raises(ValueError, match="mine"):
        async with PausingTimeout(5):
            raise ValueError("mine")
