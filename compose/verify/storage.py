"""The upload folder that is not the right one: nothing is lost, nobody's job fails, and it is told."""

from __future__ import annotations

import subprocess
import time

import httpx

from compose.verify.jobs import make_csv, prove_end, send
from compose.verify.stack import Stack, require, say, wait_for

HIDE, SHOW = "mv .rowgate-storage hidden", "mv hidden .rowgate-storage"
REFUSED = "must not be used"
"""What a process logs that has found its upload folder to be the wrong one."""
STRAY_WITHIN_S = 60.0


def prove_storage(stack: Stack, client: httpx.Client) -> None:
    """Check what happens while the folder of all containers is another one, and while that of one worker is."""
    say("taking the upload folder away from one worker, and then from everybody")
    prove_stray_worker(stack, client)
    in_uploads(stack, HIDE)
    try:
        wait_for_health(client, httpx.codes.SERVICE_UNAVAILABLE)
        storage = client.get("/api/health").json()["storage"]
        require(storage["status"] == "unhealthy" and "mounted" in storage["reason"], f"Health says of the storage: {storage}")
        refused = client.post("/api/files/upload", files={"file": ("table.csv", make_csv(20))})
        require(refused.status_code == httpx.codes.SERVICE_UNAVAILABLE, f"An upload without the folder answered {refused.status_code}: {refused.text}")
        require("rowgate_storage_lost 1" in client.get("/metrics").text, "The API's metrics do not tell that its folder is lost.")
    finally:
        in_uploads(stack, SHOW)
    wait_for_health(client, httpx.codes.OK)
    prove_end(client, send(client, "table.csv", make_csv(20)), rows=20)


def prove_stray_worker(stack: Stack, client: httpx.Client) -> None:
    """Check that a worker whose share is not mounted leaves every job to the others."""
    name = f"{stack.project}-stray"
    stack.compose("run", "--detach", "--rm", "--no-deps", "--name", name, "--volume", f"{stack.project}-empty:/data/uploads", "worker")
    try:
        deadline = time.monotonic() + STRAY_WITHIN_S
        while not (has_refused := REFUSED in read_log(name)) and time.monotonic() < deadline:
            prove_jobs_end(client)  # it looks at the folder when it gets its first task
        require(has_refused, f"A worker without the upload folder did not say so within {STRAY_WITHIN_S:.0f} s:\n{read_log(name)}")
        prove_jobs_end(client)
    finally:
        run_docker("rm", "--force", name)
        run_docker("volume", "rm", "--force", f"{stack.project}-empty")


def prove_jobs_end(client: httpx.Client) -> None:
    """Send more jobs than one worker runs at once, and check that all end well. Raises `Unproven`."""
    for job_id in [send(client, "table.csv", make_csv(20)) for _ in range(8)]:
        prove_end(client, job_id, rows=20)


def read_log(container: str) -> str:
    """Return everything that a container has logged."""
    command = ["docker", "logs", container]
    return subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout  # noqa: S603  # our own name


def run_docker(*arguments: str) -> None:
    """Run `docker`. Raises `Unproven` if it fails."""
    result = subprocess.run(["docker", *arguments], check=False, stdout=subprocess.DEVNULL)  # noqa: S603, S607  # fixed words and our own names
    require(result.returncode == 0, f"'docker {' '.join(arguments)}' failed.")


def in_uploads(stack: Stack, command: str) -> None:
    """Run a command in the upload folder."""
    stack.compose("exec", "-T", "--workdir", "/data/uploads", "api", "sh", "-c", command)


def wait_for_health(client: httpx.Client, code: int) -> None:
    """Wait until health answers with this status. Raises `Unproven`."""
    deadline = time.monotonic() + 30
    while (found := client.get("/api/health").status_code) != code:
        require(time.monotonic() < deadline, f"Health is {found} and not {code}.")
        time.sleep(0.25)


def wait_for_failure(client: httpx.Client, job_id: str, words: str) -> None:
    """Check that a job ends as FAILED with a sentence that has these words."""
    job = wait_for(client, f"/api/jobs/{job_id}", "The end of the job", lambda job: job.get("status") not in {"QUEUED", "PROCESSING"})
    require(job["status"] == "FAILED" and words in job["error_message"], f"The job ended as {job['status']}: {job['error_message']}")
