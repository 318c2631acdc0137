"""Rolling out costs no request: clients go on through the proxy while a change of `.env`, and then new images, replace every container."""

from __future__ import annotations

import itertools
import subprocess
import sys
from contextlib import suppress
from ipaddress import ip_address, ip_network

import httpx

from compose.local import ROOT
from compose.verify.jobs import make_csv, send
from compose.verify.load import clients_running
from compose.verify.stack import SERVICES, Stack, require, say

CHANGED = ("api", "api-2", "worker", "dispatcher")
TOO_LARGE_BYTES = 550_000_000
PROXIED = {*SERVICES, "api-2", "proxy"}


def prove_rolling(stack: Stack) -> None:
    """Check that no request fails while `up` replaces everything at once, and while `make rollout` replaces one service after the other."""
    say("starting a second API and the proxy")
    stack.settings["COMPOSE_PROFILES"] = "proxy"
    stack.up(services=PROXIED)
    url = f"http://127.0.0.1:{stack.proxy_port}"
    with httpx.Client(base_url=url, timeout=30.0) as client:
        job_id = send(client, "table.csv", make_csv(20))
    require_trust(stack)
    require_refusals(url)
    before = list_containers(stack)
    with clients_running(url, job_id, "docker compose up"):
        stack.settings["LOG_LEVEL"] = "WARNING"
        stack.compose("up", "--detach")
        stack.up(services=PROXIED)
    middle = list_containers(stack)
    require_replaced(before, middle)
    with clients_running(url, job_id, "make rollout"):
        stack.settings["LOG_LEVEL"] = "INFO"
        result = subprocess.run([sys.executable, "-m", "compose.rollout"], check=False, cwd=ROOT, env=stack.environment)  # our own command
        require(result.returncode == 0, "'make rollout' failed.")
    require_replaced(middle, list_containers(stack))


def list_containers(stack: Stack) -> dict[str, str]:
    """Return the container of each service."""
    return {name: stack.compose("ps", "--quiet", name).strip() for name in PROXIED}


def require_replaced(before: dict[str, str], after: dict[str, str]) -> None:
    """Raise `Unproven` unless just those containers were replaced that use the setting that was changed."""
    replaced = {name for name in before if before[name] != after[name]}
    require(replaced == set(CHANGED), f"The change of a setting replaced {', '.join(sorted(replaced))}.")


def require_refusals(url: str) -> None:
    """Raise `Unproven` unless a client that sends far too much, and reads only afterwards, learns that it was too much."""
    sizes = {"Content-Type": "multipart/form-data; boundary=x", "Content-Length": str(TOO_LARGE_BYTES)}
    for _ in range(8):
        content = itertools.repeat(bytes(TOO_LARGE_BYTES // 550), 550)
        with suppress(httpx.WriteError):  # the answer was given, and the connection closed
            answer = httpx.post(f"{url}/api/files/upload", content=content, headers=sizes, timeout=20.0)
            require(answer.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE, f"An upload that is too large answered {answer.status_code}.")


def require_trust(stack: Stack) -> None:
    """Raise `Unproven` unless the API believes the proxy, and nobody who comes through a published port, who the client is."""
    trusted = [ip_network(text) for text in stack.compose("exec", "-T", "api", "python3", "-m", "shared.web.inside").strip().split(",")]
    for name, is_trusted in (("proxy", True), ("receiver", False)):
        [address] = {line.split()[0] for line in stack.compose("exec", "-T", "api", "getent", "ahostsv4", name).splitlines()}
        require(
            any(ip_address(address) in network for network in trusted) is is_trusted,
            f"{name} is {'not ' if is_trusted else ''}trusted with addresses of clients.",
        )
