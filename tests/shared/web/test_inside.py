"""A container trusts the networks that lead nowhere else, and no others."""

from __future__ import annotations

import subprocess
import sys

import pytest

from shared.web.inside import find_internal_networks

HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
DEFAULT = "eth0\t00000000\t010013AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
OUTSIDE = "eth0\t000013AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
INSIDE = "eth1\t000012AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
SMALL = "eth2\t10E8A8C0\t00000000\t0001\t0\t0\t0\tF0FFFFFF\t0\t0\t0\n"


@pytest.mark.skipif(sys.byteorder == "big", reason="the lines above are those of a little-endian machine")
@pytest.mark.parametrize(
    ("routes", "networks"),
    [
        ("", []),
        (DEFAULT + OUTSIDE, []),
        (DEFAULT + OUTSIDE + INSIDE, ["172.18.0.0/16"]),
        (INSIDE + DEFAULT + SMALL + OUTSIDE, ["172.18.0.0/16", "192.168.232.16/28"]),
    ],
    ids=["none", "outside", "inside", "two-inside"],
)
def test_networks_without_a_way_out_are_internal(routes: str, networks: list[str]) -> None:
    assert find_internal_networks(HEAD + routes) == networks


def test_what_is_configured_is_trusted_as_well() -> None:
    environment = {"FORWARDED_ALLOW_IPS": "203.0.113.7,203.0.113.8"}
    result = subprocess.run([sys.executable, "-m", "shared.web.inside"], env=environment, capture_output=True, text=True, check=True)
    assert result.stdout.startswith("127.0.0.1,203.0.113.7,203.0.113.8")
