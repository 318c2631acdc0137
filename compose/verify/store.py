"""Files in an S3 store: an API and two workers that share no folder, outputs and a large file through it, and the store away for a while."""

from __future__ import annotations

from pathlib import Path

import httpx

from compose.verify.jobs import make_csv, prove_end, send
from compose.verify.stack import SLOW_WORKER, Stack, require, say, wait_for
from compose.verify.storage import wait_for_health

STORED_SERVICES = ("db", "redis", "store", "api", "worker-s3", "dispatcher")
LARGE_ROWS = 1_000_000
"""About 14 MB: three parts of a multipart upload."""


def prove_store(folder: Path) -> None:
    """Check the profile `s3` in a stack of its own."""
    say("starting another stack, with an S3 store and two workers without a shared folder")
    settings = {"STORAGE": "s3", "COMPOSE_PROFILES": "s3", "API_PROCESSES": "1", "WORKER_SLOTS": "1"}
    with Stack(folder, name="-s3", services={"worker-s3": {"environment": SLOW_WORKER}}, **settings) as stack:
        stack.up("--scale", "worker=0", services=STORED_SERVICES)
        require(len(stack.health().get("worker-s3", [])) == 2, "There are not two workers.")  # noqa: PLR2004  # as in store.yml
        with httpx.Client(base_url=f"http://127.0.0.1:{stack.port}", timeout=30.0) as client:
            jobs = [send(client, "table.csv", make_csv(20), outputs=("valid.csv",)) for _ in range(6)]
            jobs.append(send_large(client))
            for job_id in jobs[:-1]:
                prove_end(client, job_id, rows=20)
                prove_output(client, job_id)
            wait_for(client, f"/api/jobs/{jobs[-1]}", "The end of a large file", lambda job: job.get("status") == "COMPLETED")
            prove_outage(stack, client)
        left = stack.compose("exec", "-T", "api", "ls", "-A", "/data/uploads").split()
        require(not left, f"Something was stored in a folder: {left}.")
        say("jobs were done, and one waited, with files in an S3 store")


def send_large(client: httpx.Client) -> str:
    """Upload a file that takes several parts."""
    rows = "".join(f"{number},{number * 3}\n" for number in range(LARGE_ROWS))
    answer = client.post("/api/files/upload", files={"file": ("large.csv", f"id,amount\n{rows}".encode())})
    require(answer.status_code == httpx.codes.ACCEPTED, f"A large upload answered {answer.status_code}: {answer.text}")
    return str(answer.json()["job_id"])


def prove_output(client: httpx.Client, job_id: str) -> None:
    """Check that the good rows of a small table come, whole and by range."""
    url = f"/api/jobs/{job_id}/outputs/valid.csv"
    wait_for(client, f"/api/jobs/{job_id}/outputs", "An output", lambda listed: [each["status"] for each in listed["outputs"]] == ["READY"])
    whole = client.get(url)
    require(whole.is_success and whole.text.startswith("id,amount"), f"An output answered {whole.status_code}: {whole.text[:100]}")
    part = client.get(url, headers={"Range": "bytes=3-8"})
    require(part.status_code == httpx.codes.PARTIAL_CONTENT and part.content == whole.content[3:9], f"A range answered {part.status_code}.")


def prove_outage(stack: Stack, client: httpx.Client) -> None:
    """Check that a store that is stopped makes uploads 503 and lets jobs wait, and that all goes on when it is back."""
    waiting = send(client, "table.csv", make_csv(20))
    stack.compose("kill", "store")
    wait_for_health(client, httpx.codes.SERVICE_UNAVAILABLE)
    refused = client.post("/api/files/upload", files={"file": ("table.csv", make_csv(20))})
    require(refused.status_code == httpx.codes.SERVICE_UNAVAILABLE, f"An upload without the store answered {refused.status_code}: {refused.text}")
    stack.compose("up", "--detach", "--wait", "--no-recreate", "store")
    wait_for_health(client, httpx.codes.OK)
    prove_end(client, waiting, rows=20)
    prove_end(client, send(client, "table.csv", make_csv(20)), rows=20)
