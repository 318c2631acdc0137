"""Rights and secrets: each container has those that it needs, and no others."""

from __future__ import annotations

from compose.verify.stack import SERVICES, Stack, require


def prove_containment(stack: Stack) -> None:
    """Check that the application does not run as root, that no container can write to its file system, and that none is published by mistake."""
    for service in ("api", "worker", "dispatcher"):
        require(stack.compose("exec", "-T", service, "id", "-u").strip() == "10001", f"{service} does not run as the user 10001.")
    for service in SERVICES:
        written = stack.compose("exec", "-T", service, "sh", "-c", "touch /etc/x 2>/dev/null && echo written || true")
        require(not written.strip(), f"{service} can write to its own file system.")
    secrets = {"api": ("WEBHOOK_SECRET",), "worker": ("API_KEYS", "WEBHOOK_SECRET"), "dispatcher": ("API_KEYS",)}
    for service, names in secrets.items():
        found = stack.compose("run", "--rm", "--no-deps", "-T", service, "env", API_KEYS=f"ada:{'k' * 32}", WEBHOOK_SECRET="A" * 32)
        require(not any(f"{name}=" in found for name in names), f"{service} is given a secret that it does not use.")
        require(service == "worker" or f"{'API_KEYS' if service == 'api' else 'WEBHOOK_SECRET'}=" in found, f"{service} is not given the secret that it uses.")
    ask = "SELECT rolsuper FROM pg_roles WHERE rolname = 'rowgate'"
    is_superuser = stack.compose("exec", "-T", "db", "psql", "-U", "rowgate", "-d", "rowgate", "-Atc", ask)
    require(is_superuser.strip() == "f", "The application is a superuser of its database.")
    anonymous = stack.compose("exec", "-T", "redis", "redis-cli", "ping", check=False)
    require("NOAUTH" in anonymous, "Redis answers without a password.")
    require('"event": "published"' in stack.compose("logs", "--no-color", "api"), "The API does not say where it is published.")
    ask = "python3 -c 'import shared.settings; shared.settings.get_settings()' 2>&1 || true"
    answer = stack.compose("run", "--rm", "--no-deps", "-T", "api", "sh", "-c", ask, PUBLISH_ADDRESS="0.0.0.0")  # noqa: S104  # this must be refused
    require("set API_KEYS" in answer, "An API without keys can be published everywhere.")
