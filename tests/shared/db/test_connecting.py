from __future__ import annotations

import ssl

import pytest

from shared.db.connecting import choose_tls

PLAIN = "postgresql://u:p%40@h:5/d?sslmode=verify-full&sslrootcert=/ca.pem"


def test_url_that_the_driver_understands_is_left_alone() -> None:
    assert choose_tls(PLAIN) == (PLAIN, None)


@pytest.mark.parametrize("query", ["sslrootcert=system", "sslmode=verify-full&sslrootcert=system", "sslrootcert=system&sslmode=require"])
def test_authorities_of_the_system_are_trusted_for_the_name_of_the_host_alone(query: str) -> None:
    url, context = choose_tls(f"postgresql://u:p%40@h:5/d?{query}&application_name=x")
    assert url == "postgresql://u:p%40@h:5/d?application_name=x"
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
