"""The image of the tests: a part of the suite passes in it."""

from __future__ import annotations

from compose.verify.stack import Stack, say

TESTS_INSIDE = ("tests/shared/test_settings.py", "tests/features/jobs")
"""A part of the test suite, to save time; `docker compose run --rm tests` runs all of it."""


def prove_suite(stack: Stack) -> None:
    """Check that tests run inside, against servers of their own."""
    say("running tests inside")
    stack.compose("run", "--rm", "-T", "--quiet-pull", "tests", "python", "-m", "pytest", "-q", *TESTS_INSIDE)
