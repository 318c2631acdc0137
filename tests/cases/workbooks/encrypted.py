"""Encrypted workbooks."""

from __future__ import annotations

import io
import random
from typing import Any

from msoffcrypto.format.ooxml import OOXMLFile

from tests.cases.workbook_case import Case, collect
from tests.cases.workbook_packages import one_sheet

ENCRYPTED_CASES: list[Case] = []
EXCELS_OWN = "VelvetSweatshop"
"""The password that Excel tries before it asks for one: workbooks that are only write-protected are encrypted with it."""


def encrypt(content: bytes, password: str) -> bytes:
    file = io.BytesIO()
    OOXMLFile(io.BytesIO(content)).encrypt(password, file)
    return file.getvalue()


def table(count: int) -> bytes:
    """Return a workbook with so many rows of numbers that do not compress well.

    It should have 4 KiB at least: of what is smaller, msoffcrypto 6.1 writes the description of the encryption over its beginning.
    """
    numbers = random.Random(count)
    return one_sheet(["id", "share"], *([index, numbers.random()] for index in range(count)))


add = collect(ENCRYPTED_CASES, "encrypted")
READ: dict[str, Any] = {"errors": [], "fields": {"id": "integer", "share": "number"}}
for count in (80, 300, 2000):
    add(f"with-excels-own-password-{count}-rows", "Excel opens it without asking", encrypt(table(count), EXCELS_OWN), rows=count, **READ)
add("called-xls", "the bytes decide, not the name", encrypt(table(80), EXCELS_OWN), extension="xls", rows=80, **READ)
add("with-a-password-of-its-own", "the sentence says what stands in the way", encrypt(table(80), "open sesame"), status="FAILED", says=["password"])
add("without-a-password", "an empty password is one, too", encrypt(table(80), ""), status="FAILED", says=["password"])


def rename_entry(content: bytes, name: str, new_name: str) -> bytes:
    """Rename a stream or storage of a compound file: its directory entry has the name in 64 bytes, and how long that is in the next two."""
    place = content.index(name.encode("utf-16-le") + b"\0\0")
    entry = new_name.encode("utf-16-le").ljust(64, b"\0") + (2 * len(new_name) + 2).to_bytes(2, "little")
    return content[:place] + entry + content[place + 66 :]


managed = encrypt(table(80), "open sesame")
for old, new in (
    ("StrongEncryptionDataSpace", "DRMEncryptedDataSpace"),
    ("StrongEncryptionTransform", "DRMEncryptedTransform"),
    ("EncryptionInfo", "EncryptionNone"),
):
    managed = rename_entry(managed, old, new)
add("under-rights-management", "no password opens it", managed, status="FAILED", says=["rights management"])
