"""Every setting, read once from the environment (and `.env`), with its unit in its name; an invalid value stops the start."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

MEBIBYTE = 2**20
FORM_FIELDS_ALLOWANCE_BYTES = MEBIBYTE
"""Allowance for what a request holds besides the file: the other form fields and the multipart framing."""
MIN_SECRET_BYTES = 16
MIN_API_KEY_CHARACTERS = 16
ADMIN_ROLE = "admin"
SHIPPED_PASSWORD = "rowgate"  # noqa: S105  # publicly known


_HOST = re.compile(r"(?:\*\.)?[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?|[0-9a-f:.]*:[0-9a-f:.]*:[0-9a-f:.]*", re.IGNORECASE)
"""A host name (IDNA in ASCII), every name below one (`*.`), or an address."""


def split_list(value: str | None) -> list[str]:
    """Split a list that is separated by spaces or commas."""
    return (value or "").replace(",", " ").split()


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of `API_KEYS` and its owner."""

    name: str
    secret: bytes
    is_admin: bool


def parse_api_keys(text: str | None) -> Sequence[ApiKey]:
    """Parse `API_KEYS`: `key`, `name:key` or `name:key:admin`, separated by commas; None is no key at all.

    A key without a name is named after its hash, so that it owns the same jobs wherever it is in the list.
    Raises `ValueError`, which names no secret: for a list without a key, an entry in any other form, a short key, and a key or name that appears twice.
    """
    if text is None:
        return []
    keys: list[ApiKey] = []
    for position, entry in enumerate(text.split(","), start=1):
        if not entry.strip():
            continue
        parts = [part.strip() for part in entry.split(":")]
        if not all(parts) or len(parts) > 3 or parts[2:] not in ([], [ADMIN_ROLE]):  # noqa: PLR2004  # name, key, role
            raise ValueError(f"entry {position} must be key, name:key or name:key:{ADMIN_ROLE}")
        name, secret = (f"key-{hashlib.sha256(parts[0].encode()).hexdigest()[:12]}", parts[0]) if len(parts) == 1 else (parts[0], parts[1])
        if len(secret) < MIN_API_KEY_CHARACTERS:
            raise ValueError(f"the key of entry {position} is shorter than {MIN_API_KEY_CHARACTERS} characters; make one with: openssl rand -hex 24")
        if not secret.isascii() or not secret.isprintable() or " " in secret:
            raise ValueError(f"the key of entry {position} has characters that no header can carry; make one with: openssl rand -hex 24")
        keys.append(ApiKey(name=name[:255], secret=secret.encode(), is_admin=len(parts) == 3))  # noqa: PLR2004  # with a role
    if not keys:
        raise ValueError("there is no key in it; remove the setting to let everybody in, or write at least one key")
    for what, values in (("key", [key.secret for key in keys]), ("name", [key.name for key in keys])):
        if len(set(values)) != len(values):
            raise ValueError(f"a {what} appears twice")
    return keys


class SettingsInvalid(Exception):  # the operator's mistake, not one of the code
    """The settings make no sense; the message is one line that names each that is missing or invalid as it is written in the environment."""


class Settings(BaseSettings):
    """The checked settings. The README's table of settings is made from these fields."""

    model_config = SettingsConfigDict(frozen=True, env_file_encoding="utf-8", extra="ignore", env_ignore_empty=True, hide_input_in_errors=True)

    database_url: str = Field(description="PostgreSQL 15+: `postgresql://user:password@host:port/name`")
    redis_url: str = Field(description="Redis 7+ or Valkey: `redis://host:port/0`; broker and result backend")
    upload_dir: Path = Field(description="Where uploaded files are kept; shared by API, workers and dispatcher")

    max_upload_size_bytes: int = Field(500 * MEBIBYTE, ge=1, description="A larger file is refused with 413")
    upload_chunk_size_bytes: int = Field(8192, ge=512, le=MEBIBYTE, description="Size of the pieces in which a file is written")
    upload_idle_timeout_s: float = Field(
        30.0, gt=0, le=3600, description="A client that sends less than 8 KiB of an upload in this time, or not all of another body, gets a 408"
    )
    max_concurrent_uploads: int = Field(
        128, ge=1, description="Uploads at once in one API process, half of them by one API key or, without keys, address; beyond that 503 with `Retry-After`"
    )
    max_event_streams: int = Field(1000, ge=1, description="Event streams open at once in one API process; beyond that 503 with `Retry-After`")
    page: bool = Field(default=True, description="Serve the page at `/`; `false`: only the API")
    min_free_disk_bytes: int = Field(
        64 * MEBIBYTE, ge=0, description="Disk space that uploads and outputs leave free; below it uploads get a 507, and outputs are FAILED"
    )

    api_processes: int = Field(4, ge=1, le=64, description="Processes of one API, each with its own pool of database connections")
    db_pool_size: int = Field(20, ge=1, description="Database connections an API process keeps open")
    db_max_overflow: int = Field(40, ge=0, description="Temporary connections beyond these")
    db_pool_timeout_s: float = Field(5.0, gt=0, le=9, description="How long a request waits for a connection; then 503")
    db_connect_timeout_s: float = Field(2.0, gt=0, le=9, description="How long making a connection may take")
    db_command_timeout_s: float = Field(8.0, gt=0, le=9, description="How long one statement of the API may take; then 503")
    redis_timeout_s: float = Field(1.0, gt=0, le=5, description="How long Redis may take to connect or answer")

    worker_slots: int = Field(4, ge=1, le=64, description="Jobs that one worker runs at once, each in a process of its own")
    chunk_rows: int = Field(10_000, ge=1, le=1_000_000, description="Rows that are read and checked at a time")
    max_row_bytes: int = Field(16 * MEBIBYTE, ge=1024, description="A longer row is one `row-too-long` error")
    max_stored_errors_per_job: int = Field(1_000_000, ge=0, description="Error records kept for a job; errors beyond that are only counted; 0 = no limit")
    excel_reader: Literal["fast", "openpyxl"] = Field("fast", description="What reads the rows of an XLSX sheet: `fast` or `openpyxl`")
    spill_dir: Path | None = Field(None, description="Where a worker puts data that outgrows memory; default: the system's temporary folder")

    progress_interval_s: float = Field(5.0, gt=0, le=60, description="How often a running job commits its progress and errors")
    job_lease_s: float = Field(30.0, ge=1, le=3600, description="A worker that is silent for this long loses its job")
    job_time_limit_s: float = Field(3600.0, ge=1, le=86_400, description="A job that runs longer is FAILED")
    worker_memory_limit_bytes: int = Field(
        1024 * MEBIBYTE, ge=64 * MEBIBYTE, description="Memory that one of a worker's processes may use; a job that needs more is FAILED"
    )
    max_crashes: int = Field(3, ge=1, le=100, description="A job that crashes its worker this many times is FAILED")
    worker_shutdown_timeout_s: float = Field(
        30.0, ge=0, le=3600, description="After SIGTERM or SIGQUIT a running job ends, or goes back to the queue, within this time"
    )
    job_retention_days: float = Field(0.0, ge=0, description="Ended jobs are removed with their errors and file after this many days; 0 = keep")

    output_retention_days: float = Field(
        7.0, ge=0, description="The content of outputs is removed this many days after it was made, and is made anew when it is asked for; 0 = keep"
    )

    trash_retention_days: float = Field(
        7.0, ge=0, description="Files without a job are moved to the folder `trash` in `UPLOAD_DIR`, and removed there after this many days; 0 = keep"
    )
    fault_pause_s: float = Field(
        30.0,
        ge=0,
        le=3600,
        description="How long a job waits after its machine failed it (full disk, missing file); four times as long after the second time",
    )

    webhook_secret: str | None = Field(None, description="Signing secrets (`whsec_…` or base64), the newest first, separated by spaces or commas")
    webhook_allow_private_addresses: bool = Field(default=False, description="Let webhooks go to loopback and private addresses")
    webhook_allowed_hosts: str | None = Field(
        None, description="Hosts that webhooks may go to, separated by spaces or commas; `*.example.com`: every host below it; none: any"
    )
    webhook_attempts_per_receiver: int = Field(
        100, ge=1, le=1000, description="Webhooks sent to one receiver (host and port) at once by each dispatcher; more wait their turn"
    )

    api_keys: str | None = Field(
        None, description="`key`, `name:key` or `name:key:admin`, separated by commas, each key of at least 16 characters; none: no authentication"
    )

    cors_origins: str | None = Field(None, description="Origins whose pages may call the API from a browser, separated by commas; none: no page may")
    publish_address: str | None = Field(None, description="Where Compose publishes the API; unless on loopback it needs `API_KEYS` and a `POSTGRES_PASSWORD`")
    metrics_port: int = Field(0, ge=0, le=65_535, description="Port on which a worker or dispatcher serves `/metrics`; 0 = off; the API uses its own port")
    metrics_host: str = Field("127.0.0.1", description="Address of the machine on which `METRICS_PORT` is opened")

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least severe level that is logged")
    log_format: Literal["auto", "json", "text"] = Field("auto", description="`auto`: text on a terminal, JSON elsewhere")

    @field_validator("database_url")
    @classmethod
    def _use_asyncpg(cls, value: str) -> str:
        scheme, separator, rest = value.partition("://")
        if not separator or scheme not in {"postgresql", "postgres", "postgresql+asyncpg"}:
            raise ValueError("must look like postgresql://user:password@host:port/name")
        return f"postgresql+asyncpg://{rest}"

    @field_validator("redis_url")
    @classmethod
    def _require_redis(cls, value: str) -> str:
        if urlsplit(value).scheme not in {"redis", "rediss"}:
            raise ValueError("must look like redis://host:port/0")
        return value

    @field_validator("webhook_secret")
    @classmethod
    def _require_base64(cls, value: str | None) -> str | None:
        for secret in split_list(value):
            try:
                key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
            except binascii.Error as error:
                raise ValueError("must be base64, with or without whsec_ before it; make one with: openssl rand -base64 32") from error
            if len(key) < MIN_SECRET_BYTES:
                raise ValueError(f"must hold at least {MIN_SECRET_BYTES} bytes; make one with: openssl rand -base64 32")
        return value

    @field_validator("api_keys")
    @classmethod
    def _require_api_keys(cls, value: str | None) -> str | None:
        parse_api_keys(value)
        return value

    @field_validator("webhook_allowed_hosts")
    @classmethod
    def _require_hosts(cls, value: str | None) -> str | None:
        for host in split_list(value):
            if not _HOST.fullmatch(host):
                raise ValueError(f"{host} must be a host without scheme, port and path, such as hooks.example.com or *.example.com")
        return value

    @model_validator(mode="after")
    def _require_sense(self) -> Self:
        if self.progress_interval_s >= self.job_lease_s:
            raise ValueError("PROGRESS_INTERVAL_S must be less than JOB_LEASE_S")
        if self.upload_chunk_size_bytes > self.max_upload_size_bytes:
            raise ValueError("UPLOAD_CHUNK_SIZE_BYTES must not exceed MAX_UPLOAD_SIZE_BYTES")
        if not self.is_published_on_loopback:
            if not self.api_keys:
                raise ValueError(f"PUBLISH_ADDRESS={self.publish_address} lets others in: set API_KEYS, or publish on 127.0.0.1")
            if urlsplit(self.database_url).password in {None, SHIPPED_PASSWORD}:
                raise ValueError(f"PUBLISH_ADDRESS={self.publish_address} lets others in: choose a POSTGRES_PASSWORD of your own, or publish on 127.0.0.1")
        return self

    @property
    def is_published_on_loopback(self) -> bool:
        """Whether only this machine can reach the API; true if `PUBLISH_ADDRESS` is not set."""
        if self.publish_address in {None, "localhost"}:
            return True
        try:
            return ip_address(str(self.publish_address)).is_loopback
        except ValueError:
            return False

    @property
    def webhook_secrets(self) -> list[str]:
        """The signing secrets, the newest first; if empty, webhooks are not signed."""
        return split_list(self.webhook_secret)

    @property
    def allowed_origins(self) -> list[str]:
        """The origins of `CORS_ORIGINS`."""
        return split_list(self.cors_origins)

    @property
    def webhook_hosts(self) -> list[str]:
        """The hosts that webhooks may go to, in lower case; if empty, any host."""
        return split_list((self.webhook_allowed_hosts or "").lower())

    @property
    def max_request_size_bytes(self) -> int:
        """The largest `Content-Length` that an upload may have."""
        return self.max_upload_size_bytes + FORM_FIELDS_ALLOWANCE_BYTES


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """Return the process's settings. Raises `SystemExit` with the line of `SettingsInvalid`, so that every command ends with it and without a traceback."""
    try:
        return read_settings()
    except SettingsInvalid as invalid:
        raise SystemExit(f"rowgate: {invalid}") from None


def read_settings(**given: object) -> Settings:
    """Read the settings from the environment and from the file `ENV_FILE` (default: `.env`; an empty name: no file); what is `given` comes before both.

    Raises `SettingsInvalid`.
    """
    path = find_env_file()
    try:
        return Settings(_env_file=path, **given)  # type: ignore[arg-type]  # checked by the model
    except ValidationError as invalid:
        raise SettingsInvalid(describe_invalid(invalid)) from None
    except (SettingsError, OSError, UnicodeDecodeError) as unreadable:
        raise SettingsInvalid(f"ENV_FILE: {path} cannot be read: {unreadable}") from None


def find_env_file() -> Path | None:
    """Return the file of settings that `ENV_FILE` names, or else `.env` if there is one. Raises `SettingsInvalid` if it is no file."""
    named = os.environ.get("ENV_FILE", ".env")
    path = Path(named)
    if not named or ("ENV_FILE" not in os.environ and not path.exists()):
        return None
    if not path.is_file():
        raise SettingsInvalid(f"ENV_FILE: {path} is not a file that can be read")
    return path


def describe_invalid(invalid: ValidationError) -> str:
    """Return one line with every problem, each with the name of its setting in the environment."""
    problems = []
    for error in invalid.errors(include_url=False, include_input=False):
        name = "_".join(map(str, error["loc"])).upper()
        message = "is missing" if error["type"] == "missing" else error["msg"].removeprefix("Value error, ")
        problems.append(f"{name} {message}" if error["type"] == "missing" else f"{name}: {message}" if name else message)
    return "; ".join(" ".join(problem.split()) for problem in problems)
