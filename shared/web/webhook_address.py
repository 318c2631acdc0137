"""Say which addresses a webhook may go to. What a URL says by itself is refused early, to tell the client; the sender decides on the address.

Only globally reachable unicast addresses are allowed (the IANA special-purpose registries, RFC 6890, as `ipaddress.is_global` has them). This also
applies to IPv4 addresses wrapped in IPv6: IPv4-mapped, 6to4 (RFC 3056), Teredo (RFC 4380) and NAT64 (RFC 6052).
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from shared.settings import Settings

IpAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_URL_CHARACTERS = 500
WEBHOOK_URL: dict[str, Any] = {
    "anyOf": [{"type": "string", "format": "uri", "maxLength": MAX_URL_CHARACTERS}, {"type": "string", "pattern": r"^\s*$", "description": "The same as null"}]
}
"""The JSON Schema of a webhook URL in a JSON body."""
_SPECIAL = [ipaddress.ip_network(text) for text in ("192.0.0.0/24", "192.88.99.0/24", "fec0::/10", "3fff::/20", "5f00::/16", "100:0:0:1::/64")]
"""Special-purpose networks that `is_global` considers public in some Python versions."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_MAX_PORT = 65535
_PRIVATE_DOMAINS = frozenset({"localhost", "local", "internal", "home.arpa"})
"""Domains that never lead to a public address: RFC 6761, RFC 6762, ICANN's resolution 2024.07.29.06, RFC 8375."""


class WebhookAddressRefused(Exception):  # a result for the client, so not named an error
    """The URL may not be called; the message says why."""


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """A webhook URL, split into its parts."""

    url: str
    scheme: str
    host: str
    """In ASCII (IDNA); an IPv6 address is without its brackets."""
    port: int


def parse_webhook_url(url: str) -> WebhookTarget:
    """Split `url` into its parts. Raises `WebhookAddressRefused` unless it is a plain http or https URL of at most 500 characters."""
    if len(url) > MAX_URL_CHARACTERS:
        raise WebhookAddressRefused(f"The URL has {len(url)} characters; at most {MAX_URL_CHARACTERS} are allowed.")
    if any(character.isspace() or not character.isprintable() for character in url):
        raise WebhookAddressRefused("The URL must not contain spaces or control characters.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise WebhookAddressRefused(f"This is not a valid URL: {error}.") from error
    if parts.scheme not in {"http", "https"}:
        raise WebhookAddressRefused("The URL must begin with http:// or https://.")
    if not host or "\\" in parts.netloc:
        raise WebhookAddressRefused("The URL has no host.")
    if parts.username is not None or parts.password is not None:
        raise WebhookAddressRefused("The URL must not contain a user name or password.")
    if port is not None and not 0 < port <= _MAX_PORT:
        raise WebhookAddressRefused("The URL's port must be between 1 and 65535.")
    try:
        host = host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise WebhookAddressRefused("The URL's host is not a valid name.") from error
    return WebhookTarget(url=url, scheme=parts.scheme, host=host, port=port or (443 if parts.scheme == "https" else 80))


def is_public(address: IpAddress) -> bool:
    """Whether `address`, or the IPv4 address that it wraps, is globally reachable unicast."""
    if any(address in network for network in _SPECIAL if network.version == address.version):
        return False
    if isinstance(address, ipaddress.IPv6Address):
        wrapped = _unwrap(address)
        if wrapped is not None:
            return is_public(wrapped)
        if address in _NAT64:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _unwrap(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def is_allowed(host: str, allowed_hosts: Sequence[str]) -> bool:
    """Whether `host` is in the list, or below a host that is in it as `*.…`; an empty list allows every host."""
    name = host.lower().rstrip(".")
    return not allowed_hosts or any(name == allowed or (allowed.startswith("*.") and name.endswith(allowed[1:])) for allowed in allowed_hosts)


def require_allowed(target: WebhookTarget, *, allowed_hosts: Sequence[str]) -> None:
    """Raise `WebhookAddressRefused` if there is a list of hosts and the target's host is not in it."""
    if not is_allowed(target.host, allowed_hosts):
        raise WebhookAddressRefused(f"{target.host} is not among the hosts that webhooks may go to here.")


def read_address(host: str) -> IpAddress | None:
    """Return `host` as an address, also in the other forms that the system accepts (`2130706433`, `0x7f.1`, `017700000001`); None for a name."""
    with suppress(ValueError):
        return ipaddress.ip_address(host.partition("%")[0])
    with suppress(OSError):
        return ipaddress.IPv4Address(socket.inet_aton(host))
    return None


def is_private_name(host: str) -> bool:
    """Whether a name, by itself, belongs to a private network: it has no dot, or is in one of the domains reserved for that."""
    name = host.lower().rstrip(".")
    return "." not in name or any(f".{name}".endswith(f".{domain}") for domain in _PRIVATE_DOMAINS)


def require_public(target: WebhookTarget) -> None:
    """Raise `WebhookAddressRefused` if what is written in the URL is no public address, or a name of a private network; needs no look-up."""
    written = read_address(target.host)
    if is_private_name(target.host) if written is None else not is_public(written):
        raise WebhookAddressRefused(f"{target.host} is not a public address; webhooks are sent to public addresses only.")


def require_acceptable(url: str, *, settings: Settings) -> None:
    """Raise `WebhookAddressRefused` for a URL that no webhook of this service may go to, whatever its host's name leads to.

    The name is not looked up: a refusal would tell which names of this network exist. The check that counts is the one at sending.
    """
    target = parse_webhook_url(url)
    require_allowed(target, allowed_hosts=settings.webhook_hosts)
    if not settings.webhook_allow_private_addresses:
        require_public(target)
