"""Each protection is removed once, and a test of the matrix must then fail. Long form only."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import test_outputs, test_requests, test_workers
from tests.faults.conftest import WORKERS
from tests.faults.harness import IS_LONG, Stack, running_stack

pytestmark = [pytest.mark.timeout(300), pytest.mark.skipif(not IS_LONG, reason="stacks of their own: part of `make faults`")]

MUTATIONS: list[tuple[str, str, Callable[[Stack], None]]] = [
    ("worker", "drop_fence", test_workers.test_stopped_worker_is_fenced_out_when_it_goes_on),
    ("worker", "drop_fence", test_workers.test_retry_while_the_old_worker_still_has_it_is_one_result),
    ("worker", "drop_output_fence", test_outputs.test_worker_stopped_for_longer_than_its_lease_is_fenced_out),
    ("dispatcher", "drop_lease_check", test_workers.test_same_message_fifty_times_is_one_execution),
    ("api", "send_before_commit", test_requests.test_message_leaves_after_its_commit_and_is_heard_at_once),
    ("dispatcher", "drop_take_back", test_workers.test_killed_child_costs_a_lease_and_nothing_else),
]


@pytest.mark.parametrize(("part", "mutation", "scenario"), MUTATIONS, ids=[f"{mutation}-{scenario.__name__}" for _, mutation, scenario in MUTATIONS])
def test_protection_that_is_taken_out_is_missed(part: str, mutation: str, scenario: Callable[[Stack], None]) -> None:
    folder = Path(tempfile.mkdtemp(prefix="rowgate-faults-"))
    folder.chmod(0o711)
    altered = {name: ["hurry", *WORKERS.get(name, ())] for name in ("api", "dispatcher", "worker", "second")}
    for name in ("worker", "second") if part == "worker" else (part,):
        altered[name].append(mutation)
    with running_stack(folder / "stack", altered=altered, patience=0.4) as stack:
        stack.start_worker("second")
        stack.wait_until_alive("second")
        with pytest.raises(AssertionError) as missed:
            scenario(stack)
            stack.assert_settled()
        print("missed in", " < ".join(f"{entry.name}:{entry.lineno}" for entry in reversed(missed.traceback[1:])))
    shutil.rmtree(folder, ignore_errors=True)
