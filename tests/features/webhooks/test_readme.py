"""The README's code for receivers works."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from features.webhooks.client import sign
from tests.paths import ROOT

README = (ROOT / "README.md").read_text()
SECRET, NEXT, OTHER = "whsec_" + "A" * 32, "B" * 32, "whsec_" + "C" * 32
BODY = '{"type":"job.completed","filename":"b\u00fccher \U0001f4da.csv"}'
Case = tuple[str, dict[str, str], str]


def find_lines(language: str) -> str:
    [found] = [block for block in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL) if "verify(" in block]
    assert len([line for line in found.splitlines() if line.strip()]) <= 10
    return str(found)


def make_headers(*secrets: str, age_s: float = 0) -> dict[str, str]:
    moment, message_id = datetime.now(UTC) - timedelta(seconds=age_s), str(uuid.uuid4())
    signature = sign(secrets, message_id=message_id, moment=moment, body=BODY)
    return {"webhook-id": message_id, "webhook-timestamp": str(int(moment.timestamp())), "webhook-signature": signature}


GOOD: dict[str, Callable[[], Case]] = {
    "one secret": lambda: (SECRET, make_headers(SECRET), BODY),
    "a secret without its prefix": lambda: (NEXT, make_headers(NEXT), BODY),
    "the old secret while both are used": lambda: (SECRET, make_headers(NEXT, SECRET), BODY),
    "the new secret while both are used": lambda: (NEXT, make_headers(NEXT, SECRET), BODY),
    "a minute old": lambda: (SECRET, make_headers(SECRET, age_s=60), BODY),
}
BAD: dict[str, Callable[[], Case]] = {
    "another secret": lambda: (OTHER, make_headers(NEXT, SECRET), BODY),
    "another body": lambda: (SECRET, make_headers(SECRET), BODY + " "),
    "another id": lambda: (SECRET, make_headers(SECRET) | {"webhook-id": "x"}, BODY),
    "another time": lambda: (SECRET, make_headers(SECRET) | {"webhook-timestamp": str(int(datetime.now(UTC).timestamp()) - 5)}, BODY),
    "an hour old": lambda: (SECRET, make_headers(SECRET, age_s=3600), BODY),
    "an hour ahead": lambda: (SECRET, make_headers(SECRET, age_s=-3600), BODY),
    "no signature": lambda: (SECRET, make_headers(SECRET) | {"webhook-signature": ""}, BODY),
    "a signature that is no text": lambda: (SECRET, make_headers(SECRET) | {"webhook-signature": "v1,\u00e9"}, BODY),
}


def verify_in_python(cases: list[Case]) -> list[bool]:
    names: dict[str, Any] = {}
    exec(find_lines("python"), names)
    return [names["verify"](secret, headers, body.encode()) for secret, headers, body in cases]


def verify_in_javascript(cases: list[Case]) -> list[bool]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed here")
    program = (
        find_lines("javascript")
        + "import { readFileSync } from 'node:fs';"
        + "const cases = JSON.parse(readFileSync(0, 'utf8'));"
        + "console.log(JSON.stringify(cases.map(([secret, headers, body]) => verify(secret, headers, Buffer.from(body)))));"
    )
    command = [node, "--input-type=module", "--eval", program]
    done = subprocess.run(command, input=json.dumps(cases), capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    verdicts: list[bool] = json.loads(done.stdout)
    return verdicts


@pytest.mark.parametrize("verify", [verify_in_python, verify_in_javascript])
def test_ten_lines_tell_what_was_signed_from_what_was_not(verify: Callable[[list[Case]], list[bool]]) -> None:
    cases = {**GOOD, **BAD}
    verdicts = dict(zip(cases, verify([make() for make in cases.values()]), strict=True))
    assert verdicts == {name: name in GOOD for name in cases}
