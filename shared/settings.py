"""Every setting, read once from the environment (and `.env`), with its unit in its name; an invalid value stops the start."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from shared.secret_files import read_secret_file
from shared.secret_settings import SECRETS, name_file_setting, split_list
from shared.storage_url import parse_storage_url

MEBIBYTE = 2**20
MAX_COPIED_BYTES = 5 * 2**30
"""The largest object that one request copies (Amazon S3, "CopyObject")."""
FORM_FIELDS_ALLOWANCE_BYTES = MEBIBYTE
"""Allowance for what a request holds besides the file: the other form fields and the multipart framing."""
SHIPPED_PASSWORD = "rowgate"  # noqa: S105  # publicly known

_HOST = re.compile(r"(?:\*\.)?[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?|[0-9a-f:.]*:[0-9a-f:.]*:[0-9a-f:.]*", re.IGNORECASE)
"""A host name (IDNA in ASCII), every name below one (`*.`), or an address."""

_ORIGIN = re.compile(r"\*|null|[a-z][a-z0-9+.-]*://[^/?#@A-Z\s]+")
"""An `Origin` as browsers send it: it is compared as it stands, so that any other spelling would let no page in."""


_ENDPOINT = re.compile(r"https?://[^/?#@\s]+/?")
_IN_FILE = "secret_in_file"
"""Type of a problem with the content of a secret's file."""


class SettingsInvalid(Exception):  # the operator's mistake, not one of the code
    """The settings make no sense; each line of the message names one that is missing or invalid, as it is written in the environment."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Settings(BaseSettings):
    """The checked settings. The README's table of settings is made from these fields."""

    model_config = SettingsConfigDict(frozen=True, env_file_encoding="utf-8", extra="ignore", env_ignore_empty=True, hide_input_in_errors=True)

    database_url_file: Path | None = Field(None, description="A file that holds `DATABASE_URL`; it is read again when it changes")
    database_url: str = Field(repr=False, description="PostgreSQL 15+: `postgresql://user:password@host:port/name`")
    database_pooler: Literal["none", "transaction"] = Field(
        "none", description="`transaction` if `DATABASE_URL` leads to a pooler that gives each transaction another connection (PgBouncer); else `none`"
    )
    redis_url_file: Path | None = Field(None, description="A file that holds `REDIS_URL`; user and password are read again when it changes")
    redis_url: str = Field(repr=False, description="Redis 7+ or Valkey: `redis://host:port/0`; broker and result backend")
    storage_url: str | None = Field(
        None,
        description="`s3://bucket/prefix`: files are kept in a store that speaks S3, and machines share no folder; `file:///…` says the same as `UPLOAD_DIR`",
    )
    upload_dir: Path | None = Field(
        None,
        validate_default=True,
        description="Folder in which files are kept; shared by API, workers and dispatcher; none: `STORAGE_URL`",
    )
    aws_endpoint_url: str | None = Field(None, description="Address of the S3 store, such as `https://store.example.com`; none: Amazon's")
    aws_region: str | None = Field(None, description="Region of the bucket; none: `us-east-1`")
    aws_ca_bundle: Path | None = Field(None, description="A file with certificates (PEM) that may have signed the S3 store's, beside those of the system")
    aws_access_key_id: str | None = Field(None, description="Key to the S3 store; none: what the container or the machine is given")
    aws_secret_access_key_file: Path | None = Field(None, description="A file that holds `AWS_SECRET_ACCESS_KEY`; it is read again when it changes")
    aws_secret_access_key: str | None = Field(None, repr=False, description="Secret of that key")
    aws_session_token: str | None = Field(None, repr=False, description="Token that belongs to a temporary key; a new one needs a restart")
    aws_server_side_encryption: Literal["AES256", "aws:kms", "aws:kms:dsse"] | None = Field(
        None, description="How the S3 store is asked to encrypt what it keeps: `AES256`, `aws:kms` or `aws:kms:dsse`; none: as the bucket says"
    )
    s3_redirect_downloads: bool = Field(
        default=False, description="Send whoever downloads an output to the S3 store, by a URL that is signed for five minutes; `false`: through the API"
    )

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

    api_drain_s: float = Field(
        0.0,
        ge=0,
        le=300,
        description="How long the API goes on answering after SIGTERM, each answer the last on its connection; a proxy needs 3; at most 10 under Compose",
    )
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

    webhook_secret_file: Path | None = Field(None, description="A file that holds `WEBHOOK_SECRET`; it is read again when it changes")
    webhook_secret: str | None = Field(
        None,
        repr=False,
        description="Signing secrets (`whsec_…` or base64), the newest first, separated by spaces or commas; `name=whsec_…`: for jobs of that API key's name",
    )
    webhook_allow_private_addresses: bool = Field(default=False, description="Let webhooks go to loopback and private addresses")
    webhook_allowed_hosts: str | None = Field(
        None, description="Hosts that webhooks may go to, separated by spaces or commas; `*.example.com`: every host below it; none: any"
    )
    webhook_attempts_per_receiver: int = Field(
        100, ge=1, le=1000, description="Webhooks sent to one receiver (host and port) at once by each dispatcher; more wait their turn"
    )

    api_keys_file: Path | None = Field(None, description="A file that holds `API_KEYS`, one on each line if you like; it is read again when it changes")
    api_keys: str | None = Field(
        None,
        repr=False,
        description="`name:key` or `name:key:admin`, separated by commas, each key of at least 16 characters; a name may have several keys, "
        "and a single key needs no name; none: no authentication",
    )

    cors_origins: str | None = Field(None, description="Origins whose pages may call the API from a browser, separated by commas; none: no page may")
    publish_address: str | None = Field(None, description="Where Compose publishes the API; unless on loopback it needs `API_KEYS` and a `POSTGRES_PASSWORD`")
    metrics_open: bool = Field(default=False, description="Show the API's `/metrics` to everybody; `false`: with `API_KEYS` only to keys of admins")
    metrics_port: int = Field(0, ge=0, le=65_535, description="Port on which a worker or dispatcher serves `/metrics`; 0 = off; the API uses its own port")
    metrics_host: str = Field("127.0.0.1", description="Address of the machine on which `METRICS_PORT` is opened")

    alive_file: Path | None = Field(None, description="File that a worker or dispatcher touches every 10 s while it works, for health checks; none: off")

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least severe level that is logged")
    log_reads: bool = Field(default=True, description="Log requests that only read as well; `false`: of these only those that fail or take longer than 1 s")
    log_format: Literal["auto", "json", "text"] = Field("auto", description="`auto`: text on a terminal, JSON elsewhere")

    @model_validator(mode="before")
    @classmethod
    def _look_for_files(cls, data: Any) -> Any:  # noqa: ANN401  # pydantic's interface
        """Have the validator of each secret called that a file holds."""
        if isinstance(data, dict):
            for secret in SECRETS:
                if data.get(name_file_setting(secret)):
                    data.setdefault(secret, None)
        return data

    @field_validator(*SECRETS, mode="before")
    @classmethod
    def _take_secret(cls, value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401  # as above
        """Return a secret, from its file if one is named; each problem is told under the name that was written."""
        secret = str(info.field_name)
        check, path = SECRETS[secret], info.data.get(name_file_setting(secret))
        if path is None:
            return check(value) if isinstance(value, str) else value
        if value is not None:
            raise ValueError(f"{name_file_setting(secret).upper()} is set as well; set only one of them")
        try:
            return check(read_secret_file(path))
        except ValueError as problem:
            raise PydanticCustomError(_IN_FILE, "{reason}", {"reason": str(problem)}) from None

    @field_validator("webhook_allowed_hosts")
    @classmethod
    def _require_hosts(cls, value: str | None) -> str | None:
        for host in split_list(value):
            if not _HOST.fullmatch(host):
                raise ValueError(f"{host} must be a host without scheme, port and path, such as hooks.example.com or *.example.com")
        return value

    @field_validator("cors_origins")
    @classmethod
    def _require_origins(cls, value: str | None) -> str | None:
        for origin in split_list(value):
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"{origin} must be an origin as browsers send it, such as https://app.example.com: with a scheme, in lower case, without a path"
                )
        return value

    @field_validator("storage_url")
    @classmethod
    def _require_storage_url(cls, value: str | None) -> str | None:
        if value is not None:
            parse_storage_url(value)
        return value

    @field_validator("upload_dir")
    @classmethod
    def _require_place(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is None and "storage_url" in info.data and info.data["storage_url"] is None:
            raise PydanticCustomError("missing", "Field required")
        return value

    @field_validator("aws_endpoint_url")
    @classmethod
    def _require_endpoint(cls, value: str | None) -> str | None:
        if value is not None and _ENDPOINT.fullmatch(value) is None:
            raise ValueError("must be the address of a store without a path, such as https://store.example.com")
        return value

    @model_validator(mode="after")
    def _require_sense(self) -> Self:
        problems = self._find_storage_mistakes()
        if self.progress_interval_s >= self.job_lease_s:
            problems.append("PROGRESS_INTERVAL_S must be less than JOB_LEASE_S")
        if self.upload_chunk_size_bytes > self.max_upload_size_bytes:
            problems.append("UPLOAD_CHUNK_SIZE_BYTES must not exceed MAX_UPLOAD_SIZE_BYTES")
        if not self.is_published_on_loopback:
            if not self.api_keys:
                problems.append(f"PUBLISH_ADDRESS={self.publish_address} lets others in: set API_KEYS, or publish on 127.0.0.1")
            if urlsplit(self.database_url).password in {None, SHIPPED_PASSWORD}:
                problems.append(f"PUBLISH_ADDRESS={self.publish_address} lets others in: choose a POSTGRES_PASSWORD of your own, or publish on 127.0.0.1")
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _find_storage_mistakes(self) -> list[str]:
        mistakes = []
        if self.upload_dir is not None and self.storage_url is not None and self.bucket is None and self.upload_dir != self.upload_folder:
            mistakes.append("STORAGE_URL and UPLOAD_DIR name different folders: set only one of them")
        if self.s3_redirect_downloads and self.bucket is None:
            mistakes.append("S3_REDIRECT_DOWNLOADS needs a STORAGE_URL of an S3 store")
        if self.bucket is not None and self.max_upload_size_bytes > MAX_COPIED_BYTES:
            mistakes.append("MAX_UPLOAD_SIZE_BYTES must not exceed 5 GiB with an S3 store: it copies no larger file, as check-again and the trash need it")
        if self.bucket is not None and self.aws_ca_bundle is not None and not self.aws_ca_bundle.is_file():
            mistakes.append(f"AWS_CA_BUNDLE: {self.aws_ca_bundle} is not a file that can be read")
        if self.bucket is not None and (self.aws_access_key_id is None) != (self.aws_secret_access_key is None):
            mistakes.append("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY belong together: set both, or none")
        return mistakes

    @property
    def bucket(self) -> tuple[str, str] | None:
        """The bucket and the prefix in which files are kept; None if they are kept in a folder."""
        place = parse_storage_url(self.storage_url) if self.storage_url is not None else None
        return place if isinstance(place, tuple) else None

    @property
    def upload_folder(self) -> Path:
        """The folder in which files are kept. Raises `LookupError` if they are in a bucket."""
        place = parse_storage_url(self.storage_url) if self.storage_url is not None else self.upload_dir
        if isinstance(place, Path):
            return place
        raise LookupError("files are kept in a bucket")

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
    """Return the process's settings. Raises `SystemExit` with the lines of `SettingsInvalid`, so that every command ends with them and without a traceback."""
    try:
        return read_settings()
    except SettingsInvalid as invalid:
        raise SystemExit("\n".join(f"rowgate: {problem}" for problem in invalid.problems)) from None


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
        raise SettingsInvalid([f"ENV_FILE: {path} cannot be read: {unreadable}"]) from None


def find_env_file() -> Path | None:
    """Return the file of settings that `ENV_FILE` names, or else `.env` if there is one. Raises `SettingsInvalid` if it is no file."""
    named = os.environ.get("ENV_FILE", ".env")
    path = Path(named)
    if not named or ("ENV_FILE" not in os.environ and not path.exists()):
        return None
    if not path.is_file():
        raise SettingsInvalid([f"ENV_FILE: {path} is not a file that can be read"])
    return path


def describe_invalid(invalid: ValidationError) -> list[str]:
    """Return a line for each problem, with the name of its setting as it was written in the environment."""
    problems = []
    for error in invalid.errors(include_url=False, include_input=False):
        name = "_".join(map(str, error["loc"]))
        name = (name_file_setting(name) if error["type"] == _IN_FILE else name).upper()
        for message in error["msg"].removeprefix("Value error, ").splitlines():
            line = f"{name} is missing" if error["type"] == "missing" else f"{name}: {message}" if name else message
            problems.append(" ".join(line.split()))
    return problems
