from __future__ import annotations

import ipaddress

import pytest

from shared.webhook_address import (
    HostNotFound,
    WebhookAddressRefused,
    choose_address,
    is_public,
    parse_webhook_url,
)


@pytest.mark.parametrize("text", ["1.1.1.1", "8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8", "2002:808:808::1"])
def test_public_address_may_be_called(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "255.255.255.255", "224.0.0.1", "192.0.0.8",
        "192.0.2.1", "198.18.0.1", "240.0.0.1", "192.88.99.1", "::1", "::", "fe80::1", "fc00::1", "fec0::1", "ff02::1", "2001:db8::1", "3fff::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::", "2002:a00:1::", "100::1",
    ],
)  # fmt: skip
def test_special_address_may_not_be_called(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com", "file:///etc/passwd", "http://", "https:///path", "example.com", "http://user:pw@example.com/", "http://example.com:0/",
        "http://example.com:99999/", "http://exa mple.com/", "http://example.com/\x00", "http://[::1", "http://a" + "b" * 500, "javascript:alert(1)",
        "http://example.com\\@127.0.0.1/",
    ],
)  # fmt: skip
def test_url_that_is_no_plain_http_url_is_refused(url: str) -> None:
    with pytest.raises(WebhookAddressRefused):
        parse_webhook_url(url)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "017700000001", "127.1", "[::1]", "[::ffff:127.0.0.1]", "0"])
async def test_every_way_to_write_a_private_address_is_refused(host: str) -> None:
    with pytest.raises(WebhookAddressRefused):
        await choose_address(parse_webhook_url(f"http://{host}:8080/"), allow_private=False, timeout_s=5)


async def test_private_address_may_be_allowed() -> None:
    address = await choose_address(parse_webhook_url("http://127.0.0.1:8080/"), allow_private=True, timeout_s=5)
    assert address == ipaddress.ip_address("127.0.0.1")


async def test_host_that_does_not_resolve_is_told_apart() -> None:
    with pytest.raises(HostNotFound):
        await choose_address(parse_webhook_url("http://no-such-host.invalid/"), allow_private=False, timeout_s=5)
