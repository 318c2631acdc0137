"""Check the settings as API, worker and dispatcher would at their start, and say what is wrong or what they amount to: `python -m shared.check_config`.

Nothing is started or connected to. Exits 1 with one line for each mistake. With `--environment` names in the environment are looked at as those in `.env` are:
for containers, to which Compose passes `.env` as their environment.
"""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from urllib.parse import urlsplit

from dotenv import dotenv_values

from shared.observing import tracing
from shared.secret_settings import ApiKey, name_file_setting, parse_api_keys, parse_webhook_secrets
from shared.settings import Settings, SettingsInvalid, find_env_file, read_settings

ONLY_FOR_COMPOSE = frozenset(
    {"POSTGRES_PASSWORD", "REDIS_PASSWORD", "PORT", "PROXY_PORT", "PROMETHEUS_PORT", "GRAFANA_PORT", "GRAFANA_PASSWORD", "FORWARDED_ALLOW_IPS", "SECRETS_DIR"}
    | {"STORAGE"}
)
"""What may stand in `.env` beside the settings of the service."""
FOR_TRACING = frozenset(tracing.VARIABLES)
"""OpenTelemetry's variables that Compose passes on."""
_OF_OPENTELEMETRY = re.compile(
    r"OTEL_(?:EXPORTER_OTLP_(?:(?:TRACES|METRICS|LOGS)_)?(?:ENDPOINT|PROTOCOL|HEADERS|TIMEOUT|COMPRESSION|INSECURE|CERTIFICATE|CLIENT_KEY|CLIENT_CERTIFICATE)"
    r"|TRACES_(?:EXPORTER|SAMPLER|SAMPLER_ARG)|PROPAGATORS|LOG_LEVEL|(?:BSP|BLRP|SPAN|EVENT|LINK|ATTRIBUTE|METRICS?|LOGS|PYTHON|EXPERIMENTAL)_\w+)"
)
"""Others that it has, so that none of them is taken for a misspelt one."""
_OTHERS = frozenset({"COMPOSE_PROFILES", "ENV_FILE", "RUN_DIR", "PROMETHEUS_MULTIPROC_DIR"})
_SIMILAR = 0.8
_PASSWORD = re.compile(r"[A-Za-z0-9]+")
_LARGEST_PORT = 65_535
LONGEST_DRAIN_S = 10.0
"""The longest `API_DRAIN_S` that `stop_grace_period` of Compose leaves time for: Docker kills the API's container after that."""


def find_mistakes(*, environment_is_ours: bool, given: Mapping[str, object]) -> list[str]:
    """Return a line for each mistake; `given` comes before what is written."""
    try:
        written = _read_written(environment_is_ours=environment_is_ours)
    except SettingsInvalid as invalid:
        return list(invalid.problems)
    mistakes = _find_unknown(written) + _find_compose_mistakes(written)
    if wrong := tracing.find_mistake(tracing.read_variables()):
        mistakes.append(wrong)
    try:
        settings = read_settings(**given)
        if environment_is_ours and settings.api_drain_s > LONGEST_DRAIN_S:
            mistakes.append(f"API_DRAIN_S: must be at most {LONGEST_DRAIN_S:g}, because Compose kills an API that takes longer to stop")
    except SettingsInvalid as invalid:
        mistakes += invalid.problems
    return mistakes


def describe(settings: Settings) -> list[str]:
    """Return what the settings amount to, without a secret."""
    keys = parse_api_keys(settings.api_keys)
    secrets = parse_webhook_secrets(settings.webhook_secret)
    lines = [
        f"database: {_describe_url(settings.database_url)}{_from_file(settings, 'database_url')}"
        + (", through a pooler in transaction mode" if settings.database_pooler == "transaction" else ""),
        f"Redis: {_describe_url(settings.redis_url)}{_from_file(settings, 'redis_url')}",
        _describe_storage(settings),
        f"API keys: {_describe_keys(keys)}{_from_file(settings, 'api_keys')}",
        f"webhook secrets: {len(secrets.of_all)} for all"
        + "".join(f", {len(own)} for {name}" for name, own in sorted(secrets.of_names.items()))
        + _from_file(settings, "webhook_secret"),
    ]
    names = {key.name for key in keys}
    lines += [f"note: no API key has the name {name}, for which there is a webhook secret" for name in sorted(set(secrets.of_names) - names) if names]
    lines += [f"note: the API key has no name; its jobs belong to {key.name}. To rotate it: {key.name}:new,{key.name}:old" for key in keys if not key.is_named]
    return lines


def _read_written(*, environment_is_ours: bool) -> dict[str, str]:
    """Return what stands in `.env`, or in what stands for it; names in capitals. Raises `SettingsInvalid`."""
    path = find_env_file()
    try:
        written = {} if path is None else {name.upper(): value for name, value in dotenv_values(path).items() if value}
    except (OSError, UnicodeDecodeError) as unreadable:
        raise SettingsInvalid([f"ENV_FILE: {path} cannot be read: {unreadable}"]) from None
    return {**written, **os.environ} if environment_is_ours else written


def _find_unknown(names: Collection[str]) -> list[str]:
    known = {name.upper() for name in Settings.model_fields} | ONLY_FOR_COMPOSE | FOR_TRACING | _OTHERS
    mistakes = []
    for name in sorted(name for name in set(names) - known if not _OF_OPENTELEMETRY.fullmatch(name)):
        similar = get_close_matches(name, sorted(known), n=1, cutoff=_SIMILAR)
        if similar:
            mistakes.append(f"{name}: there is no such setting; is it {similar[0]}?")
    return mistakes


def _find_compose_mistakes(written: Mapping[str, str]) -> list[str]:
    mistakes = [
        f"{name}: must be letters and digits, because it becomes part of a URL"
        for name in ("POSTGRES_PASSWORD", "REDIS_PASSWORD")
        if written.get(name) and not _PASSWORD.fullmatch(written[name])
    ]
    port = written.get("PORT") or "8000"
    if not (port.isascii() and port.isdecimal() and 0 < int(port) <= _LARGEST_PORT):
        mistakes.append(f"PORT: must be a number from 1 to {_LARGEST_PORT}")
    return mistakes


def _describe_url(url: str) -> str:
    parts = urlsplit(url.replace("+asyncpg", "", 1))
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    user = f" as {parts.username}" if parts.username else ""
    return f"{parts.scheme}://{host}{port}{parts.path}{user}, {'with' if parts.password else 'without'} a password"


def _describe_storage(settings: Settings) -> str:
    if settings.bucket is None:
        return f"upload folder: {settings.upload_folder}"
    key = f"key {settings.aws_access_key_id}{_from_file(settings, 'aws_secret_access_key')}" if settings.aws_access_key_id else "what the machine is given"
    return f"S3 store: {settings.storage_url} at {settings.aws_endpoint_url or 'Amazon'}, credentials: {key}"


def _describe_keys(keys: Sequence[ApiKey]) -> str:
    if not keys:
        return "none: everybody who reaches the API is let in"
    counts = Counter(key.name for key in keys)
    admins = Counter(key.name for key in keys if key.is_admin)
    parts = [f"{name} ({count}{f', {admins[name]} of them admin' if admins[name] else ''})" for name, count in sorted(counts.items())]
    return f"{len(keys)}: {', '.join(parts)}"


def _from_file(settings: Settings, secret: str) -> str:
    path = getattr(settings, name_file_setting(secret))
    return "" if path is None else f" (from {path})"


def run(*, environment_is_ours: bool = False, given: Mapping[str, object] | None = None) -> int:
    """Check the configuration and print what was found; return the exit code."""
    given = given or {}
    mistakes = find_mistakes(environment_is_ours=environment_is_ours, given=given)
    if mistakes:
        sys.stderr.write("".join(f"rowgate: {mistake}\n" for mistake in mistakes))
        return 1
    sys.stdout.write("".join(f"{line}\n" for line in ("The configuration is right.", *describe(read_settings(**given)))))
    return 0


if __name__ == "__main__":
    sys.exit(run(environment_is_ours=sys.argv[1:] == ["--environment"]))
