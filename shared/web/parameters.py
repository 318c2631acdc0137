"""What endpoints take: query parameters that one does not know, that are given twice where one is meant, or a body are refused; empty ones count as absent."""

from __future__ import annotations

import typing
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote_plus

from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.routing import Match

from shared.texts import MAX_SHOWN_CHARACTERS, escape_control, list_briefly, quote_briefly
from shared.web.body_limit import takes_body
from shared.web.problems import MAX_PARTS, BadRequest, InvalidPart

if TYPE_CHECKING:
    from fastapi._compat import ModelField
    from fastapi.dependencies.models import Dependant
    from starlette.types import Scope

_ATTRIBUTE = "parameter_prefixes"
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


def accept_parameters(*prefixes: str) -> Callable[[Endpoint], Endpoint]:
    """Declare that the decorated endpoint also takes query parameters whose names begin so, empty values included; it reads them itself."""

    def declare(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _ATTRIBUTE, prefixes)
        return endpoint

    return declare


class InputRules:
    """What `routes` take, as they declare it."""

    def __init__(self, routes: Sequence[APIRoute]) -> None:
        self._routes = [_RouteRules(route) for route in routes]

    def find_problem(self, scope: Scope) -> BadRequest | None:
        """Return what is wrong with a request that has parameters, or announces a body; None for any other, and for paths that do not exist."""
        query = scope["query_string"]
        announced = announces_body(scope)
        if not query and not announced:
            return None
        rules = self._find(scope)
        if rules is None:
            return None
        parts = rules.find_wrong_parameters(query)
        if announced and not rules.takes_body:
            parts.append(InvalidPart(field="body", message="This request takes no body; leave it out."))
        if not parts:
            return None
        names = list_briefly(list(dict.fromkeys(part.field or "" for part in parts)))
        return BadRequest(f"Correct these and send the request again: {names}.", errors=parts[:MAX_PARTS])

    def drop_empty(self, scope: Scope) -> bytes:
        """Return the query of a request without the parameters that have no value. They count as absent, unless their names are the client's own."""
        pairs = scope["query_string"].split(b"&")
        kept = [pair for pair in pairs if pair.partition(b"=")[2]]
        if len(kept) < len(pairs) and (rules := self._find(scope)) is not None and rules.prefixes:
            kept = [pair for pair in pairs if pair.partition(b"=")[2] or _read_name(pair).startswith(rules.prefixes)]
        return b"&".join(kept)

    def _find(self, scope: Scope) -> _RouteRules | None:
        return next((rules for rules in self._routes if rules.route.matches(scope)[0] is Match.FULL), None)


class _RouteRules:
    def __init__(self, route: APIRoute) -> None:
        self.route = route
        self.takes_body = takes_body(route)
        self.prefixes: tuple[str, ...] = getattr(route.endpoint, _ATTRIBUTE, ())
        fields = list(_list_query_fields(route.dependant))
        self._names = {field.alias for field in fields}
        self._lists = {field.alias for field in fields if _is_list(field)}

    def find_wrong_parameters(self, query: bytes) -> list[InvalidPart]:
        """Return one entry for each parameter that the endpoint does not know, or that is given too often."""
        names = Counter(_read_name(pair) for pair in query.split(b"&") if pair)
        found = []
        for name, count in names.items():
            shown = quote_briefly(escape_control(name[: MAX_SHOWN_CHARACTERS + 1]))
            if name in self.prefixes:
                found.append(InvalidPart(field=shown, message=f"A name is missing after {name}; write {name}NAME=VALUE."))
            elif name not in self._names and not name.startswith(self.prefixes):
                found.append(describe_unknown(shown, self._names))
            elif count > 1 and name not in self._lists:
                found.append(InvalidPart(field=shown, message="The parameter is given more than once; give it once."))
        return found


def _read_name(pair: bytes) -> str:
    return unquote_plus(pair.partition(b"=")[0].decode("latin-1"))


def describe_unknown(name: str, known: Collection[str]) -> InvalidPart:
    """Say that there is no such query parameter, and which ones there are."""
    names = ", ".join(sorted(known))
    message = f"There is no such parameter; those that there are: {names}." if names else "There is no such parameter; this request takes none."
    return InvalidPart(field=name, message=message)


def announces_body(scope: Scope) -> bool:
    """Whether a request says that it has a body (RFC 9112, section 6.3); that of a GET or HEAD means nothing (RFC 9110, section 9.3.1), and is passed over."""
    if scope["method"] in {"GET", "HEAD"}:
        return False
    headers = Headers(scope=scope)
    return "transfer-encoding" in headers or headers.get("content-length", "0").strip("0 ") != ""


def _list_query_fields(dependant: Dependant) -> Iterator[ModelField]:
    yield from dependant.query_params
    for dependency in dependant.dependencies:
        yield from _list_query_fields(dependency)


def _is_list(field: ModelField) -> bool:
    kinds = (field.field_info.annotation, *typing.get_args(field.field_info.annotation))
    return any(typing.get_origin(kind) in {list, set, tuple} for kind in kinds)
