"""Look up the addresses of a webhook's host, and choose those that may be connected to."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Sequence

import aiodns

from shared.web.webhook_address import IpAddress, WebhookTarget, is_public, read_address, require_public

_TRY_TIMEOUT_S, _TRIES = 0.6, 2
"""One query or its answer may be lost: c-ares doubles the time for the second try. The caller's own `timeout_s` still applies."""
name_servers: Sequence[str] = ()
"""The name servers to ask, as `address:port`; if empty, those of the system."""


class HostNotFound(Exception):  # a result, not a mistake of this service
    """The host has no address that may be called now; it may later. Whether it has others is not told, so that nobody learns which internal names exist."""


async def resolve(target: WebhookTarget, *, timeout_s: float) -> Sequence[IpAddress]:
    """Return the addresses of the target's host, the best to connect to first (RFC 6724).

    A host that is already an address needs no look-up; decimal, octal and short forms are read as the system reads them. Look-ups do not wait for each
    other. Raises `HostNotFound` if no address is found within `timeout_s`.
    """
    written = read_address(target.host)
    if written is not None:
        return [written]
    try:
        async with asyncio.timeout(timeout_s):
            found = await _get_resolver().getaddrinfo(target.host, type=socket.SOCK_STREAM)
    except (aiodns.error.DNSError, UnicodeError, TimeoutError) as error:
        raise HostNotFound(_not_found(target)) from error
    addresses = [ipaddress.ip_address(node.addr[0].decode("ascii").partition("%")[0]) for node in found.nodes]
    return list(dict.fromkeys(addresses))


class _Own(threading.local):
    """The resolver of a thread's event loop: a few sockets shared by all look-ups, with a cache that keeps answers for their time to live."""

    resolver: aiodns.DNSResolver | None = None


_own = _Own()


def _get_resolver() -> aiodns.DNSResolver:
    """Return a c-ares resolver: it reads /etc/hosts and /etc/resolv.conf (which names Docker's name server), and a hanging look-up holds no thread."""
    loop = asyncio.get_running_loop()
    if _own.resolver is None or _own.resolver.loop is not loop:
        _own.resolver = aiodns.DNSResolver(nameservers=list(name_servers) or None, loop=loop, timeout=_TRY_TIMEOUT_S, tries=_TRIES)
    return _own.resolver


async def choose_addresses(target: WebhookTarget, *, allow_private: bool, timeout_s: float) -> Sequence[IpAddress]:
    """Return the only addresses that may be connected to, the best first.

    Unless `allow_private`, raises `WebhookAddressRefused` as `require_public` does, and `HostNotFound` if any of the name's addresses is not public, just
    as if the name had none.
    """
    if not allow_private:
        require_public(target)
    addresses = await resolve(target, timeout_s=timeout_s)
    if not addresses or not (allow_private or all(is_public(address) for address in addresses)):
        raise HostNotFound(_not_found(target))
    return addresses


def _not_found(target: WebhookTarget) -> str:
    return f"No public address is known for the host {target.host}."
