"""What obstore raises, as what it means here."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from obstore.exceptions import AlreadyExistsError, BaseError, PermissionDeniedError, UnauthenticatedError

from shared.storage.base import StoreAway, StoreRefuses

_STATUS = re.compile(r"non-2xx status code: (\d{3})")
_FULL = ("XMinioStorageFull", "QuotaExceeded")
_FOR_LATER = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}


@contextmanager
def explain() -> Iterator[None]:
    """Raise what obstore raises as an `OSError` that says what it is, without its text, which quotes addresses."""
    try:
        yield
    except AlreadyExistsError as error:
        raise FileExistsError(errno.EEXIST, "there is such a file already") from error
    except FileNotFoundError as error:
        if "NoSuchBucket" in str(error):
            raise StoreRefuses("there is no such bucket") from error
        raise FileNotFoundError(errno.ENOENT, "there is no such file") from error
    except BaseError as error:
        raise _name(error) from error


def _name(error: BaseError) -> OSError:  # noqa: PLR0911  # one for each kind
    text = str(error)
    code = int(found[1]) if (found := _STATUS.search(text)) is not None else None
    if code == HTTPStatus.INSUFFICIENT_STORAGE or any(word in text for word in _FULL):
        return OSError(errno.ENOSPC, "the store has no room left")
    if "RequestTimeTooSkewed" in text:
        return StoreRefuses("the clock of this machine differs from the store's by more than it allows")
    if isinstance(error, PermissionDeniedError | UnauthenticatedError):
        return StoreRefuses("the store refuses these credentials, or what is done with them")
    if code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return NothingThere("the file ends before the bytes that were asked for")
    if code is None:
        return StoreAway("the store is not reached, or does not answer in time")
    if HTTPStatus.BAD_REQUEST <= code < HTTPStatus.INTERNAL_SERVER_ERROR and code not in _FOR_LATER:
        return StoreRefuses(f"the store refuses the request ({code})")
    return StoreAway(f"the store answers with an error ({code})")


class NothingThere(StoreAway):
    """The file ends before the range that was asked for."""
