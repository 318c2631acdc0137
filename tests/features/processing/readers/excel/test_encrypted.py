"""Workbooks encrypted with the password that Excel uses itself are read; those with another one, and hostile ones, are refused with a sentence."""

from __future__ import annotations

import errno
import io
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from hashlib import md5, sha1
from pathlib import Path
from typing import Any

import olefile
import pytest
import xlsxwriter
from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from msoffcrypto.format.ooxml import OOXMLFile
from msoffcrypto.method import rc4, rc4_cryptoapi
from msoffcrypto.method.ecma376_standard import ECMA376Standard

from features.processing.readers.base import ContainedFile, FileUnreadable, ReadLimits
from features.processing.readers.damage import open_guarded
from features.processing.readers.excel.encrypted import decrypt
from features.processing.readers.excel.xls.table import open_xls
from tests.features.processing.readers.excel.biff import BOF, BOUND_SHEET, Records, fill_rows, join_records, ole2, read_records, write_book
from tests.features.processing.readers.excel.workbooks import Reading, read_table
from tests.paths import ROOT

PASSWORD = "VelvetSweatshop"
SALT = bytes(range(16))
VERIFIER = bytes(range(100, 116))
ROWS: list[list[Any]] = [["id", "name"], *([number, f"name {number}"] for number in range(1, 100))]


def read(path: Path, spill_dir: Path | None = None) -> Reading:
    return read_table(open_xls(path, dialect=None, limits=ReadLimits(spill_dir=spill_dir)))


@cache
def plain_package() -> bytes:
    memory = io.BytesIO()
    with xlsxwriter.Workbook(memory) as book:
        sheet = book.add_worksheet()
        for row, cells in enumerate(ROWS):
            sheet.write_row(row, 0, cells)
    return memory.getvalue()


def agile(password: str = PASSWORD, package: bytes | None = None) -> bytes:
    memory = io.BytesIO()
    OOXMLFile(io.BytesIO(package or plain_package())).encrypt(password, memory)
    return memory.getvalue()


def change_agile(change: Callable[[bytes], bytes]) -> bytes:
    """Return an encrypted workbook whose description is changed."""
    with olefile.OleFileIO(io.BytesIO(agile())) as container:
        streams = {name: container.openstream(name).read() for name in ("EncryptionInfo", "EncryptedPackage")}
    # The smallest container has no short streams.
    return ole2({"EncryptedPackage": streams["EncryptedPackage"], "EncryptionInfo": change(streams["EncryptionInfo"]).ljust(4096)})


def standard(password: str = PASSWORD) -> bytes:
    """Encrypt as Excel 2007 does. Source: MS-OFFCRYPTO 2.3.4.5."""
    key = ECMA376Standard.makekey_from_password(password, 0x660E, 0x8004, 0x18, 128, 16, SALT)
    cipher = Cipher(algorithms.AES(key), modes.ECB())

    def encrypt(data: bytes) -> bytes:
        encryptor = cipher.encryptor()
        return encryptor.update(data.ljust(-(-len(data) // 16) * 16, b"\0")) + encryptor.finalize()

    header = struct.pack("<8I", 0x24, 0, 0x660E, 0x8004, 128, 0x18, 0, 0) + "AES\0".encode("utf-16-le")
    verifier = struct.pack("<I", 16) + SALT + encrypt(VERIFIER) + struct.pack("<I", 20) + encrypt(sha1(VERIFIER).digest())
    info = struct.pack("<HHII", 3, 2, 0x24, len(header)) + header + verifier
    package = plain_package()
    return ole2({"EncryptedPackage": struct.pack("<Q", len(package)) + encrypt(package), "EncryptionInfo": info})


def encrypt_records(records: Records, file_pass: bytes, key_of_block: Callable[[int], bytes]) -> bytes:
    """Return the stream of an encrypted workbook. Source: MS-XLS 2.2.10."""
    stream = join_records([records[0], (0x2F, file_pass), *records[1:]])
    encrypted = b"".join(
        Cipher(ARC4(key_of_block(block)), mode=None).encryptor().update(stream[block * 1024 : (block + 1) * 1024]) for block in range(len(stream) // 1024 + 1)
    )
    result = bytearray(encrypted)
    at = 0
    while at < len(stream):
        code, length = struct.unpack_from("<HH", stream, at)
        plain = 4 + (length if code in (BOF, 0x2F, 0xE1) else 4 if code == BOUND_SHEET else 0)
        result[at : at + plain] = stream[at : at + plain]
        at += 4 + length
    return bytes(result)


def verify(key: bytes, digest: bytes) -> bytes:
    return Cipher(ARC4(key), mode=None).encryptor().update(VERIFIER + digest)


def rc4_workbook(path: Path, password: str = PASSWORD) -> bytes:
    records = read_records(write_book(path, fill_rows(ROWS)))
    file_pass = struct.pack("<HHH", 1, 1, 1) + SALT + verify(rc4._makekey(password, SALT, 0), md5(VERIFIER).digest())
    return ole2({"Workbook": encrypt_records(records, file_pass, lambda block: rc4._makekey(password, SALT, block))})


def cryptoapi_workbook(path: Path, password: str = PASSWORD) -> bytes:
    records = read_records(write_book(path, fill_rows(ROWS)))
    header = struct.pack("<8I", 4, 0, 0x6801, 0x8004, 128, 1, 0, 0) + "x\0".encode("utf-16-le")
    checked = verify(rc4_cryptoapi._makekey(password, SALT, 128, 0), sha1(VERIFIER).digest())
    verifier = struct.pack("<I", 16) + SALT + checked[:16] + struct.pack("<I", 20) + checked[16:]
    file_pass = struct.pack("<HHHII", 1, 2, 2, 4, len(header)) + header + verifier
    return ole2({"Workbook": encrypt_records(records, file_pass, lambda block: rc4_cryptoapi._makekey(password, SALT, 128, block))})


def test_worker_imports_nothing_that_decrypts_or_reads_records() -> None:
    """Each of its children would carry it."""
    code = "import features.processing.readers.excel.xls.table, sys; print(sorted({'msoffcrypto', 'olefile', 'xlrd', 'cryptography'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.fixture
def spill_dir(tmp_path: Path) -> Iterator[Path]:
    """A folder for temporary files; none may be left in it."""
    folder = tmp_path / "spill"
    folder.mkdir()
    yield folder
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("encrypt", [agile, standard])
@pytest.mark.parametrize("name", ["a.xlsx", "a.xls"])
def test_package_with_the_default_password_is_given_as_a_file(tmp_path: Path, spill_dir: Path, encrypt: Callable[[], bytes], name: str) -> None:
    (tmp_path / name).write_bytes(encrypt())
    with pytest.raises(ContainedFile) as raised:
        open_guarded(lambda: open_xls(tmp_path / name, dialect=None, limits=ReadLimits(spill_dir=spill_dir)))
    path = raised.value.path
    assert path.parent == spill_dir
    assert path.read_bytes() == plain_package()
    path.unlink()


@pytest.mark.parametrize("encrypt", [rc4_workbook, cryptoapi_workbook])
def test_records_with_the_default_password_are_read(tmp_path: Path, spill_dir: Path, encrypt: Callable[[Path], bytes]) -> None:
    path = tmp_path / "a.xls"
    path.write_bytes(encrypt(path))
    assert read(path, spill_dir).rows == {number + 1: [str(number), f"name {number}"] for number in range(1, 100)}


@pytest.mark.parametrize("encrypt", [agile, standard, rc4_workbook, cryptoapi_workbook])
def test_another_password_is_said(tmp_path: Path, spill_dir: Path, encrypt: Callable[..., bytes]) -> None:
    path = tmp_path / "a.xls"
    path.write_bytes(encrypt("secret") if encrypt in (agile, standard) else encrypt(path, "secret"))
    with pytest.raises(FileUnreadable, match="protected by a password"):
        read(path, spill_dir)


def nested(data: bytes) -> bytes:
    return data.replace(b"<encryption ", b'<!DOCTYPE e [<!ENTITY a "aaaaaaaaaaaaaaaa">]><encryption ')


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda data: data.replace(b'spinCount="100000"', b'spinCount="9999999"'), "more work"),
        (lambda data: data.replace(b'spinCount="100000"', b'spinCount="99999999999"'), "password"),
        (lambda data: data.replace(b'spinCount="100000"', b'spinCount="many"'), "password"),
        (lambda data: data.replace(b'keyBits="256"', b'keyBits="7"'), "damaged"),
        (lambda data: data[:200], "password"),
        (lambda data: b"\x09\0\x09\0" + data[4:], "password"),
        (nested, "damaged"),
        (lambda data: data.ljust(2**15 + 1), "damaged"),
    ],
)
def test_hostile_description_is_refused_quickly(tmp_path: Path, spill_dir: Path, change: Callable[[bytes], bytes], says: str) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(change_agile(change))
    with pytest.raises(FileUnreadable, match=says):
        read(path, spill_dir)


def test_package_that_decrypts_to_no_package_is_damage(tmp_path: Path, spill_dir: Path) -> None:
    path = tmp_path / "a.xlsx"
    data = agile()
    with olefile.OleFileIO(io.BytesIO(data)) as container:
        package = container.openstream("EncryptedPackage").read()
    path.write_bytes(data.replace(package[8:1000], bytes(992)))
    with pytest.raises(FileUnreadable, match="damaged"):
        read(path, spill_dir)


@pytest.mark.parametrize("encrypt", [agile, rc4_workbook])
def test_full_disk_is_the_machines_fault(tmp_path: Path, encrypt: Callable[..., bytes]) -> None:
    path = tmp_path / "a.xls"
    path.write_bytes(encrypt() if encrypt is agile else encrypt(path))
    with path.open("rb") as file, Path("/dev/full").open("wb") as full, pytest.raises(OSError, match="space") as raised:
        decrypt._decrypt(file, full, tmp_path)
    assert raised.value.errno == errno.ENOSPC


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("os.kill(os.getpid(), 9)", ChildProcessError),
        ("raise MemoryError", OSError),
        ("raise OSError(28, 'full')", OSError),
        ("os.kill(os.getpid(), 11)", FileUnreadable),
        ("[None for _ in iter(int, 1)]", FileUnreadable),
    ],
)
def test_nothing_is_left_when_decrypting_ends_early(
    tmp_path: Path, spill_dir: Path, monkeypatch: pytest.MonkeyPatch, code: str, error: type[Exception]
) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(agile())
    (tmp_path / "stand_in.py").write_text(
        f"import os, sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from features.processing.readers.excel.encrypted import child as stand_in_for\nstand_in_for.CPU_S = 1\n"
        f"def decrypt(file, output):\n    output.write(b'half')\n    output.flush()\n    {code}\n"
        "stand_in_for._decrypt = decrypt\nstand_in_for.main(sys.argv[1:])\n"
    )
    monkeypatch.setattr("shared.child_process._ROOT", tmp_path)
    monkeypatch.setattr(decrypt, "_CHILD", "stand_in")
    with path.open("rb") as file, pytest.raises(error):
        decrypt.decrypt_package(file, folder=spill_dir)
