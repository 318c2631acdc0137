"""Authenticate requests by API keys, compared in constant time, and decide which jobs a key may see."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from shared.settings import Settings
from shared.web.problems import NotAuthenticated

ADMIN_ROLE = "admin"
_MAX_PARTS = 3


@dataclass(frozen=True, slots=True)
class Viewer:
    """Whose jobs a request may touch: those of `name`, or everyone's if `sees_all`."""

    name: str | None
    sees_all: bool


ANYONE = Viewer(name=None, sees_all=True)
"""The viewer of every request if no keys are configured."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key and its owner."""

    secret: bytes
    viewer: Viewer


def parse_api_keys(text: str | None) -> Sequence[ApiKey]:
    """Parse `API_KEYS`: `key`, `name:key` or `name:key:admin`, separated by commas.

    A key without a name is named after its hash, so that it owns the same jobs wherever it is in the list.
    Raises `ValueError` for an entry in any other form, and for a key or name that appears twice.
    """
    keys: list[ApiKey] = []
    for position, entry in enumerate((text or "").split(","), start=1):
        if not entry.strip():
            continue
        parts = [part.strip() for part in entry.split(":")]
        if not all(parts) or len(parts) > _MAX_PARTS or (len(parts) == _MAX_PARTS and parts[2] != ADMIN_ROLE):
            raise ValueError(f"API_KEYS: entry {position} must be key, name:key or name:key:{ADMIN_ROLE}")
        name, secret = (f"key-{hashlib.sha256(parts[0].encode()).hexdigest()[:12]}", parts[0]) if len(parts) == 1 else (parts[0], parts[1])
        keys.append(ApiKey(secret=secret.encode(), viewer=Viewer(name=name[:255], sees_all=len(parts) == _MAX_PARTS)))
    for what, values in (("key", [key.secret for key in keys]), ("name", [key.viewer.name for key in keys])):
        if len(set(values)) != len(values):
            raise ValueError(f"API_KEYS: a {what} appears twice")
    return keys


_header = APIKeyHeader(name="X-API-Key", auto_error=False, description="Needed if the service is configured with API_KEYS")
_bearer = HTTPBearer(auto_error=False, description="The same key, as a bearer token")


async def get_viewer(
    request: Request,
    header: Annotated[str | None, Security(_header)],
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
) -> Viewer:
    """Return the owner of the request's key. Raises `NotAuthenticated` if keys are configured and the request has none of them."""
    keys: Sequence[ApiKey] = request.app.state.api_keys
    if not keys:
        return ANYONE
    sent = (header or (bearer.credentials if bearer else "")).encode("utf-8", "surrogatepass")
    found: Viewer | None = None
    for key in keys:
        if hmac.compare_digest(key.secret, sent):
            found = key.viewer
    if found is None:
        raise NotAuthenticated(headers={"WWW-Authenticate": "Bearer"})
    return found


ViewerDep = Annotated[Viewer, Depends(get_viewer)]


async def get_request_settings(request: Request) -> Settings:  # async, because the framework calls other functions in a thread
    """Return the application's settings."""
    settings: Settings = request.app.state.settings
    return settings


SettingsDep = Annotated[Settings, Depends(get_request_settings)]
