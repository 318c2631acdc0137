"""Replace the containers of a running stack by those of the present code and `.env`, one service after the other, so that no request waits.

    python3 -m compose.rollout

Builds, checks the settings, then replaces `api`, `api-2`, `dispatcher` and, last, the workers; each must be healthy before the next one is touched, so a
version that cannot start stops the roll-out while the other API goes on serving. So does an API that starts but whose `GET /api/health` is no longer a 200:
one that cannot reach its database, Redis or files. What has not changed is not replaced. Needs only Python and Docker Compose.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ORDER = ("api", "api-2", "dispatcher", "worker", "worker-s3")
"""Workers come last: their jobs go on while everything else is replaced, and both old and new code can take what they give back."""
PROXIED = {"api-2", "proxy"}
"""The services of the profile `proxy`."""
APIS = ("api", "api-2")
HEALTHY_WITHIN_S = 300
HEALTH_TRIES = 5
HEALTH_PAUSE_S = 2.0
HEALTH_REQUEST = """
import http.client
connection = http.client.HTTPConnection("127.0.0.1", 8000, timeout=10)
connection.request("GET", "/api/health")
answer = connection.getresponse()
print(answer.status, answer.read().decode())
"""
COMPOSE = ("docker", "compose", "--profile", "proxy")


class RolloutFailed(Exception):
    """A step failed; the message says which, and what runs now."""


def run(*arguments: str) -> str:
    """Run `docker compose` and return its standard output. Raises `RolloutFailed`."""
    result = subprocess.run([*COMPOSE, *arguments], cwd=ROOT, check=False, stdout=subprocess.PIPE, text=True)  # noqa: S603  # our own command
    if result.returncode != 0:
        raise RolloutFailed(f"'docker compose {' '.join(arguments)}' failed; what Docker says of it stands above.")
    return result.stdout


def count_running() -> Counter[str]:
    """Return how many containers of each service run."""
    containers = [json.loads(line) for line in run("ps", "--format", "json").splitlines()]
    return Counter(container["Service"] for container in containers if container["State"] == "running")


def plan(running: Mapping[str, int]) -> Sequence[tuple[str, Sequence[str]]]:
    """Return the services to replace, in order, each with the options for it: as many containers as there are now."""
    counts = {name: running.get(name, 0) for name in ORDER}
    return [(name, ("--scale", f"{name}={count}") if count > 1 else ()) for name, count in counts.items() if count]


def ask_health(name: str) -> tuple[int, str]:
    """Return the status of `GET /api/health` of this API, asked in its own container, and what is wrong; the status is 0 if there is no answer."""
    try:
        status, _, body = run("exec", "-T", name, "python3", "-c", HEALTH_REQUEST).strip().partition(" ")
    except RolloutFailed:
        return 0, "no answer"
    return int(status), describe_health(body)


def describe_health(body: str) -> str:
    """Return the parts that are not healthy, with the reason if there is one."""
    try:
        parts = json.loads(body)
        wrong = {name: parts[name] for name in ("database", "redis", "storage") if parts[name]["status"] != "healthy"}
        return ", ".join(f"{name} is {part['status']}{': ' + part['reason'] if part.get('reason') else ''}" for name, part in wrong.items())
    except (ValueError, KeyError, TypeError):
        return body


def require_health(name: str) -> None:
    """Raise `RolloutFailed` unless this API says that it can work; one that has only just started is asked again for some seconds."""
    for last in (False,) * (HEALTH_TRIES - 1) + (True,):
        status, wrong = ask_health(name)
        if status == HTTPStatus.OK:
            return
        if not last:
            time.sleep(HEALTH_PAUSE_S)
    raise RolloutFailed(
        f"{name} was replaced, and its /api/health, a 200 before the roll-out, is {status or 'silent'} ({wrong}). Nothing after it was touched. "
        f"Its log says more: docker compose logs --tail 20 {name}"
    )


def roll_out() -> None:
    """Replace everything that has changed. Raises `RolloutFailed`."""
    running = count_running()
    if not running["api"]:
        raise RolloutFailed("No API runs here: start everything with 'docker compose up -d'.")
    if not set(running) >= PROXIED:
        say("there is no second API behind a proxy ('docker compose --profile proxy up -d'): requests fail while the only one is replaced")
    steps = plan(running)
    run("build", *(name for name, _ in steps), "check-config")
    say("checking the settings")
    try:
        run("run", "--rm", "check-config")
    except RolloutFailed:
        raise RolloutFailed("The settings are wrong, and nothing was touched: what is wrong stands above.") from None
    could_work = {name for name in APIS if running[name] and ask_health(name)[0] == HTTPStatus.OK}
    for name, options in steps:
        say(f"replacing {name} if it has changed")
        try:
            run("up", "--detach", "--no-deps", "--wait", "--wait-timeout", str(HEALTHY_WITHIN_S), *options, name)
        except RolloutFailed:
            raise RolloutFailed(
                f"{name} did not become healthy, and nothing after it was touched. Its log says why: docker compose logs --tail 20 {name}"
            ) from None
        if name in could_work:
            require_health(name)
    say("everything runs with the present code and settings")


def say(message: str) -> None:
    """Print one line of progress."""
    print(f"rollout: {message}", flush=True)  # noqa: T201  # a command's report


def main() -> int:
    """Roll out and return the exit code."""
    try:
        roll_out()
    except RolloutFailed as failure:
        say(f"failed: {failure}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
