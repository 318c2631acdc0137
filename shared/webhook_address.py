"""Which addresses a webhook may go to: upload asks early, the sender obeys.

Only globally reachable unicast addresses (the IANA special-purpose registries, RFC 6890, as `ipaddress.is_global` has them), also when they are wrapped
in IPv6: IPv4-mapped, 6to4 (RFC 3056), Teredo (RFC 4380) and NAT64 (RFC 6052).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias
from urllib.parse import urlsplit

IpAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

MOST_URL_CHARACTERS = 500
_SPECIAL = [ipaddress.ip_network(text) for text in ("192.0.0.0/24", "192.88.99.0/24", "fec0::/10", "3fff::/20", "5f00::/16", "100:0:0:1::/64")]
"""Special-purpose networks that `is_global` of some Python versions takes for public."""
_resolvers = ThreadPoolExecutor(max_workers=32, thread_name_prefix="resolver")
"""Threads of their own: a name server that hangs holds up nothing but look-ups."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_MOST_PORT = 65535


class WebhookAddressRefused(Exception):  # read as a sentence where it is raised
    """The URL may not be called; the message says why."""


class HostNotFound(Exception):  # a finding, not a mistake of ours
    """The host does not resolve now; it may later."""


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """A URL, taken apart."""

    url: str
    scheme: str
    host: str
    port: int


def parse_webhook_url(url: str) -> WebhookTarget:
    """The parts of `url`. Raises `WebhookAddressRefused` unless it is a plain http or https URL of at most 500 characters."""
    if len(url) > MOST_URL_CHARACTERS:
        raise WebhookAddressRefused(f"The URL has {len(url)} characters; at most {MOST_URL_CHARACTERS} are allowed.")
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
    if port is not None and not 0 < port <= _MOST_PORT:
        raise WebhookAddressRefused("The URL's port must be between 1 and 65535.")
    try:
        host.encode("idna") if not host.isascii() else host
    except UnicodeError as error:
        raise WebhookAddressRefused("The URL's host is not a valid name.") from error
    return WebhookTarget(url=url, scheme=parts.scheme, host=host, port=port or (443 if parts.scheme == "https" else 80))


def is_public(address: IpAddress) -> bool:
    """Whether `address`, and the IPv4 address it wraps, if any, is globally reachable unicast."""
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


async def resolve(target: WebhookTarget, *, timeout_s: float) -> Sequence[IpAddress]:
    """The addresses of the target's host, in the resolver's order; decimal and octal forms are read as the system reads them.

    Raises `HostNotFound` where there are none within `timeout_s`. An address needs no look-up, and so waits for no other host's.
    """
    written = _read_address(target.host)
    if written is not None:
        return [written]
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout_s):
            look_up = partial(socket.getaddrinfo, target.host, target.port, type=socket.SOCK_STREAM)
            found = await loop.run_in_executor(_resolvers, look_up)
    except (OSError, UnicodeError, TimeoutError) as error:
        raise HostNotFound(f"The host {target.host} cannot be found.") from error
    addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    return list(dict.fromkeys(addresses))


def _read_address(host: str) -> IpAddress | None:
    """`host` where it is an address in the usual form; None for a name, and for forms that only the system reads."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


async def choose_address(target: WebhookTarget, *, allow_private: bool, timeout_s: float) -> IpAddress:
    """The one address to connect to.

    Raises `HostNotFound`, or `WebhookAddressRefused` where any of the host's addresses is not public (unless `allow_private`).
    """
    addresses = await resolve(target, timeout_s=timeout_s)
    if not allow_private and not all(is_public(address) for address in addresses):
        raise WebhookAddressRefused(f"{target.host} is not a public address; webhooks are sent to public addresses only.")
    return addresses[0]
