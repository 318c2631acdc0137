"""Many jobs under faults in a random order; the seed makes the run again. `make faults SEEDS=3` runs the long form."""

from __future__ import annotations

import os
import random
import shutil
import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults.harness import LEASE_S, Sample, Stack, make_sample, running_stack

SEEDS = range(1, int(os.environ.get("FAULT_SEEDS", "1")) + 1)
JOBS = int(os.environ.get("FAULT_JOBS", "10"))

pytestmark = pytest.mark.timeout(120 + 12 * JOBS)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_job_ends_with_exactly_its_errors(seed: int) -> None:
    print(f"seed {seed}, {JOBS} jobs")
    folder = Path(tempfile.mkdtemp(prefix="rowgate-faults-"))
    folder.chmod(0o711)
    chance = random.Random(seed)
    # Faults come faster here than a file could deserve: no job may be given up for them.
    with running_stack(folder / "stack", MAX_CRASHES="100") as stack:
        stack.start_worker("second")
        jobs = []
        for number in range(JOBS):
            sample = make_sample(chance.choice([0, 1, 500, 20_000, 60_000]), seed=number)
            jobs.append((upload_until_taken(stack, sample), sample))
            if chance.random() < 0.5:
                time.sleep(chance.random())
                fault = chance.choice(FAULTS)
                print(f"{number}: {fault.__name__}")
                fault(stack, chance)
        for job_id, sample in jobs:
            stack.assert_completed(job_id, sample, timeout_s=120 + 3 * JOBS)
        stack.assert_quiet()
    shutil.rmtree(folder, ignore_errors=True)


def upload_until_taken(stack: Stack, sample: Sample) -> str:
    for _ in range(60):
        response = stack.client.post("/api/files/upload", files={"file": ("people.csv", sample.content)})
        if response.status_code == 202:
            return str(response.json()["job_id"])
        assert response.status_code == 503, response.text
        time.sleep(0.5)
    raise AssertionError(stack.tail())


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
    stack.parts[name].stop()
    stack.restart_part(name)


def kill_dispatcher(stack: Stack, chance: random.Random) -> None:
    stack.kill("dispatcher")
    stack.restart_part("dispatcher")


def kill_broker(stack: Stack, chance: random.Random) -> None:
    stack.stop_server("valkey", signal.SIGKILL)
    time.sleep(chance.uniform(0, 3))
    stack.restart_server("valkey")


def hang_broker(stack: Stack, chance: random.Random) -> None:
    stack.stop_server("valkey", signal.SIGSTOP)
    time.sleep(chance.uniform(0, 5))
    stack.stop_server("valkey", signal.SIGCONT)


def restart_database(stack: Stack, chance: random.Random) -> None:
    stack.stop_server("postgres", signal.SIGQUIT)
    time.sleep(chance.uniform(0, 3))
    stack.restart_server("postgres")


FAULTS = [kill_child, stop_child, kill_worker, end_worker, kill_dispatcher, kill_broker, hang_broker, restart_database]
