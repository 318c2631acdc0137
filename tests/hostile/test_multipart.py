"""Forms that cost a parser more than their bytes, or that it cannot understand: a 400 in plain words, at the cost of their length."""

from __future__ import annotations

import encodings
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from features.upload.form import MAX_HEADER_BYTES, MAX_PARTS
from shared.descriptors.encodings import normalize_encoding
from tests.e2e.conftest import Api, running_api
from tests.hostile.process import read_cpu_s
from tests.services import Servers

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is the judge")
CSV = b"id,name\n1,Ada\n"
CPU_S = 2.0
"""Several times what the heaviest of these forms costs, and a fraction of what they cost with a parser whose time grows with the square of a header."""


@pytest.fixture(scope="module")
def api(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running_api(servers, tmp_path_factory.mktemp("multipart")) as running:
        send(running, [(b'name="file"; filename="warm.csv"', CSV)])
        yield running


def send(api: Api, parts: list[tuple[bytes, bytes]], *, content_type: bytes = b"multipart/form-data; boundary=b") -> httpx.Response:
    """Send a form; each part is given as its Content-Disposition parameters, with further header lines, and its bytes."""
    body = b"".join(b"--b\r\nContent-Disposition: form-data; " + head + b"\r\n\r\n" + data + b"\r\n" for head, data in parts) + b"--b--\r\n"
    return api.client.post("/api/files/upload", content=body, headers=[(b"content-type", content_type)])


def assert_malformed(response: httpx.Response, says: str) -> None:
    assert (response.status_code, response.headers["content-type"]) == (400, "application/problem+json"), response.text
    assert response.json()["type"] == "/problems/malformed-body"
    assert says in response.json()["detail"]


COSTLY = (b";", b'"', b'";', b"\\", b'\\"', b'="', b"a=", b'; a="', b"; a*0=", b" ", b"'", b"%41", b"; filename*9=", b"\xff")


@pytest.mark.parametrize("size", [MAX_HEADER_BYTES - 200, 16_300])
def test_header_parameters_cost_what_their_length_is(api: Api, size: int) -> None:
    before = read_cpu_s(api.pid)
    for unit in COSTLY:
        response = send(api, [(b'name="encoding"; x=' + unit * (size // len(unit)), b"")] * 64)
        assert response.status_code == 400, unit
    assert read_cpu_s(api.pid) - before < CPU_S


def test_content_type_costs_what_its_length_is(api: Api) -> None:
    before = read_cpu_s(api.pid)
    for unit in (b";", b'"', b'";', b'; a="', b"; boundary="):
        response = send(api, [(b'name="file"; filename="a.csv"', CSV)], content_type=b"multipart/form-data; x=" + unit * (60_000 // len(unit)))
        assert response.status_code == 400, unit
    assert read_cpu_s(api.pid) - before < CPU_S


def test_others_are_answered_meanwhile(api: Api) -> None:
    with ThreadPoolExecutor(4) as pool:
        forms = [pool.submit(send, api, [(b'name="encoding"; x=' + b";" * 16_300, b"")] * 64) for _ in range(4)]
        answers = [api.client.get("/api/health/live") for _ in range(20)]
        assert all(answer.is_success for answer in answers)
        assert {form.result().status_code for form in forms} == {400}


def test_parts_are_counted(api: Api) -> None:
    fields = [(b'name="f%d"' % number, b"") for number in range(MAX_PARTS + 1)]
    assert_malformed(send(api, fields), f"more than {MAX_PARTS} parts")
    assert send(api, fields[1:]).json()["type"] == "/problems/invalid-upload"


def test_headers_of_a_part_are_bounded_together(api: Api) -> None:
    says = f"more than {MAX_HEADER_BYTES:,} bytes of headers"
    for heads in (b"x" * 5000, b"filename=" + b"x" * 5000, b"x\r\nX-A: " + b"a" * 2200 + b"\r\nX-B: " + b"b" * 2200, b"x\r\n" + b"h" * 5000 + b": x"):
        assert_malformed(send(api, [(b'name="file"; ' + heads, CSV)]), says)
    assert_malformed(send(api, [(b'name="file"' + b"\r\nX: y" * 100, CSV)]), says)
    name = "n" * 250 + ".csv"
    parts = [(f'name="file"; filename="{name}"\r\nContent-Type: text/csv\r\nX-More: '.encode() + b"m" * 3000, CSV)]
    assert send(api, parts).json()["filename"] == name


@pytest.mark.parametrize(
    "odd",
    [
        b"filename*=idna''a.csv", b"filename*=undefined''a.csv", b"filename*=\x00''a.csv", b"filename*=" + b"x" * 2000 + b"''a.csv", b"filename*=''a.csv",
        b"filename*=hex''a.csv", b"filename*=unicode_escape''%5Cud800.csv", b"filename*=utf-16''%FF.csv", b"filename*=utf-8''%FF%00%ED%A0%80.csv",
        b"filename*=a.csv", b"filename*=utf-8'", b"filename*=", b"filename*", b'filename*="utf-8\'\'b.csv"', b"filename*=utf-8''%", b"filename*=utf-8''%zz.csv",
        b"filename*" + b"9" * 400 + b"=a.csv", b"filename*0=a; filename*1=.csv", b"filename*0*=utf-8''a; filename*1*=%2Ecsv", b"filename*1=a.csv",
        b"filename*0*=idna''a", b"filename**=a.csv", b"filename*-1=a.csv", b"filename*\xc2\xb2=a.csv", b"filename=\x00.csv", b"filename=\xff\xfe.csv",
        b"name*=idna''x", b"name*999999999999999999999=x", b"=", b"==", b"; ; ;", b"\xed\xa0\x80=x", b"filename*=../../etc/x''a.csv", b"filename*=os.path''a",
    ],
)  # fmt: skip
def test_odd_file_name_is_no_reason_to_fail(api: Api, odd: bytes) -> None:
    """Whatever cannot be understood is passed over, and `filename` counts; by itself it is no file name."""
    response = send(api, [(b'name="file"; ' + odd + b'; filename="plain.csv"', CSV)])
    assert response.status_code in {202, 400}, response.text
    assert response.status_code == 202 or response.headers["content-type"] == "application/problem+json"
    alone = send(api, [(b'name="file"; ' + odd, CSV)])
    assert alone.status_code in {202, 400}
    assert alone.status_code == 202 or alone.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("parameters", "filename"),
    [
        ("filename=\"plain.csv\"; filename*=UTF-8''%e2%82%ac.csv", "€.csv"),
        ("filename*=utf-8'de'%C3%A4.csv; filename=plain.csv", "ä.csv"),
        ("filename*=ISO-8859-1''%e4.csv", "ä.csv"),
        ("filename*=klingon''x.csv; filename=plain.csv", "plain.csv"),
        ("filename*=utf-8''it's%20;%22.csv", None),
        ("FileName=plain.csv", "plain.csv"),
        ('filename="a;b=c.csv" ; x="y"', "a;b=c.csv"),
        ('filename="C:\\dir\\name.csv"', "name.csv"),
        ('filename="say \\"hi\\" \\\\ there.csv"', "there.csv"),
        ("filename=first.csv; filename=second.csv", "first.csv"),
        ("filename=two words.csv", "two words.csv"),
    ],
)
def test_file_name_is_read_in_every_form_that_clients_send(api: Api, parameters: str, filename: str | None) -> None:
    response = send(api, [(f'name="file"; {parameters}'.encode(), CSV)])
    assert (response.status_code, response.json().get("filename")) == (202 if filename else 400, filename.strip() if filename else None), response.text


FIELDS = (b"\x00", b"a\x00b", b"\xed\xa0\x80", b"\xff", b"x" * 10_000, b"utf-8\x00", b"../x", b"os.path", b"[]", b"1" * 5000, b"null")


@pytest.mark.parametrize("field", ["webhook_url", "encoding", "schema", "dialect"])
def test_odd_value_of_a_field_is_a_400(api: Api, field: str) -> None:
    for value in FIELDS:
        response = send(api, [(b'name="file"; filename="a.csv"', CSV), (f'name="{field}"'.encode(), value)])
        assert (response.status_code, response.headers["content-type"]) == (400, "application/problem+json"), (value[:20], response.text)
    for number in range(3):
        response = send(
            api, [(b'name="file"; filename="a.csv"', CSV), (f'name="{field}"'.encode(), b'{"fields": [{"name": "a\\u0000%d", "title": "\\ud800"}]}' % number)]
        )
        assert response.status_code == 400, response.text


def test_unknown_names_of_encodings_are_not_remembered() -> None:
    """Python keeps every name of an encoding that it was ever asked for."""
    remembered: dict[str, object] = vars(encodings)["_cache"]
    before = len(remembered)
    for number in range(200):
        assert normalize_encoding(f"no-such-encoding-{number}") is None
        assert normalize_encoding("x" * 100_000 + str(number)) is None
    assert len(remembered) == before
    assert normalize_encoding("Latin-1") == normalize_encoding("iso8859_1") == "iso8859-1"
