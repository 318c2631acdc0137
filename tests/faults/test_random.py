"""Many jobs under faults in a random order; a run can be repeated by its seed. `make faults SEEDS=3` runs the long form."""

from __future__ import annotations

import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
import redis

from compose.processes import wait_until
from tests.faults.harness import LEASE_S, SEED, Sample, Stack, make_sample, running_stack

SEEDS = range(SEED, SEED + int(os.environ.get("FAULT_SEEDS", "1")))
JOBS = int(os.environ.get("FAULT_JOBS", "10"))

pytestmark = pytest.mark.timeout(240 + 12 * JOBS)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_job_ends_with_exactly_its_errors(seed: int) -> None:
    print(f"seed {seed}, {JOBS} jobs: FAULT_SEED={seed} FAULT_SEEDS=1 FAULT_JOBS={JOBS}")
    folder = Path(tempfile.mkdtemp(prefix="rowgate-faults-"))
    folder.chmod(0o711)
    print(f"logs: {folder}/stack/logs")
    chance = random.Random(seed)
    # Faults are so frequent here that a job crashes often through no fault of its file, so no job may be given up.
    with running_stack(folder / "stack", MAX_CRASHES="100") as stack:
        stack.start_worker("second")
        for number in range(JOBS):
            upload_until_taken(stack, make_sample(chance.choice([0, 1, 500, 20_000, 60_000]), seed=number), key=f"{seed}-{number}")
            if chance.random() < 0.5:
                time.sleep(chance.random())
                fault = chance.choice(FAULTS)
                print(f"{number}: {fault.__name__}")
                fault(stack, chance)
            if chance.random() < 0.1:
                print(f"{number}: {change_mind(stack, chance)}")
        stack.assert_settled(timeout_s=120 + 3 * JOBS)
        ends = Counter("deleted" if accepted.is_deleted else stack.job(job_id)["status"] for job_id, accepted in stack.accepted.items())
        print(dict(ends))
        assert len(stack.accepted) == JOBS
        assert set(ends) <= {"COMPLETED", "CANCELLED", "deleted"}
    shutil.rmtree(folder, ignore_errors=True)


def upload_until_taken(stack: Stack, sample: Sample, *, key: str) -> None:
    """Send the file until it is accepted, always with the same key, like a client that got no answer."""
    for _ in range(60):
        with suppress(httpx.TransportError):
            response = stack.try_upload(sample, key=key)
            if response.is_success:
                return
            assert response.status_code == 503, response.text
        time.sleep(0.5)
    raise AssertionError(stack.tail())


def change_mind(stack: Stack, chance: random.Random) -> str:
    """Cancel or delete a job as a client, and sometimes retry a cancelled one."""
    assert wait_until(lambda: stack.client.get("/api/jobs").status_code == 200, timeout_s=30)
    # Choose among the newest jobs, which may still be running.
    job_id = chance.choice([job_id for job_id, accepted in stack.accepted.items() if not accepted.is_deleted][-3:])
    if not stack.cancel(job_id):
        return "delete"
    if chance.random() < 0.5:
        return "cancel"
    stack.retry(job_id)
    return "cancel, retry"


def kill_child(stack: Stack, chance: random.Random) -> None:
    with suppress(AssertionError, ProcessLookupError):
        os.kill(stack.find_holder(timeout_s=2), signal.SIGKILL)


def stop_child(stack: Stack, chance: random.Random) -> None:
    with suppress(AssertionError, ProcessLookupError):
        holder = stack.find_holder(timeout_s=2)
        os.kill(holder, signal.SIGSTOP)
        time.sleep(chance.uniform(0, 2 * LEASE_S))
        os.kill(holder, signal.SIGCONT)


def kill_worker(stack: Stack, chance: random.Random) -> None:
    stack.kill(name := chance.choice(["worker", "second"]))
    stack.restart_part(name)


def end_worker(stack: Stack, chance: random.Random) -> None:
    name = chance.choice(["worker", "second"])
    stack.parts[name].child.stop()
    stack.restart_part(name)


def kill_dispatcher(stack: Stack, chance: random.Random) -> None:
    stack.kill("dispatcher")
    stack.restart_part("dispatcher")


def kill_api(stack: Stack, chance: random.Random) -> None:
    stack.kill("api")
    stack.restart_api()


def kill_broker(stack: Stack, chance: random.Random) -> None:
    stack.stop_server("valkey", signal.SIGKILL)
    time.sleep(chance.uniform(0, 3))
    stack.restart_server("valkey")


def hang_broker(stack: Stack, chance: random.Random) -> None:
    stack.stop_server("valkey", signal.SIGSTOP)
    time.sleep(chance.uniform(0, 5))
    stack.stop_server("valkey", signal.SIGCONT)


def flush_broker(stack: Stack, chance: random.Random) -> None:
    with suppress(redis.RedisError), redis.Redis.from_url(stack.environment["REDIS_URL"]) as client:
        client.flushall()


def cut_broker_off(stack: Stack, chance: random.Random) -> None:
    stack.wire.fall_silent()


def restart_database(stack: Stack, chance: random.Random) -> None:
    stack.stop_server("postgres", signal.SIGQUIT)
    time.sleep(chance.uniform(0, 3))
    stack.restart_server("postgres")


FAULTS = [
    kill_child,
    stop_child,
    kill_worker,
    end_worker,
    kill_dispatcher,
    kill_api,
    kill_broker,
    hang_broker,
    flush_broker,
    cut_broker_off,
    restart_database,
]
