"""The proxy before several APIs: what it holds, what it answers by itself, and what would replace it."""

from __future__ import annotations

import json
import re
from http import HTTPStatus

import pytest

from compose import rollout
from compose.rollout import ORDER, PROXIED, RolloutFailed, plan
from features.health.schemas import HEALTHY, UNHEALTHY
from shared.check_config import LONGEST_DRAIN_S
from shared.settings import MEBIBYTE
from shared.web.http_protocol import MAX_HEAD_BYTES, MAX_HEADERS
from shared.web.problems import MalformedRequest, Problem, Unavailable
from shared.web.serve import GRACEFUL_S, KILLED_AFTER_S
from tests.compose_files import SERVICES
from tests.paths import ROOT

CONFIGURATION = (ROOT / "compose" / "proxy" / "haproxy.cfg").read_text()
STOP_LAST = {"worker", "dispatcher"}
ANSWERED_BY_ITSELF = [
    (400, MalformedRequest()),
    *((code, Unavailable()) for code in (502, 503, 504)),
]


def find_number(pattern: str) -> int:
    [number] = set(re.findall(pattern, CONFIGURATION, re.MULTILINE))
    return int(number)


def test_second_api_differs_from_the_first_only_in_its_port_and_in_when_it_is_replaced() -> None:
    first, second = SERVICES["api"], SERVICES["api-2"]
    own = {"ports", "profiles", "depends_on"}
    assert {name: value for name, value in first.items() if name not in own} == {name: value for name, value in second.items() if name not in own}
    assert "ports" not in second
    # `up` stops what depends on others after them, and starts it after them.
    assert second["depends_on"].keys() - first["depends_on"].keys() == STOP_LAST


def test_no_setting_but_its_port_replaces_the_proxy() -> None:
    proxy = SERVICES["proxy"]
    assert not {"environment", "env_file", "depends_on"} & proxy.keys()
    assert proxy["ports"] == ["${PUBLISH_ADDRESS:-127.0.0.1}:${PROXY_PORT:-8080}:8080"]
    assert re.findall(r"\$\{?(\w+)", str(proxy)) == ["PUBLISH_ADDRESS", "PROXY_PORT"]


def test_proxy_reaches_the_apis_only_over_a_network_that_they_trust() -> None:
    assert set(SERVICES["proxy"]["networks"]) & set(SERVICES["api"]["networks"]) == {"inside"}


def test_requests_are_held_for_longer_than_a_roll_out_takes() -> None:
    held_s = find_number(r"^    retries (\d+)") * find_number(r"^    timeout connect (\d+)ms") / 1000
    assert held_s >= 120
    servers = re.findall(r"^    server (\S+) (\S+):(\d+) (.*)$", CONFIGURATION, re.MULTILINE)
    assert {address for _, address, _, options in servers if "check " in options} == {"api", "api-2"}
    # Not even an API that is about to stop is sent a request while the other one is gone.
    assert [(address, port) for _, address, port, options in servers if options == "backup"] == [("127.0.0.1", "1")] * 2
    assert [(name, options) for name, *_, options in servers if "track" in options] == [("api", "track apis/api"), ("api-2", "track apis/api-2")]


def test_api_that_stops_answers_until_the_proxy_has_noticed_and_is_not_killed_before_its_requests_have_ended() -> None:
    [drain_s] = re.findall(r"\$\{API_DRAIN_S:-(\d+)\}", SERVICES["api"]["environment"]["API_DRAIN_S"])
    noticed_s = find_number(r"inter (\d+)s fastinter") + (find_number(r"fall (\d+)") - 1) * find_number(r"fastinter (\d+)ms") / 1000
    assert 2 * noticed_s <= int(drain_s) <= LONGEST_DRAIN_S
    assert int(SERVICES["api"]["stop_grace_period"].removesuffix("s")) > LONGEST_DRAIN_S + GRACEFUL_S + KILLED_AFTER_S


@pytest.mark.parametrize(("code", "problem"), ANSWERED_BY_ITSELF)
def test_what_the_proxy_answers_by_itself_is_a_problem_of_the_api(code: int, problem: Problem) -> None:
    [file] = re.findall(rf"^    errorfile {code} /etc/haproxy/(\S+)$", CONFIGURATION, re.MULTILINE)
    head, _, body = (ROOT / "compose" / "proxy" / file).read_bytes().partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ") for line in lines)
    answer = problem.to_response()
    assert status == f"HTTP/1.1 {answer.status_code} {HTTPStatus(answer.status_code).phrase}"
    assert body == bytes(answer.body)
    assert headers == {**answer.headers, "cache-control": "no-store", "connection": "close"}


def test_proxy_has_room_for_every_head_that_the_api_reads_and_memory_for_all_its_buffers() -> None:
    buffer_bytes = find_number(r"^    tune\.bufsize (\d+)")
    headers = find_number(r"^    tune\.http\.maxhdr (\d+)")
    assert headers > MAX_HEADERS  # the request line counts as one
    # Each header is kept with its colon, blank and line end, or with eight bytes that say where it is; 1024 are left free for headers that are added.
    assert buffer_bytes >= MAX_HEAD_BYTES + 8 * headers + 1024
    size = SERVICES["proxy"]["mem_limit"]
    assert 2 * buffer_bytes * find_number(r"^    maxconn (\d+)") <= 0.9 * int(size.removesuffix("m")) * MEBIBYTE


def test_roll_out_replaces_an_api_at_a_time_and_the_workers_last() -> None:
    running = {"api": 1, "api-2": 1, "dispatcher": 1, "worker": 3, "db": 1, "redis": 1, "proxy": 1}
    assert set(running) >= PROXIED
    steps = plan(running)
    assert [name for name, _ in steps] == list(ORDER[:-1]) == ["api", "api-2", "dispatcher", "worker"]
    assert steps[-1] == ("worker", ("--scale", "worker=3"))
    assert not any(options for _, options in steps[:-1])


def test_roll_out_starts_nothing_that_does_not_run() -> None:
    assert [name for name, _ in plan({"api": 1, "worker": 1})] == ["api", "worker"]


class Docker:
    """Stands for `docker compose` with two APIs; `health` has the answers of each, one for each time it is asked, the last one for ever."""

    def __init__(self, **health: list[str]) -> None:
        self.replaced: list[str] = []
        self._health = {name.replace("_", "-"): answers for name, answers in health.items()}

    def run(self, *arguments: str) -> str:
        if arguments[0] == "ps":
            return "\n".join(json.dumps({"Service": name, "State": "running"}) for name in (*ORDER, "proxy"))
        if arguments[0] == "exec":
            answers = self._health[arguments[2]]
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if not answer:
                raise RolloutFailed
            return answer
        if arguments[0] == "up":
            self.replaced.append(arguments[-1])
        return ""


WELL, ILL = f"200 {json.dumps(HEALTHY)}\n", f"503 {json.dumps(UNHEALTHY)}\n"


def roll_out(monkeypatch: pytest.MonkeyPatch, docker: Docker) -> None:
    monkeypatch.setattr(rollout, "run", docker.run)
    monkeypatch.setattr(rollout, "HEALTH_PAUSE_S", 0.0)
    rollout.roll_out()


@pytest.mark.parametrize(("answer", "said"), [(ILL, r"is 503 \(redis is unhealthy\)"), ("", r"is silent \(no answer\)")], ids=["unhealthy", "silent"])
def test_api_that_can_no_longer_work_stops_the_roll_out_before_the_other_one(monkeypatch: pytest.MonkeyPatch, answer: str, said: str) -> None:
    docker = Docker(api=[WELL, answer], api_2=[WELL])
    with pytest.raises(RolloutFailed, match=f"^api was replaced.*{said}"):
        roll_out(monkeypatch, docker)
    assert docker.replaced == ["api"]


def test_reason_why_an_api_cannot_work_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    body = {**HEALTHY, "status": "unhealthy", "storage": {"status": "unhealthy", "reason": "The marker is missing."}}
    with pytest.raises(RolloutFailed, match=r"^api-2 was replaced.*storage is unhealthy: The marker is missing\."):
        roll_out(monkeypatch, Docker(api=[WELL], api_2=[WELL, f"503 {json.dumps(body)}"]))


@pytest.mark.parametrize(
    "docker",
    [
        Docker(api=[WELL], api_2=[WELL]),
        Docker(api=[WELL, ILL, WELL], api_2=[WELL]),
        Docker(api=[ILL], api_2=[ILL]),
        Docker(api=[""], api_2=[WELL]),
    ],
    ids=["healthy", "healthy-after-a-moment", "unhealthy-before", "silent-before"],
)
def test_roll_out_goes_on(monkeypatch: pytest.MonkeyPatch, docker: Docker) -> None:
    roll_out(monkeypatch, docker)
    assert docker.replaced == list(ORDER)
