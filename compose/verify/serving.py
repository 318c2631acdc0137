"""What is served: health, the page and all that it loads, and the metrics of every part."""

from __future__ import annotations

import re

import httpx

from compose.verify.stack import Stack, require


def prove_serving(stack: Stack, client: httpx.Client) -> None:
    """Check that the service calls itself healthy, and serves its page and its metrics."""
    require(client.get("/api/health").json()["status"] == "healthy", "The service does not call itself healthy.")
    require_page(client)
    require_metrics(stack, client)


def require_page(client: httpx.Client) -> None:
    """Raise `Unproven` unless the page and all that it loads are served."""
    page = client.get("/")
    found = re.findall(r'(?:href|src)="(/app/[^"]+)"', page.text)
    require(page.is_success and found, f"The page is not served: {page.status_code}.")
    for path in found:
        require(client.get(path).is_success, f"The page's {path} is not served.")


def require_metrics(stack: Stack, client: httpx.Client) -> None:
    """Raise `Unproven` unless every part serves metrics."""
    require("rowgate_uploads_total" in client.get("/metrics").text, "The API shows no metrics.")
    for service, name in (("worker", "rowgate_rows_processed_total"), ("dispatcher", "rowgate_webhook_attempts_total")):
        fetch = f"import urllib.request as r; print(r.urlopen('http://{service}:9100/metrics', timeout=5).read().decode())"
        require(name in stack.compose("exec", "-T", "api", "python3", "-c", fetch), f"The {service} shows no {name}.")
