from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Sequence
from pathlib import Path

import pytest

from features.webhooks.look_up import HostNotFound, choose_addresses, resolve
from shared.settings import Settings
from shared.web.webhook_address import IpAddress, WebhookAddressRefused, parse_webhook_url, require_acceptable
from tests.features.webhooks.name_server import naming


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "2130706433", "0x7f000001", "017700000001", "127.1", "[::1]", "[::ffff:127.0.0.1]", "0",
        "0177.0.0.1", "0x7f.1", "127.0.1", "[::ffff:7f00:1]", "[::127.0.0.1]", "[2002:7f00:1::]", "[64:ff9b::127.0.0.1]",
        "[64:ff9b:1::7f00:1]", "0xA9FEA9FE", "2852039166",
        "169.254.43518", "LOCALHOST", "localhost.", "a.localhost", "A.b.LocalHost.", "db", "redis", "printer.local",
        "metadata.google.internal", "nas.home.arpa.",
    ],
)  # fmt: skip
async def test_every_way_to_write_a_private_address_is_refused(host: str) -> None:
    with pytest.raises(WebhookAddressRefused):
        await choose_addresses(parse_webhook_url(f"http://{host}:8080/"), allow_private=False, timeout_s=5)


async def test_refusal_does_not_tell_which_names_resolve(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    strict = settings.model_copy(update={"webhook_allow_private_addresses": False})
    async with naming(monkeypatch, lambda name, _: ["10.0.0.1"] if name.startswith("private") else []) as server:
        for name in ("private.corp.test", "none.corp.test"):
            require_acceptable(f"http://{name}/", settings=strict)
        for name in ("private", "none", "private.local", "none.local"):
            with pytest.raises(WebhookAddressRefused, match=f"^{name} is not a public address; webhooks are sent to public addresses only.$"):
                require_acceptable(f"http://{name}/", settings=strict)
        assert server.asked == []
        for name in ("private.corp.test", "none.corp.test"):
            with pytest.raises(HostNotFound, match=f"^No public address is known for the host {name}.$"):
                await choose_addresses(parse_webhook_url(f"http://{name}/"), allow_private=False, timeout_s=5)


async def test_private_address_may_be_allowed() -> None:
    addresses = await choose_addresses(parse_webhook_url("http://127.0.0.1:8080/"), allow_private=True, timeout_s=5)
    assert addresses == [ipaddress.ip_address("127.0.0.1")]


async def test_host_that_does_not_resolve_is_told_apart() -> None:
    with pytest.raises(HostNotFound):
        await choose_addresses(parse_webhook_url("http://no-such-host.invalid/"), allow_private=False, timeout_s=5)


@pytest.mark.parametrize(("host", "address"), [("134744072", "8.8.8.8"), ("010.8.8.8", "8.8.8.8"), ("0x8080808", "8.8.8.8"), ("8.8.2056", "8.8.8.8")])
async def test_other_ways_to_write_an_address_need_no_look_up(host: str, address: str) -> None:
    assert await choose_addresses(parse_webhook_url(f"http://{host}/"), allow_private=False, timeout_s=5) == [ipaddress.ip_address(address)]


HOSTS = [line.split() for line in Path("/etc/hosts").read_text().splitlines() if line.strip() and not line.startswith("#")]
OWN_HOSTS = [words[:2] for words in HOSTS if "localhost" not in " ".join(words)]


@pytest.mark.skipif(not OWN_HOSTS, reason="/etc/hosts of this machine has no name but localhost")
async def test_names_of_the_hosts_file_are_known() -> None:
    address, name = OWN_HOSTS[0]
    assert ipaddress.ip_address(address) in await resolve(parse_webhook_url(f"http://{name}/"), timeout_s=5)


async def test_international_name_is_looked_up_in_its_ascii_form(monkeypatch: pytest.MonkeyPatch) -> None:
    async with naming(monkeypatch, lambda name, _: ["8.8.8.8"] if name == "xn--bcher-kva.test" else []):
        assert parse_webhook_url("http://bücher.test/").host == "xn--bcher-kva.test"
        await choose_addresses(parse_webhook_url("http://bücher.test/"), allow_private=False, timeout_s=5)


async def test_hundred_look_ups_that_hang_hold_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    async def look_up(host: str, timeout_s: float) -> Sequence[IpAddress]:
        return await resolve(parse_webhook_url(f"http://{host}/"), timeout_s=timeout_s)

    async with naming(monkeypatch, lambda name, _: None if "silent" in name else ["8.8.8.8"]) as server:
        hanging = [asyncio.create_task(look_up(f"h{n}.silent.test", 4.0)) for n in range(100)]
        await asyncio.sleep(0)
        assert await look_up("quick.test", 5.0) == [ipaddress.ip_address("8.8.8.8")]
        assert not any(look.done() for look in hanging)
        ends = await asyncio.gather(*hanging, return_exceptions=True)
        assert all(isinstance(end, HostNotFound) for end in ends)
        assert len(set(server.asked)) > 50
        assert await look_up("next.test", 5.0)
