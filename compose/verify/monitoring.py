"""The profile `monitoring`: Prometheus finds every process, and has the rules."""

from __future__ import annotations

import time
from typing import Any

import httpx

from compose.verify.stack import STEP_TIMEOUT_S, Stack, require, say

EXPECTED = {"rowgate-api", "rowgate-worker", "rowgate-dispatcher"}


def start_monitoring(stack: Stack) -> None:
    """Start Prometheus; Grafana's image comes from a registry, which is not always there."""
    stack.compose("--profile", "monitoring", "config", "--quiet")
    stack.compose("up", "--detach", "--no-deps", "prometheus")


def prove_monitoring(stack: Stack) -> None:
    """Check that Prometheus scrapes every service and has loaded the rules; then remove it."""
    say("asking Prometheus")
    deadline = time.monotonic() + STEP_TIMEOUT_S
    with httpx.Client(base_url=f"http://127.0.0.1:{stack.settings['PROMETHEUS_PORT']}", timeout=10.0) as client:
        while (found := list_healthy(client)) != EXPECTED:
            require(time.monotonic() < deadline, f"Prometheus scrapes {sorted(found)} only.")
            time.sleep(0.5)
        groups: list[dict[str, Any]] = client.get("/api/v1/rules").raise_for_status().json()["data"]["groups"]
    require(any(rule["type"] == "alerting" for group in groups for rule in group["rules"]), "Prometheus has no rules.")
    stack.compose("rm", "--force", "--stop", "--volumes", "prometheus")


def list_healthy(client: httpx.Client) -> set[str]:
    """Return the jobs of which Prometheus has scraped something; none while it is not ready."""
    try:
        answer = client.get("/api/v1/targets")
    except httpx.TransportError:
        return set()
    if not answer.is_success:
        return set()
    return {target["labels"]["job"] for target in answer.json()["data"]["activeTargets"] if target["health"] == "up"}
