"""The internal networks that a container is in: those without a way out, from which only containers of its project and its machine can come.

    python -m shared.web.inside

prints them with what `FORWARDED_ALLOW_IPS` names, separated by commas: a proxy in one of them says who the client is. Whoever comes through a published port
comes from another network, whatever their address.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Sequence
from pathlib import Path

ROUTES = Path("/proc/net/route")


def find_internal_networks(routes: str) -> Sequence[str]:
    """Return the networks of the interfaces through which no route leads further; `routes` is what Linux has in /proc/net/route."""
    lines = [line.split() for line in routes.splitlines()[1:]]
    outward = {interface for interface, _destination, gateway, *_ in lines if int(gateway, 16)}
    networks = {_read_network(fields[1], fields[7]) for fields in lines if fields[0] not in outward}
    return sorted(network for network in networks if not network.endswith("/0"))


def _read_network(destination: str, mask: str) -> str:
    """Return a network from the form that /proc/net/route has: hexadecimal, the bytes of the address in this machine's order."""
    address, bits = (ipaddress.IPv4Address(int(text, 16).to_bytes(4, sys.byteorder)) for text in (destination, mask))
    return str(ipaddress.IPv4Network(f"{address}/{bits}"))


def main() -> None:
    """Print the list."""
    trusted = [*os.environ.get("FORWARDED_ALLOW_IPS", "").split(","), *find_internal_networks(ROUTES.read_text())]
    sys.stdout.write(",".join(address for address in ("127.0.0.1", *trusted) if address.strip()) + "\n")


if __name__ == "__main__":
    main()
