"""The settings that hold a secret: how each is written, and what is wrong with one that is written otherwise, told without quoting it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, urlsplit

MIN_SECRET_BYTES = 16
MIN_API_KEY_CHARACTERS = 16
ADMIN_ROLE = "admin"
WEBHOOK_SECRET_PREFIX = "whsec_"  # noqa: S105  # of every secret

DATABASE_TLS_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
DATABASE_TLS_CHOICES = {"sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")}
REDIS_TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
REDIS_TLS_CHOICES = {"ssl_cert_reqs": ("required", "optional", "none")}
"""Parameters of the two URLs that say how TLS is spoken, and their values."""

_SEPARATORS = re.compile(r"[,\n]")


def split_list(value: str | None) -> list[str]:
    """Split a list that is separated by spaces or commas."""
    return (value or "").replace(",", " ").split()


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of `API_KEYS` and its owner. The role is the key's own: an owner may have an admin key beside others."""

    name: str
    secret: bytes
    is_admin: bool
    is_named: bool = True
    """Whether the name was written; else it is made of the key's hash."""


def parse_api_keys(text: str | None) -> Sequence[ApiKey]:
    """Parse `API_KEYS`: `key`, `name:key` or `name:key:admin`, separated by commas or line breaks; None is no key at all.

    A name may have several keys. A single key may be without a name, and is then named after its hash, to which its jobs belong (see `name_of_key`).
    Raises `ValueError`, which names no secret: for a list without a key, an entry in any other form, a short key, a key that appears twice, and a key
    without a name beside others.
    """
    if text is None:
        return []
    keys = [_parse_key(entry, position) for position, entry in enumerate(_SEPARATORS.split(text), start=1) if entry.strip()]
    if not keys:
        raise ValueError("there is no key in it; remove the setting to let everybody in, or write at least one key")
    if len({key.secret for key in keys}) != len(keys):
        raise ValueError("a key appears twice")
    unnamed = [key.name for key in keys if not key.is_named]
    if unnamed and len(keys) > 1:
        raise ValueError(
            "each of several keys needs a name (name:key), because jobs belong to the name of the key that sent them, and without one to the key itself, "
            f"so they would be lost with it; the jobs of the key without a name belong to {', '.join(unnamed)}: write {unnamed[0]}:key, "
            "and give its successor the same name"
        )
    return keys


def _parse_key(entry: str, position: int) -> ApiKey:
    parts = [part.strip() for part in entry.split(":")]
    if not all(parts) or len(parts) > 3 or parts[2:] not in ([], [ADMIN_ROLE]):  # noqa: PLR2004  # name, key, role
        raise ValueError(f"entry {position} must be key, name:key or name:key:{ADMIN_ROLE}")
    is_named = len(parts) > 1
    secret = parts[1] if is_named else parts[0]
    if len(secret) < MIN_API_KEY_CHARACTERS:
        raise ValueError(f"the key of entry {position} is shorter than {MIN_API_KEY_CHARACTERS} characters; make one with: openssl rand -hex 24")
    if not secret.isascii() or not secret.isprintable() or " " in secret:
        raise ValueError(f"the key of entry {position} has characters that no header can carry; make one with: openssl rand -hex 24")
    name = parts[0][:255] if is_named else name_of_key(secret)
    return ApiKey(name=name, secret=secret.encode(), is_admin=len(parts) == 3, is_named=is_named)  # noqa: PLR2004  # with a role


def name_of_key(key: str) -> str:
    """Return the name to which the jobs of a key without a name belong; it tells nothing of the key, and stays when the key is given it as its name."""
    return f"key-{hashlib.sha256(key.encode()).hexdigest()[:12]}"


@dataclass(frozen=True, slots=True)
class WebhookSecrets:
    """The secrets that webhooks are signed with."""

    of_all: Sequence[str] = ()
    of_names: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def find(self, submitted_by: str | None) -> Sequence[str]:
        """Return the secrets for jobs of one API key's name, the newest first: its own alone if it has any. If empty, webhooks are not signed."""
        return self.of_names.get(submitted_by or "") or self.of_all


def parse_webhook_secrets(text: str | None) -> WebhookSecrets:
    """Parse `WEBHOOK_SECRET`: `whsec_…`, base64 or `name=whsec_…`, separated by spaces, commas or line breaks. Raises `ValueError`, which names no secret."""
    of_all: list[str] = []
    of_names: dict[str, list[str]] = {}
    for position, entry in enumerate(split_list(text), start=1):
        name, is_named, secret = entry.rpartition(f"={WEBHOOK_SECRET_PREFIX}")
        try:
            key = base64.b64decode(secret.removeprefix(WEBHOOK_SECRET_PREFIX), validate=True)
        except binascii.Error as error:
            raise ValueError(
                f"entry {position} must be base64, with or without {WEBHOOK_SECRET_PREFIX} before it, or name={WEBHOOK_SECRET_PREFIX}…; "
                "make one with: openssl rand -base64 32"
            ) from error
        if len(key) < MIN_SECRET_BYTES:
            raise ValueError(f"entry {position} must hold at least {MIN_SECRET_BYTES} bytes; make one with: openssl rand -base64 32")
        if not is_named:
            of_all.append(secret)
        elif name:
            of_names.setdefault(name, []).append(WEBHOOK_SECRET_PREFIX + secret)
        else:
            raise ValueError(f"entry {position} has no name before its =")
    return WebhookSecrets(of_all, of_names)


def parse_database_url(value: str) -> str:
    """Return the URL with the driver that is used. Raises `ValueError`, which does not quote it."""
    scheme, separator, rest = value.partition("://")
    if not separator or scheme not in {"postgresql", "postgres", "postgresql+asyncpg"} or _split(value) is None:
        raise ValueError("must look like postgresql://user:password@host:port/name")
    _require_one_line(value)
    _require_tls(value, DATABASE_TLS_FILES, DATABASE_TLS_CHOICES)
    if "channel_binding" in dict(parse_qsl(urlsplit(value).query, keep_blank_values=True)):
        raise ValueError("channel_binding is unknown to the driver: remove it; sslmode=verify-full makes sure of the server as well")
    return f"postgresql+asyncpg://{rest}"


def parse_redis_url(value: str) -> str:
    """Return the URL. Raises `ValueError`, which does not quote it."""
    url = _split(value)
    if url is None or url.scheme not in {"redis", "rediss"}:
        raise ValueError("must look like redis://host:port/0")
    _require_one_line(value)
    _require_tls(value, REDIS_TLS_FILES, REDIS_TLS_CHOICES)
    return value


def _require_tls(url: str, files: Collection[str], choices: Mapping[str, Collection[str]]) -> None:
    """Raise `ValueError` if a file that the URL's parameters of TLS name is not there, or one of them is none: connecting would say neither which nor why."""
    for name, value in parse_qsl(urlsplit(url).query, keep_blank_values=True):
        if name in choices and value not in choices[name]:
            raise ValueError(f"{name} must be one of {', '.join(choices[name])}")
        if name in files and not (name == "sslrootcert" and value == "system") and not _can_be_read(value):
            raise ValueError(f"{name} names a file that cannot be read: {value}")


def _can_be_read(path: str) -> bool:
    try:
        return Path(path).is_file() and os.access(path, os.R_OK)
    except (OSError, ValueError):
        return False


def _split(url: str) -> SplitResult | None:
    """Return the parts of a URL; None if it has a host or a port that is none."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _require_one_line(value: str, *, what: str = "URL") -> None:
    if any(character.isspace() for character in value):
        raise ValueError(f"must be one {what} without blanks and line breaks")


def _check_api_keys(value: str) -> str:
    parse_api_keys(value)
    return value


def _check_webhook_secrets(value: str) -> str:
    parse_webhook_secrets(value)
    return value


def _check_storage_secret(value: str) -> str:
    _require_one_line(value, what="secret")
    return value


SECRETS: Mapping[str, Callable[[str], str]] = {
    "database_url": parse_database_url,
    "redis_url": parse_redis_url,
    "webhook_secret": _check_webhook_secrets,
    "api_keys": _check_api_keys,
    "aws_secret_access_key": _check_storage_secret,
}
"""The settings that hold a secret, and what checks each. `X_FILE` may name a file that holds `X`; see `shared/current_secrets.py`."""


def name_file_setting(secret: str) -> str:
    """Return the name of the setting that names the file of a secret."""
    return f"{secret}_file"
