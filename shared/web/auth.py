"""Authenticate requests by API keys, compared in constant time, and decide which jobs a key may see."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from shared.current_secrets import CurrentSecrets
from shared.settings import Settings
from shared.web.problems import NotAuthenticated
from shared.web.request_log import name_key


@dataclass(frozen=True, slots=True)
class Viewer:
    """Whose jobs a request may touch: those of `name`, or everyone's if `sees_all`."""

    name: str | None
    sees_all: bool


ANYONE = Viewer(name=None, sees_all=True)
"""The viewer of every request if no keys are configured."""


_header = APIKeyHeader(name="X-API-Key", auto_error=False, description="Needed if the service is configured with API_KEYS")
_bearer = HTTPBearer(auto_error=False, description="The same key, as a bearer token")


async def find_viewer(
    request: Request,
    header: Annotated[str | None, Security(_header)],
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
) -> Viewer | None:
    """Return the owner of the request's key; None if keys are configured and the request has none of them."""
    secrets: CurrentSecrets = request.app.state.secrets
    keys = secrets.api_keys()
    if not keys:
        return ANYONE
    sent = (header or (bearer.credentials if bearer else "")).encode("utf-8", "surrogatepass")
    found: Viewer | None = None
    for key in keys:
        if hmac.compare_digest(key.secret, sent):
            found = Viewer(name=key.name, sees_all=key.is_admin)
    return found


KnownViewerDep = Annotated[Viewer | None, Depends(find_viewer)]
"""For what everybody may see, and those with a key see more of."""


async def get_viewer(found: KnownViewerDep) -> Viewer:
    """Return the owner of the request's key. Raises `NotAuthenticated` if keys are configured and the request has none of them."""
    if found is None:
        raise NotAuthenticated(headers={"WWW-Authenticate": "Bearer"})
    if found.name is not None:
        name_key(found.name)
    return found


ViewerDep = Annotated[Viewer, Depends(get_viewer)]


async def get_request_settings(request: Request) -> Settings:  # async, because the framework calls other functions in a thread
    """Return the application's settings."""
    settings: Settings = request.app.state.settings
    return settings


SettingsDep = Annotated[Settings, Depends(get_request_settings)]
