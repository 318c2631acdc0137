"""GET / and below /app/: the page. It holds no data of anybody, so it needs no key; what it shows it asks of the API."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Depends, HTTPException, Request, Response

from features.page.files import FILES_PATH, load_files
from shared.web.auth import SettingsDep
from shared.web.parameters import accept_parameters

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
_PAGE_HEADERS = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache", "Cross-Origin-Opener-Policy": "same-origin"}
_FILE_HEADERS = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding", "Cross-Origin-Resource-Policy": "same-origin"}


async def require_page(settings: SettingsDep) -> None:
    """Raise 404 if the page is turned off."""
    if not settings.page:
        raise HTTPException(HTTPStatus.NOT_FOUND)


router = APIRouter(tags=["page"], include_in_schema=False, dependencies=[Depends(require_page)])
READ = ["GET", "HEAD"]


@router.api_route(FILES_PATH + "/{path:path}", methods=READ)
async def send_file(path: str, request: Request) -> Response:
    """A script, a style or the icon. Its path begins with the version of all files, so what is at a path never changes."""
    files = load_files()
    version, _, name = path.partition("/")
    file = files.by_name.get(name)
    if file is None or version != files.version:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(file.compressed, media_type=file.media_type, headers={**_FILE_HEADERS, "Content-Encoding": "gzip"})
    return Response(file.content, media_type=file.media_type, headers=_FILE_HEADERS)


@router.api_route("/", methods=READ)
@router.api_route("/app", methods=READ)
@router.api_route("/app/{path:path}", methods=READ)
@accept_parameters("")
async def send_page() -> Response:
    """The page, whatever the path and its parameters: its script reads them."""
    return Response(load_files().shell, media_type="text/html; charset=utf-8", headers=_PAGE_HEADERS)
