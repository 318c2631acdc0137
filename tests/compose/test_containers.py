"""What the Compose file gives to each container: settings, rights and limits."""

from __future__ import annotations

import re

import pytest
import yaml

from shared.check_config import FOR_TRACING
from shared.settings import MEBIBYTE, Settings
from tests.compose_files import INCLUDED, MAIN, SERVICES, load
from tests.paths import ROOT

UNITS = {"m": MEBIBYTE, "g": 1024 * MEBIBYTE}
BEYOND_BYTES = 256 * MEBIBYTE
"""How far a child may go beyond its limit for a moment (ADR 15)."""
APPLICATION = ("api", "worker", "dispatcher")
BY_DEFAULT = {*APPLICATION, "db", "redis"}
SETTINGS = {name.upper() for name in Settings.model_fields}
NEEDED_BY = {
    "API_KEYS": {"api", "api-2"},
    "API_KEYS_FILE": {"api", "api-2"},
    "WEBHOOK_SECRET_FILE": {"dispatcher"},
    "CORS_ORIGINS": {"api", "api-2"},
    "PUBLISH_ADDRESS": {"api", "api-2"},
    "WEBHOOK_SECRET": {"dispatcher"},
    "WEBHOOK_ALLOWED_HOSTS": {"api", "api-2", "dispatcher"},
    "WEBHOOK_ALLOW_PRIVATE_ADDRESSES": {"api", "api-2", "dispatcher"},
    "POSTGRES_PASSWORD": {"db"},
    "REDIS_PASSWORD": {"redis"},
}


MONITORING = {name for name, service in SERVICES.items() if service.get("profiles") == ["monitoring"]}


def test_files_that_are_read_are_those_that_are_included() -> None:
    assert [re.sub(r"\$\{.*?\}", "", path).removesuffix(".yml") for path in MAIN["include"]] == list(INCLUDED)


@pytest.mark.parametrize("name", MONITORING)
def test_what_shows_metrics_is_published_for_this_machine_only(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name]["ports"])


def test_prometheus_has_the_files_whose_rules_are_tested() -> None:
    mounted = {volume.split(":")[0] for volume in SERVICES["prometheus"]["volumes"]}
    assert {"./prometheus.yml", "./alerts.yml"} <= mounted
    assert "./dashboard.json" in {volume.split(":")[0] for volume in SERVICES["grafana"]["volumes"]}


def test_every_setting_reaches_a_container() -> None:
    given = {name for service in APPLICATION for name in SERVICES[service]["environment"]}
    assert given - {"PROMETHEUS_MULTIPROC_DIR", "FORWARDED_ALLOW_IPS", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"} - FOR_TRACING == SETTINGS


def test_variables_of_tracing_reach_all_that_trace_and_nobody_else() -> None:
    given = {service: set(options.get("environment", {})) & FOR_TRACING for service, options in SERVICES.items()}
    tracing = {"api", "api-2", "worker", "worker-s3", "dispatcher", "check-config"}
    assert given == {service: FOR_TRACING if service in tracing else set() for service in SERVICES}
    assert all(SERVICES[service]["environment"][name] is None for service in tracing for name in FOR_TRACING)  # from .env, if it is set there


@pytest.mark.parametrize("name", NEEDED_BY)
def test_setting_goes_only_to_those_that_use_it(name: str) -> None:
    assert {service for service in SERVICES if name in SERVICES[service].get("environment", {})} - {"check-config"} == NEEDED_BY[name]


def test_all_settings_of_all_services_are_checked_where_nothing_is_started() -> None:
    check = SERVICES["check-config"]
    assert check["environment"].keys() == {name for service in APPLICATION for name in SERVICES[service]["environment"]}
    assert (check["network_mode"], check["depends_on"], check["restart"]) == ("none", {}, "no")


def test_folder_of_secrets_is_shown_only_to_those_that_use_it() -> None:
    shown = {
        service: [volume.partition("}/")[2].partition(":")[0] for volume in options.get("volumes", []) if "SECRETS_DIR" in volume]
        for service, options in SERVICES.items()
        if service != "check-config"
    }
    servers = ["servers"]
    assert {service: folders for service, folders in shown.items() if folders} == {
        "api": [*servers, "api"], "api-2": [*servers, "api"], "dispatcher": [*servers, "dispatcher"], "worker": servers, "worker-s3": servers,
        "backup": servers,
        "db": servers, "redis": servers, "prometheus": ["monitoring"],
    }  # fmt: skip
    assert all(volume.endswith(":ro") for options in SERVICES.values() for volume in options.get("volumes", []) if "SECRETS_DIR" in volume)


def test_settings_that_are_checked_together_go_together() -> None:
    """Each process checks them against each other, against its default if one of them is not given."""
    for pair in (("PROGRESS_INTERVAL_S", "JOB_LEASE_S"), ("UPLOAD_CHUNK_SIZE_BYTES", "MAX_UPLOAD_SIZE_BYTES")):
        for service in APPLICATION:
            assert len(set(pair) & set(SERVICES[service]["environment"])) in {0, 2}, service


@pytest.mark.parametrize("service", SERVICES)
def test_container_has_no_rights_that_it_does_not_need(service: str) -> None:
    options = SERVICES[service]
    assert options["cap_drop"] == ["ALL"]
    assert options["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in options
    assert options.get("read_only") is True or service == "tests"
    assert options.get("cap_add", []) == (["CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID"] if service == "db" else [])
    assert "env_file" not in options or service == "check-config"


@pytest.mark.parametrize("name", SERVICES)
def test_service_has_limits_on_memory_processes_and_cpu_time(name: str) -> None:
    service = SERVICES[name]
    assert parse_size(service["mem_limit"]) >= 256 * MEBIBYTE
    assert 64 <= service["pids_limit"] <= 4096
    assert 100_000 <= service["cpu_quota"] <= 800_000


def test_services_without_a_profile_are_those_of_a_plain_up() -> None:
    assert {name for name, service in SERVICES.items() if "profiles" not in service} == BY_DEFAULT


def test_worker_has_room_for_slots_that_all_reach_their_bound() -> None:
    slots = Settings.model_fields["worker_slots"].default
    bound_bytes = Settings.model_fields["worker_memory_limit_bytes"].default
    assert parse_size(SERVICES["worker"]["mem_limit"]) >= slots * (bound_bytes + BEYOND_BYTES)


@pytest.mark.parametrize("name", SERVICES)
def test_logs_of_a_container_do_not_grow_without_end(name: str) -> None:
    logging = SERVICES[name]["logging"]
    assert logging["driver"] == "json-file"
    assert parse_size(logging["options"]["max-size"]) * int(logging["options"]["max-file"]) <= 100 * MEBIBYTE


def test_volumes_are_the_same_in_whatever_folder_the_project_lies() -> None:
    root = yaml.safe_load((ROOT / "compose.yaml").read_text())
    assert root["name"] == MAIN["name"] == "rowgate"


@pytest.mark.parametrize(("file", "service", "setting"), [("database", "db", "DATABASE_URL"), ("redis", "redis", "REDIS_URL")])
def test_server_that_is_elsewhere_is_not_started_and_can_be_reached(file: str, service: str, setting: str) -> None:
    assert f"{file}${{{setting}:+-elsewhere}}.yml" in MAIN["include"]
    elsewhere = load(f"{file}-elsewhere")
    assert elsewhere["services"][service]["profiles"] == ["elsewhere"]
    [network] = elsewhere["networks"]
    assert "internal" not in elsewhere["networks"][network]
    assert load(file)["networks"] == {network: {"internal": True}}
    for name in APPLICATION:
        assert network in SERVICES[name]["networks"]
        assert SERVICES[name]["environment"][setting].startswith(f"${{{setting}-")  # empty if a file is named
        assert SERVICES[name]["depends_on"][service] == {"condition": "service_healthy", "required": False}


def parse_size(text: str) -> int:
    return int(text[:-1]) * UNITS[text[-1]]


def test_store_to_try_is_the_one_that_is_locked() -> None:
    pinned = (ROOT / "compose" / "store" / "requirements.txt").read_text().partition("\n")[2]
    assert pinned.strip() in (ROOT / "requirements-dev.lock").read_text()


def test_workers_of_the_store_share_no_folder() -> None:
    assert not any("/data/uploads" in volume for volume in SERVICES["worker-s3"]["volumes"])
    worker, alone = (dict(SERVICES[name]) for name in ("worker", "worker-s3"))
    for name in ("profiles", "deploy", "volumes"):
        worker.pop(name, None)
        alone.pop(name, None)
    assert alone == worker
