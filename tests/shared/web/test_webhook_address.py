from __future__ import annotations

import ipaddress

import pytest

from shared.web.webhook_address import WebhookAddressRefused, is_allowed, is_public, parse_webhook_url


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


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("example.com", True), ("EXAMPLE.com", True), ("example.com.", True), ("a.example.org", True), ("b.a.example.org", True),
        ("example.org", False), ("xexample.org", False), ("example.com.evil.net", False), ("127.0.0.1", False),
    ],
)  # fmt: skip
def test_list_of_hosts_names_hosts_and_what_is_below_them(host: str, allowed: bool) -> None:
    assert is_allowed(host, ["example.com", "*.example.org"]) is allowed
    assert is_allowed(host, [])
