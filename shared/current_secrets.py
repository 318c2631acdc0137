"""The secrets as they stand now: one that comes from a file (`X_FILE`) is read again when the file changes, without a restart of anything.

A file is looked at when its secret is used, at most once in `LOOK_EVERY_S`, and taken up when it has stopped changing, so one that is being written is not
read by halves. A file that cannot be read, or holds what the setting may not be, leaves the secret as it was: that is logged and counted, once for each
content of the file.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import structlog
from pydantic import ValidationError

from shared.observing import metrics
from shared.secret_files import FileState, SecretFileInvalid, look_at, read_secret_file
from shared.secret_settings import SECRETS, ApiKey, WebhookSecrets, name_file_setting, parse_api_keys, parse_webhook_secrets
from shared.settings import Settings, describe_invalid

LOOK_EVERY_S = 1.0
SETTLED_S = 1.0
"""A file that was last written so long ago is no longer being written."""

_NEVER = FileState(device=-1, inode=-1, size_bytes=-1, modified_ns=0)
"""Before the first look."""

log = structlog.get_logger(__name__)


class _Watched:
    """One secret of one process. Several threads may use it: at worst two of them read a changed file."""

    def __init__(self, name: str, settings: Settings) -> None:
        self.value: str | None = getattr(settings, name)
        self.previous: str | None = None
        """What it was before its file last changed."""
        self.accepted: str | None = None
        """What a server last accepted, however often the file has changed since."""
        self._name = name
        self._settings = settings
        self._path: Path | None = getattr(settings, name_file_setting(name))
        # The file may have changed since the settings were read, so it is read once more at the first look.
        self._taken: FileState | None = _NEVER
        self._seen: FileState | None = _NEVER
        self._next_look_s = 0.0
        if self._path is not None:
            for result in ("taken", "refused"):  # Prometheus sees the first increase only if the counter was 0 before
                metrics.SECRET_FILES_READ.labels(name_file_setting(name).upper(), result)

    def list_known(self) -> Sequence[str]:
        """Return the present one, and the one to fall back to while a server has not been told of it."""
        fallback = self.previous if self.accepted in {None, self.value} else self.accepted
        return [value for value in (self.value, fallback) if value is not None]

    def look(self, *, now: bool = False) -> bool:
        """Take the secret up if its file has changed; return whether it has another value than before. `now`: do not wait for the file to settle."""
        if self._path is None or (not now and time.monotonic() < self._next_look_s):
            return False
        self._next_look_s = time.monotonic() + LOOK_EVERY_S
        seen, self._seen = self._seen, look_at(self._path)
        if self._seen == self._taken:
            return False
        if not now and self._seen != seen and not _has_settled(self._seen):
            return False
        self._taken = self._seen
        return self._take(self._path)

    def _take(self, path: Path) -> bool:
        setting = name_file_setting(self._name).upper()
        try:
            value = self._check(read_secret_file(path))
        except (SecretFileInvalid, ValidationError) as problem:
            reason = "; ".join(describe_invalid(problem)) if isinstance(problem, ValidationError) else str(problem)
            metrics.SECRET_FILES_READ.labels(setting, "refused").inc()
            log.error("a changed secret was not taken up; the one before stays in use", setting=setting, reason=reason)  # noqa: TRY400  # says it all
            return False
        if value == self.value:
            return False
        metrics.SECRET_FILES_READ.labels(setting, "taken").inc()
        self.previous, self.value = self.value, value
        log.info("a changed secret was taken up", setting=setting)
        return True

    def _check(self, text: str) -> str:
        """Return the secret as the settings hold it; it has to make sense together with all other settings. Raises `ValidationError`."""
        given = self._settings.model_dump() | {name_file_setting(name): None for name in SECRETS} | {self._name: text}
        value: str = getattr(Settings(_env_file=None, **given), self._name)
        return value


def _has_settled(state: FileState | None) -> bool:
    return state is not None and time.time() - state.modified_at >= SETTLED_S


class CurrentSecrets:
    """The secrets of one process. What has no file stays what it was at the start."""

    def __init__(self, settings: Settings) -> None:
        self._watched = {name: _Watched(name, settings) for name in SECRETS}
        self._parsed_keys: tuple[str | None, Sequence[ApiKey]] = (None, ())
        self._parsed_webhook_secrets: tuple[str | None, WebhookSecrets] = (None, WebhookSecrets())

    def api_keys(self) -> Sequence[ApiKey]:
        """Return the API keys; none: everybody is let in."""
        text = self._look("api_keys")
        if text != self._parsed_keys[0]:
            self._parsed_keys = (text, parse_api_keys(text))
        return self._parsed_keys[1]

    def webhook_secrets(self) -> WebhookSecrets:
        """Return the secrets that webhooks are signed with."""
        text = self._look("webhook_secret")
        if text != self._parsed_webhook_secrets[0]:
            self._parsed_webhook_secrets = (text, parse_webhook_secrets(text))
        return self._parsed_webhook_secrets[1]

    def database_urls(self) -> Sequence[str]:
        """Return the URLs to try one after another while the server refuses their password: the present one, and the one that worked last."""
        watched = self._watched["database_url"]
        watched.look()
        return watched.list_known()

    def note_connected(self, url: str) -> None:
        """Note that the database accepted this URL."""
        self._watched["database_url"].accepted = url

    def redis_url(self) -> str:
        """Return the URL of Redis."""
        return str(self._look("redis_url"))

    def aws_secret_access_key(self) -> str | None:
        """Return the secret of the key to the S3 store; None: the client finds its credentials by itself."""
        return self._look("aws_secret_access_key")

    def look(self) -> None:
        """Take up what has changed, for processes that will be forked from this one: each begins with what its parent knows."""
        for watched in self._watched.values():
            watched.look()

    def refresh(self, name: str) -> bool:
        """Look at the file of a secret now, because a server has refused it; return whether it has changed."""
        return self._watched[name].look(now=True)

    def _look(self, name: str) -> str | None:
        watched = self._watched[name]
        watched.look()
        return watched.value


@lru_cache(maxsize=16)
def current_secrets(settings: Settings) -> CurrentSecrets:
    """Return the secrets of this process that belong to its settings, so that a change is read and logged once."""
    return CurrentSecrets(settings)
