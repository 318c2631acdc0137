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

from features.processing.readers.excel.refusals import DAMAGED, PROTECTED, SLOW_ENCRYPTION, UNKNOWN_ENCRYPTION
from shared.child_process import prepare_child

DEFAULT_PASSWORD = "VelvetSweatshop"  # noqa: S105 - it is no secret
"""What Excel encrypts with if no password is needed to open the workbook. Source: MS-OFFCRYPTO 2.4.2.3."""
MEMORY_BYTES = 2**30
CPU_S = 60
MAX_SPINS = 1_000_000
"""How often the password may have to be hashed, which takes up to 2 s; Excel asks for 100,000."""

_CPU_GRACE_S = 5
_MEMORY_TIMES_SIZE = 16
"""The library holds a workbook in memory several times, and of an XLS workbook a list of its bytes."""
_MAX_DESCRIPTION_BYTES = 2**15
_ZIP = b"PK"


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
    plain = io.BytesIO()
    try:
        package.decrypt(plain)
    except msoffcrypto.exceptions.InvalidKeyError as error:
        # The password was right, but what it decrypts is no package.
        raise _Unreadable(DAMAGED) from error
    contents = plain.getbuffer()
    if bytes(contents[:2]) != _ZIP:
        raise _Unreadable(DAMAGED)
    output.write(contents)


def _decrypt_records(file: BinaryIO, output: BinaryIO) -> None:
    with _refusing_unknown():
        workbook = Xls97File(file)
        workbook.load_key(password=DEFAULT_PASSWORD)
        # It is only set if the kind of encryption is known.
        assert workbook.type
    workbook.decrypt(output)


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
