"""Child process that decrypts a workbook with msoffcrypto, so that a hostile one cannot break the worker, and the worker imports no cryptography.

Run as `python -m features.processing.readers.excel.encrypted.child FD OUTPUT FOLDER`, with the descriptors of the open workbook and of the file for what is
in it, and the folder for temporary files.
The process ends when standard input closes. Its one line on standard output is `{"done": true}`, `{"unreadable": sentence}`, or `{"failed": errno}` if the
machine has no room on its disk or in its memory.
Source: MS-OFFCRYPTO 2.3 (encryption), 2.3.4.10 (agile encryption).
"""

from __future__ import annotations

import errno
import io
import json
import os
import resource
import struct
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

import msoffcrypto
import olefile
from msoffcrypto.format.ooxml import OOXMLFile
from msoffcrypto.format.xls97 import Xls97File
from msoffcrypto.method.rc4 import DocumentRC4
from msoffcrypto.method.rc4_cryptoapi import DocumentRC4CryptoAPI

from features.processing.readers.excel.refusals import DAMAGED, LARGE_ENCRYPTION, PROTECTED, SLOW_ENCRYPTION, UNKNOWN_ENCRYPTION
from shared.child_process import prepare_child

DEFAULT_PASSWORD = "VelvetSweatshop"  # noqa: S105 - it is no secret
"""What Excel encrypts with if no password is needed to open the workbook. Source: MS-OFFCRYPTO 2.4.2.3."""
MAX_BYTES = 200 * 2**20
"""The largest file that is decrypted, since all of it is in memory for that."""
MAX_XOR_BYTES = 16 * 2**20
"""The same for what the oldest versions of Excel encrypt, of which the library makes a list of bytes."""
MEMORY_BYTES = 2**29
CPU_S = 60
MAX_SPINS = 1_000_000
"""How often the password may have to be hashed, which takes up to 2 s; Excel asks for 100,000."""

_CPU_GRACE_S = 5
_MEMORY_TIMES_SIZE = 4
"""The library holds a workbook in memory up to so many times."""
_MAX_DESCRIPTION_BYTES = 2**15
_BLOCK_BYTES = 1024
"""After so many bytes of the stream another key is used."""
_HEAD_BYTES, _PLACE_BYTES = 4, 4
_BOUND_SHEET, _FILE_PASS = 0x85, 0x2F
_PLAIN_RECORDS = frozenset([0x809, _FILE_PASS, 0x194, 0x195, 0xE1, 0x196, 0x138])
"""BOF, FilePass, UsrExcl, FileLock, InterfaceHdr, RRDInfo and RRDHead, which are never encrypted. Source: MS-XLS 2.2.10."""


class _Unreadable(Exception):
    """The workbook cannot be decrypted; the message is for the person who uploaded it."""


def main(arguments: Sequence[str]) -> None:
    """Decrypt one workbook, say so on standard output, and end the process."""
    prepare_child()
    tempfile.tempdir = arguments[2]
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with open(int(arguments[0]), "rb", closefd=False) as file, open(int(arguments[1]), "wb", closefd=False) as output:
        _limit(os.fstat(file.fileno()).st_size)
        try:
            _decrypt(file, output)
            output.flush()
            answer: dict[str, object] = {"done": True}
        except _Unreadable as unreadable:
            answer = {"unreadable": str(unreadable)}
        except MemoryError:
            answer = {"failed": errno.ENOMEM}
        except Exception as error:  # noqa: BLE001 - the library raises any exception that a damaged file causes inside it
            answer = {"failed": error.errno} if isinstance(error, OSError) and _is_fault_of_machine(error) else {"unreadable": DAMAGED}
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
    os._exit(0)


def _end_with_parent() -> None:
    os.read(0, 1)
    os._exit(1)


def _limit(size_bytes: int) -> None:
    memory_bytes = MEMORY_BYTES + _MEMORY_TIMES_SIZE * size_bytes
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + _CPU_GRACE_S))


def _decrypt(file: BinaryIO, output: BinaryIO) -> None:
    _require_size(file, MAX_BYTES)
    with olefile.OleFileIO(file) as container:
        is_package = container.exists("EncryptedPackage")
        if is_package:
            _require_bounds(container)
    try:
        if is_package:
            _decrypt_package(file, output)
        else:
            _decrypt_records(file, output)
    except msoffcrypto.exceptions.InvalidKeyError as error:
        raise _Unreadable(PROTECTED) from error
    except msoffcrypto.exceptions.DecryptionError as error:
        raise _Unreadable(UNKNOWN_ENCRYPTION) from error


def _require_size(file: BinaryIO, most: int) -> None:
    if os.fstat(file.fileno()).st_size > most:
        raise _Unreadable(LARGE_ENCRYPTION)


def _require_bounds(container: olefile.OleFileIO) -> None:
    """Require that what is parsed before a key is known is small, and the streams not larger than the file."""
    file_bytes = container.fp.seek(0, os.SEEK_END)
    if not container.exists("EncryptionInfo") or container.get_size("EncryptedPackage") > file_bytes:
        raise _Unreadable(DAMAGED)
    if container.get_size("EncryptionInfo") > _MAX_DESCRIPTION_BYTES:
        raise _Unreadable(DAMAGED)
    # The description is XML; no real one declares entities, which could be nested.
    if b"<!" in container.openstream("EncryptionInfo").read():
        raise _Unreadable(DAMAGED)


def _decrypt_package(file: BinaryIO, output: BinaryIO) -> None:
    with _refusing_unknown():
        package = OOXMLFile(file)
    if package.type == "agile" and package.info["spinValue"] > MAX_SPINS:
        raise _Unreadable(SLOW_ENCRYPTION)
    package.load_key(password=DEFAULT_PASSWORD, verify_password=True)
    try:
        package.decrypt(output)
    except msoffcrypto.exceptions.InvalidKeyError as error:
        # The password was right, but what it decrypts is no package.
        raise _Unreadable(DAMAGED) from error


def _decrypt_records(file: BinaryIO, output: BinaryIO) -> None:
    """Write the workbook's stream; of a workbook that is encrypted in the oldest way, a container with it."""
    with _refusing_unknown():
        workbook = Xls97File(file)
        workbook.load_key(password=DEFAULT_PASSWORD)
        kind = workbook.type
    if kind == "xor":
        _require_size(file, MAX_XOR_BYTES)
        workbook.decrypt(output)
        return
    # The library makes a list of all bytes of the stream, which takes ten times its memory; its ciphers are used here.
    stream = workbook.data.workbook.getvalue()
    if kind == "rc4":
        plain = DocumentRC4.decrypt(workbook.key, workbook.salt, io.BytesIO(stream), blocksize=_BLOCK_BYTES)
    else:
        plain = DocumentRC4CryptoAPI.decrypt(workbook.key, workbook.salt, workbook.keySize, io.BytesIO(stream), blocksize=_BLOCK_BYTES)
    with plain.getbuffer() as records:
        _restore_plain_parts(records, stream)
        output.write(records)


def _restore_plain_parts(records: memoryview, stream: bytes) -> None:
    """Put back what is not encrypted among the records: their heads, some of them as a whole, and where sheets are."""
    position = 0
    while position + _HEAD_BYTES <= len(stream):
        code, length = struct.unpack_from("<HH", stream, position)
        end = position + _HEAD_BYTES + (length if code in _PLAIN_RECORDS else _PLACE_BYTES if code == _BOUND_SHEET else 0)
        records[position : min(end, len(stream))] = stream[position:end]
        if code == _FILE_PASS:
            # A record of no kind, since nothing is encrypted any more.
            records[position : position + 2] = bytes(2)
        position += _HEAD_BYTES + length


@contextmanager
def _refusing_unknown() -> Iterator[None]:
    """Call encryption unknown whose description cannot be parsed: the library raises any exception then."""
    try:
        yield
    except (MemoryError, msoffcrypto.exceptions.InvalidKeyError):
        raise
    except Exception as error:
        if _is_fault_of_machine(error):
            raise
        raise _Unreadable(UNKNOWN_ENCRYPTION) from error


def _is_fault_of_machine(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno is not None


if __name__ == "__main__":
    main(sys.argv[1:])
