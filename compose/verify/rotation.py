"""Keys and secrets are rotated as docs/operations.md says, block by block, and no request fails; a wrong `.env` is told and stops nothing."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from dotenv import dotenv_values

from compose.local import ROOT
from compose.verify.load import PATIENCE_S, POLLS_PER_S, ClientThread
from compose.verify.stack import SERVICES, Stack, require, say, wait_for

SECTION = "## Rotate keys and secrets"
PLACE = "/etc/rowgate"
SETTLED_S = 5.0
"""How long the document says to wait after a file was changed."""
SETTINGS_INVALID = 2


def prove_rotation(folder: Path) -> None:
    """Check it in a project of its own."""
    say("rotating keys, secrets and passwords in a project of its own")
    place = folder / "rotation"
    place.mkdir()
    place.chmod(0o755)
    with Stack(folder, name="-rotation") as stack:
        set_up, add_key, *others = list_blocks()
        run_block(stack, set_up.replace("docker compose up -d\n", ""), place)
        stack.settings |= {name: value or "" for name, value in dotenv_values(place / ".env").items()}
        stack.up()
        old = read_keys(place)[0]
        with httpx.Client(base_url=f"http://127.0.0.1:{stack.port}", timeout=30.0, headers={"X-API-Key": old}) as client, polling(client):
            for block in (add_key, *others):
                run_block(stack, block, place)
                time.sleep(SETTLED_S)
            require_same_jobs(client, place, old)
            require_taken(stack)
        require_restart(stack, place)
        require_mistake_told(stack)


def list_blocks() -> list[str]:
    """Return the blocks of the section: setting up, an API key, a webhook secret, PostgreSQL's password, Redis' password."""
    section = (ROOT / "docs" / "operations.md").read_text().partition(f"\n{SECTION}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    require(len(blocks) == 5, f"'{SECTION}' has {len(blocks)} blocks.")  # noqa: PLR2004  # those above
    return blocks


def run_block(stack: Stack, block: str, place: Path) -> None:
    """Run a block as it stands, but in a folder of our own and without becoming root. Raises `Unproven` if it fails."""
    script = 'set -eu\nsudo() { "$@"; }\n' + block.replace(PLACE, str(place))
    result = subprocess.run(["sh", "-c", script], check=False, cwd=place, env=stack.environment, capture_output=True, text=True)  # noqa: S603, S607  # ours
    require(result.returncode == 0, f"A block of '{SECTION}' failed:\n{block}\n{result.stderr}")


def read_keys(place: Path) -> list[str]:
    """Return the API keys in the file, the oldest first."""
    return [line.rpartition(":")[2] for line in (place / "secrets" / "api" / "api-keys").read_text().split()]


@contextmanager
def polling(client: httpx.Client) -> Iterator[None]:
    """Ask 20 times a second and upload once a second during the block. Raises `Unproven` if a request failed or a job did not end well."""
    over, failures, jobs, polls = threading.Event(), list[str](), list[str](), 0

    def ask() -> None:
        nonlocal polls
        while not over.wait(0.05):
            try:
                client.get("/api/jobs").raise_for_status()
                if polls % 20 == 0:
                    jobs.append(client.post("/api/files/upload", files={"file": ("a.csv", b"a,b\n1,2\n")}).raise_for_status().json()["job_id"])
            except httpx.HTTPError as error:
                failures.append(repr(error))
            polls += 1

    thread = ClientThread(ask)
    begun = time.monotonic()
    thread.start()
    try:
        yield
    finally:
        over.set()
        elapsed_s = time.monotonic() - begun
        thread.join(PATIENCE_S)
    thread.require_ended("the rotation of secrets")
    require(not failures, "Requests failed while secrets were rotated:\n  " + "\n  ".join(failures[:10]))
    require(polls >= elapsed_s * POLLS_PER_S, f"Only {polls} polls were answered in {elapsed_s:.0f} s while secrets were rotated.")
    require(jobs, "Nothing was uploaded while secrets were rotated.")
    for job_id in jobs:
        wait_for(client, f"/api/jobs/{job_id}", "The end of a job", lambda job: job["status"] == "COMPLETED" and job["attempt"] == 1)
    say(f"  {polls} polls answered and {len(jobs)} jobs done, none failed")


def require_same_jobs(client: httpx.Client, place: Path, old: str) -> None:
    """Raise `Unproven` unless the new key sees the jobs of the old one."""
    new = read_keys(place)[-1]
    require(new != old, "There is no new key.")
    newest = [client.get("/api/jobs?page_size=1000", headers={"X-API-Key": key}).json()["jobs"][-1]["id"] for key in (old, new)]
    require(newest[0] == newest[1], "Two keys of one name see different jobs.")


def require_taken(stack: Stack) -> None:
    """Raise `Unproven` unless every secret was taken up by a process that uses it, and none was refused."""
    logs = stack.compose("logs", "--no-color", "api", "worker", "dispatcher")
    require("a changed secret was not taken up" not in logs, "A secret was refused.")
    for setting, service in (("API_KEYS_FILE", "api"), ("DATABASE_URL_FILE", "api"), ("REDIS_URL_FILE", "api")):
        taken = [line for line in logs.splitlines() if f"{service}-1 " in line and setting in line and "a changed secret was taken up" in line]
        require(taken, f"{service} has not taken up a changed {setting}.")


def require_restart(stack: Stack, place: Path) -> None:
    """Raise `Unproven` unless everything starts again with what the files hold, and the key that was removed is none any more."""
    keys = place / "secrets" / "api" / "api-keys"
    old, new = read_keys(place)
    keys.write_text(f"alice:{new}\n")
    stack.compose("restart")
    stack.up()
    with httpx.Client(base_url=f"http://127.0.0.1:{stack.port}", timeout=30.0) as client:
        answers = [client.get("/api/jobs", headers={"X-API-Key": key}).status_code for key in (old, new)]
    require(answers == [401, 200], f"The removed key and the new one are answered with {answers}.")


def require_mistake_told(stack: Stack) -> None:
    """Raise `Unproven` unless a mistake in `.env` is told by name before anything is replaced, and by the API itself with its exit code."""
    wrong = {**stack.environment, "MAX_EVENT_STREAMS": "many"}
    for service, code in (("check-config", 1), ("api", SETTINGS_INVALID)):
        command = ["docker", "compose", "--progress", "quiet", "run", "--rm", "--no-deps", "-T", service]
        result = subprocess.run(command, check=False, cwd=ROOT, env=wrong, capture_output=True, text=True)  # noqa: S603  # ours
        said = result.stdout + result.stderr
        require(
            result.returncode == code and "MAX_EVENT_STREAMS: " in said, f"{service} does not name a mistake in .env (exit code {result.returncode}): {said}"
        )
    require(set(stack.health()) >= SERVICES, "A mistake in .env has stopped something.")
