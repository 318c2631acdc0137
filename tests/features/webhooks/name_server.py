"""A DNS server for tests on loopback: names that no other server knows, answers that change, and no answer at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from features.webhooks import look_up

Addresses = Sequence[str] | None
"""IPv4 addresses; empty if the name does not exist, None for no answer."""


@dataclass
class NameServer(asyncio.DatagramProtocol):
    """A DNS server; `answer(name, n)` returns the addresses of `name` for its n-th query, counted from 1."""

    answer: Callable[[str, int], Addresses]
    asked: list[str] = field(default_factory=list)
    """Names whose IPv4 addresses were queried."""
    transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, sender: tuple[str | int, int]) -> None:
        query = dns.message.from_wire(data)
        [question] = query.question
        name = question.name.to_text(omit_final_dot=True)
        is_ipv4 = question.rdtype == dns.rdatatype.A
        if is_ipv4:
            self.asked.append(name)
        addresses = self.answer(name, self.asked.count(name))
        if addresses is None:
            return
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        if not addresses:
            response.set_rcode(dns.rcode.NXDOMAIN)
        elif is_ipv4:
            response.answer.append(dns.rrset.from_text(question.name, 0, "IN", "A", *addresses))
        self.transport.sendto(response.to_wire(), sender)


@asynccontextmanager
async def naming(monkeypatch: pytest.MonkeyPatch, answer: Callable[[str, int], Addresses]) -> AsyncIterator[NameServer]:
    """Send the look-ups of this event loop to the server."""
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(lambda: NameServer(answer), local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    monkeypatch.setattr(look_up, "name_servers", [f"127.0.0.1:{port}"])
    monkeypatch.setattr(look_up._own, "resolver", None)
    try:
        yield server
    finally:
        if look_up._own.resolver is not None:
            await look_up._own.resolver.close()
        look_up._own.resolver = None
        transport.close()
