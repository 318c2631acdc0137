from __future__ import annotations

import ssl
from typing import Any

import pytest

from shared.messages.redis_client import split_tls
from shared.settings import Settings
from shared.worker.celery_settings import create_celery


@pytest.mark.parametrize(
    ("url", "rest", "options"),
    [
        ("redis://:p%40@h:1/0", "redis://:p%40@h:1/0", None),
        ("rediss://:p%40@h:1/0", "rediss://:p%40@h:1/0", {"ssl_cert_reqs": ssl.CERT_REQUIRED}),
        ("rediss://h/0?ssl_cert_reqs=none&retry_on_timeout=1", "rediss://h/0?retry_on_timeout=1", {"ssl_cert_reqs": ssl.CERT_NONE}),
        (
            "rediss://h/0?ssl_ca_certs=/ca.pem&ssl_check_hostname=False",
            "rediss://h/0",
            {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_ca_certs": "/ca.pem", "ssl_check_hostname": False},
        ),
    ],
)
def test_tls_of_a_url_is_given_to_celery_in_its_own_spelling(url: str, rest: str, options: dict[str, Any] | None) -> None:
    assert split_tls(url) == (rest, options)


def test_broker_requires_a_certificate_even_if_the_url_says_nothing_of_it() -> None:
    app = create_celery(Settings(database_url="postgresql://h/d", redis_url="rediss://h:6380/0", upload_dir="/tmp"))
    assert app.connection_for_write().ssl == {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    assert app.backend.connparams["ssl_cert_reqs"] == ssl.CERT_REQUIRED
