"""Metrics of the upload slice."""

from __future__ import annotations

from shared.observing.metrics import Counter

UPLOADED_BYTES = Counter("rowgate_uploaded_bytes", "Bytes of accepted files")
UPLOADS = Counter("rowgate_uploads", "Accepted files", ["file_type"])
FILES_SWEPT = Counter("rowgate_upload_files_swept", "Files without a job that were moved to the trash, and parts of uploads that were removed")
