"""Find multipart uploads that nobody will complete, and abort them; what obstore does not do.

A process that is killed in the middle of an upload leaves parts, which no listing shows and the store charges for. Requests are signed as "Signature Version
4" describes (AWS, "Create a signed AWS API request"). Only fixed credentials can be used here; with those of a machine's role, the bucket needs a lifecycle
rule (`AbortIncompleteMultipartUpload`), which is a good thing to have anyway.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree as ET

import httpx
import structlog

from shared.storage.base import StoreAway, StoreRefuses
from shared.storage.names import OUTPUTS_FOLDER, find_job_id

if TYPE_CHECKING:
    from shared.storage.location import Bucket

TIMEOUT_S = 20.0
PAGE_UPLOADS = 1000
_EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
_told: set[str] = set()

log = structlog.get_logger(__name__)


class UnfinishedUploads:
    """The multipart uploads of one bucket that are neither completed nor aborted."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._region = bucket.region or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
        endpoint = bucket.endpoint or os.environ.get("AWS_ENDPOINT") or f"https://s3.{self._region}.amazonaws.com"
        self._endpoint = endpoint.rstrip("/")

    async def abort_untouched(self, *, untouched_s: float, now: float) -> int:
        """Abort those to which no part was added for so long before `now` by the store's clock; return how many. Raises `StoreAway` or `StoreRefuses`."""
        if self._credentials is None:
            if self._bucket.name not in _told:
                _told.add(self._bucket.name)
                log.warning("unfinished uploads are left to a lifecycle rule of the bucket: only fixed credentials can abort them", bucket=self._bucket.name)
            return 0
        aborted = 0
        async with self._open() as client:
            async for key, upload_id, begun_at in self._list(client):
                if self._is_own(key) and now - await self._find_last_change(client, key, upload_id, begun_at) >= untouched_s:
                    await self._request(client, "DELETE", key, {"uploadId": upload_id})
                    aborted += 1
        return aborted

    def _is_own(self, key: str) -> bool:
        """Whether the service gives files such names: the bucket may be used for other things too."""
        name = key.removeprefix(f"{self._bucket.prefix}/") if self._bucket.prefix else key
        return find_job_id(name) is not None or name.startswith(f"{OUTPUTS_FOLDER}/")

    async def count(self) -> int:
        """Return how many there are."""
        async with self._open() as client:
            return len([key async for key, _upload_id, _begun_at in self._list(client)])

    @property
    def _credentials(self) -> tuple[str, str, str | None] | None:
        key_id = self._bucket.access_key_id
        secret = self._bucket.read_secret()
        if not key_id or not secret:
            return None
        return key_id, secret, self._bucket.session_token

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[httpx.AsyncClient]:
        try:
            verify = True if self._bucket.ca_bundle is None else _trust(self._bucket.ca_bundle)
            async with httpx.AsyncClient(timeout=TIMEOUT_S, verify=verify) as client:
                yield client
        except (httpx.HTTPError, ET.ParseError, ValueError) as error:
            raise StoreAway("the store is not reached, or does not answer in time") from error

    async def _list(self, client: httpx.AsyncClient) -> AsyncIterator[tuple[str, str, float]]:
        """Yield key, id and beginning of each, by ListMultipartUploads."""
        query = {"uploads": "", "max-uploads": str(PAGE_UPLOADS), "prefix": f"{self._bucket.prefix}/" if self._bucket.prefix else ""}
        while True:
            page = await self._read(client, "", query)
            for upload in _find_all(page, "Upload"):
                yield _read_text(upload, "Key"), _read_text(upload, "UploadId"), _parse_time(_read_text(upload, "Initiated"))
            if _read_text(page, "IsTruncated") != "true":
                return
            query |= {"key-marker": _read_text(page, "NextKeyMarker"), "upload-id-marker": _read_text(page, "NextUploadIdMarker")}

    async def _find_last_change(self, client: httpx.AsyncClient, key: str, upload_id: str, begun_at: float) -> float:
        """Return when its last part came, by ListParts; a slow client's upload may be hours old, and be alive."""
        changed_at, query = begun_at, {"uploadId": upload_id}
        while True:
            page = await self._read(client, key, query)
            changed_at = max([changed_at, *(_parse_time(_read_text(part, "LastModified")) for part in _find_all(page, "Part"))])
            if _read_text(page, "IsTruncated") != "true":
                return changed_at
            query |= {"part-number-marker": _read_text(page, "NextPartNumberMarker")}

    async def _read(self, client: httpx.AsyncClient, key: str, query: Mapping[str, str]) -> ET.Element:
        answer = await self._request(client, "GET", key, query)
        return ET.fromstring(answer) if answer else ET.Element("Empty")  # noqa: S314  # the store's own answer

    async def _request(self, client: httpx.AsyncClient, method: str, key: str, query: Mapping[str, str]) -> bytes:
        """Return the answer; nothing if an upload is gone meanwhile. Raises `StoreAway` or `StoreRefuses`."""
        path = f"/{self._bucket.name}/{key}" if key else f"/{self._bucket.name}"
        base = urlsplit(self._endpoint)
        url = f"{self._endpoint}{quote(path)}"
        canonical_query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(query.items()))
        headers = self._sign(method, f"{base.path}{quote(path)}", canonical_query, host=base.netloc)
        response = await client.request(method, f"{url}?{canonical_query}", headers=headers)
        if response.status_code == httpx.codes.NOT_FOUND:
            if not key:
                raise StoreRefuses("there is no such bucket")
            return b""
        if response.status_code == httpx.codes.FORBIDDEN:
            raise StoreRefuses("the store refuses these credentials, or what is done with them")
        if response.is_error:
            raise StoreAway(f"the store answers with an error ({response.status_code})")
        return response.content

    def _sign(self, method: str, path: str, query: str, *, host: str) -> dict[str, str]:
        assert self._credentials is not None
        key_id, secret, token = self._credentials
        now = datetime.now(UTC)
        stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
        headers = {"host": host, "x-amz-content-sha256": _EMPTY_SHA256, "x-amz-date": stamp}
        if token:
            headers["x-amz-security-token"] = token
        names = ";".join(sorted(headers))
        request = "\n".join([method, path, query, *(f"{name}:{headers[name]}" for name in sorted(headers)), "", names, _EMPTY_SHA256])
        scope = f"{day}/{self._region}/s3/aws4_request"
        to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(request.encode()).hexdigest()])
        key = f"AWS4{secret}".encode()
        for part in (*scope.split("/"), to_sign):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={key_id}/{scope}, SignedHeaders={names}, Signature={key.hex()}"
        return headers


def _trust(ca_bundle: Path) -> ssl.SSLContext:
    """Return what trusts these certificates beside those of the system."""
    context = ssl.create_default_context()
    context.load_verify_locations(ca_bundle)
    return context


def _find_all(element: ET.Element, name: str) -> list[ET.Element]:
    return [child for child in element if child.tag.rpartition("}")[2] == name]


def _read_text(element: ET.Element, name: str) -> str:
    return next((child.text or "" for child in _find_all(element, name)), "")


def _parse_time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
