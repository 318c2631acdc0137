"""The store that the settings name: a folder (`UPLOAD_DIR`, or `STORAGE_URL=file:///…`), or a bucket (`STORAGE_URL=s3://…`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from shared.current_secrets import current_secrets
from shared.settings import Settings
from shared.storage.base import Storage
from shared.storage.folder import FolderStorage


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A bucket, a prefix in it, and how its store is reached; what is None is taken from the environment, or is the store's default."""

    name: str
    prefix: str
    endpoint: str | None = None
    region: str | None = None
    ca_bundle: Path | None = None
    """Certificates beside those of the system, as PEM."""
    access_key_id: str | None = None
    read_secret: Callable[[], str | None] = lambda: None
    session_token: str | None = None
    encryption: str | None = None
    redirects: bool = False
    """Whether clients are sent to the store for outputs."""

    @property
    def url(self) -> str:
        """The URL without credentials."""
        return f"s3://{self.name}/{self.prefix}".rstrip("/")

    @property
    def allows_http(self) -> bool:
        """Whether the store may be reached without TLS: only if its endpoint says so."""
        return (self.endpoint or "").startswith("http://")

    def list_options(self) -> Mapping[str, str | None]:
        """Return what the client is told beside the bucket."""
        return {
            "endpoint": self.endpoint,
            "region": self.region,
            "access_key_id": self.access_key_id,
            "secret_access_key": self.read_secret(),
            "session_token": self.session_token,
            "server_side_encryption": self.encryption,
        }


def open_storage(settings: Settings) -> Storage:
    """Return the store that the settings name; it is reached when it is first used."""
    if settings.bucket is None:
        return FolderStorage(settings.upload_folder, chunk_size_bytes=settings.upload_chunk_size_bytes, min_free_bytes=settings.min_free_disk_bytes)
    from shared.storage.s3 import S3Storage  # noqa: PLC0415  # 10 MiB that a folder does without

    name, prefix = settings.bucket
    secrets = current_secrets(settings)
    bucket = Bucket(
        name=name,
        prefix=prefix,
        endpoint=settings.aws_endpoint_url.rstrip("/") if settings.aws_endpoint_url is not None else None,
        region=settings.aws_region,
        ca_bundle=settings.aws_ca_bundle,
        access_key_id=settings.aws_access_key_id,
        read_secret=secrets.aws_secret_access_key,
        session_token=settings.aws_session_token,
        encryption=settings.aws_server_side_encryption,
        redirects=settings.s3_redirect_downloads,
    )
    return S3Storage(bucket, spill_dir=settings.spill_dir)
