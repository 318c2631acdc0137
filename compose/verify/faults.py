"""Faults of the machine: each has a sentence of its own that blames no file, and the worker goes on."""

from __future__ import annotations

import io
import random
import time

import httpx
import openpyxl
from msoffcrypto.format.ooxml import OOXMLFile

from compose.verify.jobs import make_csv, prove_end, send
from compose.verify.stack import Stack, require, say
from compose.verify.storage import wait_for_failure

EXCELS_OWN_PASSWORD = "VelvetSweatshop"  # noqa: S105  # publicly known: [MS-OFFCRYPTO], section 2.4.2.3
SMALL_SPILL = "/small"
MEMORY = "280m"
KILLING_CELLS = 48


def prove_faults(stack: Stack, client: httpx.Client) -> None:
    """Check a full spill disk, and a machine without memory, each with its sentence and its metrics."""
    say("filling a worker's spill disk, and taking its memory away")
    poor = {
        "tmpfs": [f"{SMALL_SPILL}:size=64k,mode=1777"],
        "mem_limit": MEMORY,
        "memswap_limit": MEMORY,
        "environment": {"SPILL_DIR": SMALL_SPILL, "FAULT_PAUSE_S": "1", "JOB_LEASE_S": "3"},
    }
    with stack.altered({"worker": poor, "dispatcher": {"environment": {"MAX_CRASHES": "2", "JOB_LEASE_S": "3", "PROGRESS_INTERVAL_S": "0.5"}}}):
        wait_for_failure(client, send_encrypted(client), "ran out of disk space")
        require('rowgate_machine_faults_total{kind="spill-disk-full"} 3.0' in read_metrics(stack), "A full spill disk is not counted.")
        wait_for_failure(client, send_plain(client, "wide.csv", make_wide_csv()), "was stopped 2 times")
        prove_end(client, send(client, "table.csv", make_csv(20)), rows=20)


def send_encrypted(client: httpx.Client) -> str:
    """Send a workbook that is decrypted to the spill disk before it is read."""
    workbook = openpyxl.Workbook(write_only=True)
    sheet = workbook.create_sheet()
    chance = random.Random(1)  # noqa: S311  # text that does not compress
    sheet.append(["id", "text"])
    for number in range(2000):
        sheet.append([number, f"{chance.getrandbits(512):x}"])
    plain, encrypted = io.BytesIO(), io.BytesIO()
    workbook.save(plain)
    OOXMLFile(plain).encrypt(EXCELS_OWN_PASSWORD, encrypted)
    return send_plain(client, "secret.xlsx", encrypted.getvalue())


def make_wide_csv() -> bytes:
    """Make a table whose rows are as long as rows may be, of cells that all have to be kept."""
    row = b",".join(b"%07d" % number * 40_000 for number in range(KILLING_CELLS))
    return b",".join(b"c%d" % number for number in range(KILLING_CELLS)) + b"\n" + (row + b"\n") * 12


def send_plain(client: httpx.Client, name: str, content: bytes) -> str:
    """Upload a file without a schema, and return the job's id."""
    answer = client.post("/api/files/upload", files={"file": (name, content)})
    require(answer.status_code == httpx.codes.ACCEPTED, f"The upload of {name} answered {answer.status_code}: {answer.text}")
    return str(answer.json()["job_id"])


def read_metrics(stack: Stack) -> str:
    """Return the worker's metrics."""
    fetch = "import urllib.request as r; print(r.urlopen('http://worker:9100/metrics', timeout=5).read().decode())"
    time.sleep(1)
    return stack.compose("exec", "-T", "api", "python3", "-c", fetch)
