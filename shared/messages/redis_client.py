"""The asyncio Redis client, used for the service's own keys and to put messages into queues without kombu."""

from __future__ import annotations

import ssl
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from redis import CredentialProvider
from redis.asyncio import Redis

from shared.current_secrets import CurrentSecrets, current_secrets
from shared.settings import Settings


class CurrentCredentials(CredentialProvider):
    """User and password of `REDIS_URL` as they stand now; each new connection asks for them."""

    def __init__(self, secrets: CurrentSecrets) -> None:
        self._secrets = secrets

    def get_credentials(self) -> tuple[()] | tuple[str] | tuple[str, str]:  # type: ignore[override]  # redis-py sends no AUTH if there are none
        """Return the password, or user and password; nothing if there is none."""
        url = urlsplit(self._secrets.redis_url())
        user, password = unquote(url.username or ""), unquote(url.password or "")
        if user:
            return (user, password)
        return (password,) if password else ()

    async def get_credentials_async(self) -> tuple[()] | tuple[str] | tuple[str, str]:  # type: ignore[override]  # as above
        """Return the same to clients on an event loop; reading the file takes no time worth mentioning."""
        return self.get_credentials()

    def __deepcopy__(self, _memo: object) -> CurrentCredentials:
        """Celery and kombu copy their settings; all copies share what is known of the file."""
        return self


def redis_place(settings: Settings) -> dict[str, Any]:
    """Return the arguments `url` and `credential_provider` of a Redis client, whose password may change while it runs; the rest of the URL may not."""
    if settings.redis_url_file is None:
        return {"url": settings.redis_url}
    return {"url": without_credentials(settings.redis_url), "credential_provider": CurrentCredentials(current_secrets(settings))}


_TLS = "ssl_"
_CERTIFICATES = {"required": ssl.CERT_REQUIRED, "optional": ssl.CERT_OPTIONAL, "none": ssl.CERT_NONE}
_FALSE = {"0", "f", "false", "n", "no"}
"""As redis-py reads it."""


def split_tls(url: str) -> tuple[str, dict[str, Any] | None]:
    """Return a URL without what it says of TLS, and that as Celery takes it, which reads some of it otherwise than redis-py; None without TLS.

    A certificate is required unless the URL says otherwise: kombu by itself would trust any.
    """
    parts = urlsplit(url)
    if parts.scheme != "rediss":
        return url, None
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    options: dict[str, Any] = {"ssl_cert_reqs": "required", **{name: value for name, value in pairs if name.startswith(_TLS)}}
    options["ssl_cert_reqs"] = _CERTIFICATES[options["ssl_cert_reqs"]]
    if "ssl_check_hostname" in options:
        options["ssl_check_hostname"] = options["ssl_check_hostname"].lower() not in _FALSE
    return parts._replace(query=urlencode([pair for pair in pairs if not pair[0].startswith(_TLS)])).geturl(), options


def without_credentials(url: str) -> str:
    """Return a URL without user and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def explain(error: BaseException) -> str:
    """Describe a Redis error for the log: redis-py's `repr` names a category but no reason."""
    return f"{type(error).__name__}: {error}"


def open_redis(settings: Settings) -> Redis:
    """Return a client whose every step is limited to `REDIS_TIMEOUT_S`; it connects on first use."""
    client: Redis = Redis.from_url(
        **redis_place(settings),
        socket_timeout=settings.redis_timeout_s,
        socket_connect_timeout=settings.redis_timeout_s,
        socket_keepalive=True,
        health_check_interval=10,
        decode_responses=True,
    )
    return client
