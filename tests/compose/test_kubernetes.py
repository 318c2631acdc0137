"""The manifests of Kubernetes: valid, a mistake is found, and each part runs as Compose runs it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from compose import check_kubernetes
from compose.check_kubernetes import FOLDER, find_in_objects, find_mistakes
from shared.contracts import PROCESSING_QUEUE
from shared.secret_settings import parse_api_keys
from shared.settings import MEBIBYTE, Settings
from shared.web.serve import GRACEFUL_S, KILLED_AFTER_S
from tests.compose.test_containers import BEYOND_BYTES, parse_size
from tests.compose_files import SERVICES
from tests.paths import ROOT

PARTS = ("api", "worker", "dispatcher")
NO_SETTINGS = {
    *("PROMETHEUS_MULTIPROC_DIR", "FORWARDED_ALLOW_IPS", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"),
}
"""Variables that other programs than the settings read."""
UNITS = {"Ki": 2**10, "Mi": MEBIBYTE, "Gi": 2**30}
SECRETS_IN_FILES = {"DATABASE_URL", "REDIS_URL", "API_KEYS", "WEBHOOK_SECRET"}


def load(name: str) -> list[dict[str, Any]]:
    return [dict(found) for found in check_kubernetes.read_objects((FOLDER / name).read_text())]


def list_all() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(FOLDER.rglob("*.yaml")):
        for found in load(str(path.relative_to(FOLDER))):
            yield str(path.relative_to(FOLDER)), found


def find_deployment(part: str) -> dict[str, Any]:
    [found] = [found for found in load(f"base/{part}.yaml") if found["kind"] == "Deployment"]
    return found


def find_pod(part: str) -> dict[str, Any]:
    pod: dict[str, Any] = find_deployment(part)["spec"]["template"]["spec"]
    return pod


def find_container(part: str) -> dict[str, Any]:
    [container] = find_pod(part)["containers"]
    return dict(container)


PODS = [
    (f"{file}: {found['metadata']['name']}", found["spec"]["template"]["spec"])
    for file, found in list_all()
    if isinstance(found.get("spec"), dict) and "template" in found["spec"]
]


def read_env(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def find_variables(part: str) -> dict[str, str]:
    own = {each["name"]: each.get("value", "from a Secret") for each in find_container(part)["env"]}
    return read_env(FOLDER / "base/settings.env") | own


def measure_bytes(quantity: str) -> int:
    return int(quantity[:-2]) * UNITS[quantity[-2:]]


def test_migration_is_told_of_the_same_pooler_as_the_service() -> None:
    poolers = []
    for folder in ("example", "example/migrate"):
        [generator] = yaml.safe_load((FOLDER / folder / "kustomization.yaml").read_text())["configMapGenerator"]
        poolers += [literal for literal in generator["literals"] if literal.startswith("DATABASE_POOLER=")]
    assert len(poolers) == 2
    assert len(set(poolers)) == 1
    assert len({read_env(FOLDER / folder / "settings.env").get("DATABASE_POOLER") for folder in ("base", "migrate")}) == 1


def test_manifests_are_valid() -> None:
    assert find_mistakes() == []
    assert check_kubernetes.main([]) == 0


BROKEN = {
    "a field that is unknown": ("base/worker.yaml", "terminationGracePeriodSeconds", "terminationGraceSeconds", "terminationGraceSeconds"),
    "a number that must be a text": ("base/dispatcher.yaml", '"32"', "32", "32 is not of type 'string'"),
    "a field at the wrong place": ("base/api.yaml", "          livenessProbe:", "      livenessProbe:", ""),
    "a version that is gone": ("autoscaling/api.yaml", "autoscaling/v2", "autoscaling/v2beta2", "knows no autoscaling/v2beta2"),
    "a kind that is none": ("base/api.yaml", "kind: Service\n", "kind: Servis\n", "knows no v1 Servis"),
    "a key that is there twice": ("base/api.yaml", "  replicas: 2\n", "  replicas: 2\n  replicas: 3\n", "replicas is there twice"),
    "a word that KEDA does not know": ("autoscaling/worker.yaml", "pollingInterval", "pollInterval", "pollInterval"),
    "a threshold that KEDA cannot read": ("autoscaling/worker.yaml", 'threshold: "4"', "threshold: 4", "4 is not of type 'string'"),
    "a file that nobody applies": ("base/kustomization.yaml", "  - worker.yaml\n", "", "worker.yaml lies beside it, and is not named"),
    "a file that is not there": ("base/kustomization.yaml", "  - worker.yaml\n", "  - worker.yaml\n  - w.yaml\n", "w.yaml is named, and is not there"),
    "a word that kustomize does not know": ("base/kustomization.yaml", "resources:", "resource:", "'resource' was unexpected"),
    "Secrets that would be overwritten": (
        "base/kustomization.yaml", "  - worker.yaml\n", "  - worker.yaml\n  - secrets.example.yaml\n", "is a template, and must not be applied",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_manifest_with_a_mistake_is_refused(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_kubernetes, "RELEASES", check_kubernetes.RELEASES[-1:])
    file, before, after, says = BROKEN[case]
    path = tmp_path / "copy" / file
    path.parent.mkdir(parents=True)
    beside = (FOLDER / file).parent.glob("*") if file.endswith("kustomization.yaml") else [FOLDER / file]
    for each in beside:
        shutil.copy(each, path.parent)
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after, 1))
    assert check_kubernetes.main([str(tmp_path / "copy")]) == 1
    assert re.search(rf"^kubernetes: {re.escape(file)}: .*{re.escape(says)}", capsys.readouterr().err, re.MULTILINE)


@pytest.mark.parametrize("folder", ["base", "migrate", "example", "example/migrate"])
def test_what_kustomize_makes_of_them_is_valid(folder: str) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("there is no kubectl here, which builds kustomizations; each file is checked by itself")
    built = subprocess.run([kubectl, "kustomize", FOLDER / folder], check=True, capture_output=True, text=True).stdout
    assert find_in_objects(built) == []
    objects = list(yaml.safe_load_all(built))
    assert all("example" not in found["metadata"]["name"] for found in objects)
    replicas = {found["metadata"]["name"]: found["spec"].get("replicas") for found in objects if found["kind"] == "Deployment"}
    if folder == "base":
        assert replicas == dict.fromkeys(("rowgate-api", "rowgate-worker", "rowgate-dispatcher"), 2)
    elif folder == "example":
        # The autoscalers decide.
        assert replicas == {"rowgate-api": None, "rowgate-worker": None, "rowgate-dispatcher": 2}
        [settings] = [found for found in objects if found["kind"] == "ConfigMap"]
        assert settings["data"]["STORAGE_URL"] == "s3://example-rowgate/files"
        assert settings["data"]["DATABASE_URL_FILE"] == "/secrets/servers/database-url"


@pytest.mark.parametrize("part", PARTS)
def test_part_runs_what_compose_runs(part: str) -> None:
    command = SERVICES[part]["command"]
    words = command if isinstance(command, str) else command[-1].partition("exec ")[2]
    assert " ".join(find_container(part)["args"]) == words


def test_workers_listen_to_the_queue_of_jobs_and_dispatchers_to_all_others() -> None:
    of_worker, of_dispatcher = (find_container(part)["args"] for part in ("worker", "dispatcher"))
    assert PROCESSING_QUEUE in of_worker[of_worker.index("-Q") + 1].split(",")
    assert PROCESSING_QUEUE not in of_dispatcher[of_dispatcher.index("-Q") + 1].split(",")


@pytest.mark.parametrize(("name", "pod"), PODS, ids=[name for name, _ in PODS])
def test_container_has_no_rights_that_it_does_not_need(name: str, pod: dict[str, Any]) -> None:
    user = int(re.findall(r"^USER (\d+):", (ROOT / "compose/Dockerfile").read_text(), re.MULTILINE)[-1])
    assert pod["securityContext"] == {
        "runAsNonRoot": True, "runAsUser": user, "runAsGroup": user, "fsGroup": user, "seccompProfile": {"type": "RuntimeDefault"},
    }  # fmt: skip
    assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (False, False)
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        assert container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
        assert container["image"] == "rowgate"
        for kind in ("requests", "limits"):
            assert {"cpu", "memory"} <= container["resources"][kind].keys()
        for mount in container["volumeMounts"]:
            assert mount["name"] in {volume["name"] for volume in pod["volumes"]}
            assert "subPath" not in mount  # or else a change of a Secret would not reach it
    for volume in pod["volumes"]:
        assert volume.keys() - {"name"} <= {"emptyDir", "secret"}
        assert "emptyDir" not in volume or "sizeLimit" in volume["emptyDir"]


@pytest.mark.parametrize("part", PARTS)
def test_part_has_the_limits_that_compose_sets(part: str) -> None:
    limits, service = find_container(part)["resources"]["limits"], SERVICES[part]
    assert measure_bytes(limits["memory"]) == parse_size(service["mem_limit"])
    assert int(limits["cpu"]) * 100_000 == service["cpu_quota"]


def test_worker_has_room_for_slots_that_all_reach_their_bound() -> None:
    container = find_container("worker")
    slots, bound_bytes = int(find_variables("worker")["WORKER_SLOTS"]), Settings.model_fields["worker_memory_limit_bytes"].default
    assert measure_bytes(container["resources"]["limits"]["memory"]) >= slots * (bound_bytes + BEYOND_BYTES)
    assert measure_bytes(container["resources"]["requests"]["memory"]) >= slots * 384 * MEBIBYTE
    [spill] = [volume["emptyDir"]["sizeLimit"] for volume in find_pod("worker")["volumes"] if volume["name"] == "spill"]
    assert measure_bytes(spill) >= slots * 8 * Settings.model_fields["max_upload_size_bytes"].default


@pytest.mark.parametrize("part", PARTS)
def test_part_that_stops_is_not_killed_before_its_work_has_ended(part: str) -> None:
    grace_s, variables = find_pod(part)["terminationGracePeriodSeconds"], find_variables(part)
    if part == "api":
        needed_s = float(variables["API_DRAIN_S"]) + GRACEFUL_S + KILLED_AFTER_S
        assert float(variables["API_DRAIN_S"]) >= 5  # until every node has heard that it is going
    else:
        needed_s = float(variables.get("WORKER_SHUTDOWN_TIMEOUT_S", Settings.model_fields["worker_shutdown_timeout_s"].default))
    assert grace_s > needed_s


def test_api_is_taken_out_before_it_stops_and_never_for_servers_that_are_away() -> None:
    container = find_container("api")
    paths = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")}
    assert paths == {"startup": "/api/health/live", "liveness": "/api/health/live", "readiness": "/api/health/ready"}
    assert find_deployment("api")["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert find_deployment("api")["spec"]["replicas"] >= 2
    readiness = container["readinessProbe"]
    assert readiness["periodSeconds"] * readiness["failureThreshold"] < float(find_variables("api")["API_DRAIN_S"])


@pytest.mark.parametrize("part", ["worker", "dispatcher"])
def test_sign_of_life_is_the_one_of_compose_and_an_outage_of_redis_restarts_nobody(part: str) -> None:
    container = find_container(part)
    ready, alive = (container[f"{name}Probe"]["exec"]["command"][-1] for name in ("readiness", "liveness"))
    assert ready.replace('"', "") == SERVICES[part]["healthcheck"]["test"][-1].replace("$$", "$")
    assert ready.replace("-mmin -1 ", "-mmin -10 ") == alive
    assert container["livenessProbe"]["initialDelaySeconds"] >= 600
    [init] = find_pod(part)["initContainers"]
    assert init["args"] == ["alembic", "upgrade", "head"]


@pytest.mark.parametrize("part", PARTS)
def test_settings_are_known_make_sense_and_hold_no_secret(part: str, tmp_path: Path) -> None:
    variables = find_variables(part)
    assert {name for name in variables if name not in NO_SETTINGS} <= {name.upper() for name in Settings.model_fields}
    assert not SECRETS_IN_FILES & variables.keys()
    from_secrets = {variable["name"] for variable in find_container(part)["env"] if "valueFrom" in variable}
    left_out = NO_SETTINGS | from_secrets
    plain: dict[str, Any] = {name.lower(): value for name, value in variables.items() if name not in left_out and not name.endswith("_FILE")}
    Settings(_env_file=None, database_url="postgresql://h/d", redis_url="redis://h/0", upload_dir=tmp_path, **plain)


@pytest.mark.parametrize("part", PARTS)
def test_secrets_are_files_of_secrets_that_only_their_part_sees(part: str) -> None:
    named = {found["metadata"]["name"]: set(found["stringData"]) for found in load("base/secrets.example.yaml")}
    pod, container = find_pod(part), find_container(part)
    volumes = {volume["name"]: volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
    mounted = {mount["mountPath"]: volumes[mount["name"]] for mount in container["volumeMounts"] if mount["name"] in volumes}
    own = {"api": {"/secrets/api": "rowgate-api"}, "dispatcher": {"/secrets/dispatcher": "rowgate-dispatcher"}}
    assert mounted == {"/secrets/servers": "rowgate-servers", **own.get(part, {})}
    for name, value in find_variables(part).items():
        if name.endswith("_FILE") and name != "ALIVE_FILE":
            folder, _, key = value.rpartition("/")
            assert key in named[mounted[folder]]
    for variable in container["env"]:
        if "valueFrom" in variable:
            reference = variable["valueFrom"]["secretKeyRef"]
            assert reference["key"] in named[reference["name"]]


def test_template_of_secrets_has_no_value_that_could_be_used() -> None:
    for found in load("base/secrets.example.yaml"):
        assert all("REPLACE" in value for value in found["stringData"].values())
    with pytest.raises(ValueError, match="shorter"):
        parse_api_keys(load("base/secrets.example.yaml")[1]["stringData"]["api-keys"])


def test_settings_of_the_migration_are_those_of_the_service() -> None:
    service, migration = (read_env(FOLDER / name / "settings.env") for name in ("base", "migrate"))
    assert migration.items() <= service.items()
    assert load("migrate/job.yaml")[0]["spec"]["template"]["spec"]["containers"][0]["args"] == ["alembic", "upgrade", "head"]


def test_workers_are_scaled_by_jobs_that_wait_or_run() -> None:
    [scaled] = load("autoscaling/worker.yaml")
    [trigger] = scaled["spec"]["triggers"]
    assert scaled["spec"]["scaleTargetRef"]["name"] == find_deployment("worker")["metadata"]["name"]
    assert trigger["metadata"]["threshold"] == find_variables("worker")["WORKER_SLOTS"]
    gauges = (ROOT / "features/health/gauges.py").read_text()
    [metric] = re.findall(r"(rowgate_\w+)\{", trigger["metadata"]["query"])
    assert f'"{metric}"' in gauges


def test_connections_of_all_replicas_fit_into_what_the_document_says() -> None:
    """The largest number of pods that the autoscalers start."""
    pools = find_variables("api")
    [hpa], [scaled] = load("autoscaling/api.yaml"), load("autoscaling/worker.yaml")
    apis = hpa["spec"]["maxReplicas"] * 4 * (int(pools["DB_POOL_SIZE"]) + int(pools["DB_MAX_OVERFLOW"]))
    workers = scaled["spec"]["maxReplicaCount"] * int(find_variables("worker")["WORKER_SLOTS"]) * 3
    dispatchers = find_deployment("dispatcher")["spec"]["replicas"] * 16
    assert f"{apis} + {workers} + {dispatchers} + 3 = {apis + workers + dispatchers + 3}" in (ROOT / "docs/operations.md").read_text()


def list_selected(objects: Sequence[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [found for found in objects if found["kind"] == kind]


@pytest.mark.parametrize("part", PARTS)
def test_labels_that_are_looked_for_are_those_of_the_pods(part: str) -> None:
    objects = load(f"base/{part}.yaml")
    deployment = find_deployment(part)
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    for budget in list_selected(objects, "PodDisruptionBudget"):
        assert budget["spec"]["selector"]["matchLabels"] == labels
    for service in list_selected(objects, "Service"):
        assert service["spec"]["selector"] == labels
