from __future__ import annotations

import asyncio

from shared.db.session import Database


async def test_one_of_many_blocks_of_a_name_runs_at_a_time(database: Database) -> None:
    running = 0
    ran = 0

    async def run() -> None:
        nonlocal running, ran
        async with database.sole_run("sweep") as sole:
            if sole:
                running += 1
                assert running == 1
                await asyncio.sleep(0.2)
                running -= 1
                ran += 1

    await asyncio.gather(*(run() for _ in range(5)))
    assert ran == 1
    await run()
    assert ran == 2


async def test_blocks_of_different_names_run_beside_each_other(database: Database) -> None:
    async with database.sole_run("sweep") as first, database.sole_run("ring") as second:
        assert first
        assert second
