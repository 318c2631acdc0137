"""Check the manifests of Kubernetes: every file against the schemas of its oldest and newest release that are meant, with no field that these do not know.

    python -m compose.check_kubernetes [FOLDER]

The schemas come with the package kubernetes-validate. Kustomizations, and what KEDA reads, have schemas here that know the fields which are used. No cluster
and no kubectl is needed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml

FOLDER = Path(__file__).with_name("kubernetes")
RELEASES = ("1.31", "1.37")
KUSTOMIZATION = "kustomization.yaml"
TEMPLATE = ".example.yaml"
"""How a file ends that nobody applies as it is."""


def _object(required: Sequence[str] = (), **properties: Any) -> dict[str, Any]:  # noqa: ANN401  # JSON Schema
    return {"type": "object", "additionalProperties": False, "required": list(required), "properties": properties}


def _list_of(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": 1}


_TEXT = {"type": "string", "minLength": 1}
_NUMBER = {"type": "integer", "minimum": 0}
_NAMED = {"type": "object", "required": ["name"]}
_TEXTS = {"type": "object", "additionalProperties": _TEXT}

_SCALED = _object(
    ["apiVersion", "kind", "metadata", "spec"],
    apiVersion=_TEXT,
    kind={"const": "ScaledObject"},
    metadata=_NAMED,
    spec=_object(
        ["scaleTargetRef", "triggers"],
        scaleTargetRef=_object(["name"], name=_TEXT),
        pollingInterval=_NUMBER,
        cooldownPeriod=_NUMBER,
        minReplicaCount=_NUMBER,
        maxReplicaCount=_NUMBER,
        fallback=_object(["failureThreshold", "replicas"], failureThreshold=_NUMBER, replicas=_NUMBER),
        advanced=_object(horizontalPodAutoscalerConfig=_object(behavior={"type": "object"})),
        triggers=_list_of(
            _object(
                ["type", "metadata"],
                type={"const": "prometheus"},
                metricType={"enum": ["AverageValue", "Value"]},
                metadata=_object(
                    ["serverAddress", "query", "threshold"],
                    serverAddress=_TEXT,
                    query=_TEXT,
                    threshold=_TEXT,
                    activationThreshold=_TEXT,
                    ignoreNullValues={"enum": ["true", "false"]},
                ),
            )
        ),
    ),
)
"""Of what KEDA reads (https://keda.sh/docs/latest/reference/scaledobject-spec/), the fields that are used."""

_KUSTOMIZATION = _object(
    ["apiVersion", "kind"],
    apiVersion={"pattern": r"^kustomize\.config\.k8s\.io/v1(alpha1|beta1)$"},
    kind={"enum": ["Kustomization", "Component"]},
    namespace=_TEXT,
    resources=_list_of(_TEXT),
    components=_list_of(_TEXT),
    labels=_list_of(_object(["pairs"], pairs=_TEXTS, includeSelectors={"type": "boolean"})),
    images=_list_of(_object(["name"], name=_TEXT, newName=_TEXT, newTag=_TEXT)),
    configMapGenerator=_list_of(_object(["name"], name=_TEXT, envs=_list_of(_TEXT), literals=_list_of(_TEXT), behavior={"enum": ["create", "merge"]})),
    patches=_list_of(_object(["patch"], target=_object(kind=_TEXT, name=_TEXT), patch=_TEXT)),
)


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML has no types
    """Refuses a key that is there twice, of which PyYAML would take the last."""


def _read_mapping(loader: Any, node: Any) -> dict[Any, Any]:  # noqa: ANN401  # PyYAML has no types
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    twice = sorted({str(key) for key in keys if keys.count(key) > 1})
    if twice:
        raise yaml.YAMLError(f"{', '.join(twice)} is there twice (line {node.start_mark.line + 1})")
    loader.flatten_mapping(node)
    return dict(loader.construct_pairs(node, deep=True))


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _read_mapping)


def read_objects(text: str) -> Sequence[Any]:
    """Return the objects of a file. Raises `yaml.YAMLError`."""
    return [found for found in yaml.load_all(text, _Loader) if found is not None]  # a safe one


def find_mistakes(folder: Path = FOLDER) -> list[str]:
    """Return a line for each mistake in the manifests of a folder and its subfolders."""
    return [
        f"{path.relative_to(folder)}: {mistake}"
        for path in sorted(folder.rglob("*.yaml"))
        for mistake in [*_find_in_file(path), *(_find_unlisted(path) if path.name == KUSTOMIZATION else ())]
    ]


def find_in_objects(text: str) -> list[str]:
    """Return the mistakes in the objects of one file."""
    try:
        objects = read_objects(text)
    except yaml.YAMLError as error:
        return [" ".join(str(error).split())]
    return [mistake for found in objects for mistake in _find_in_object(found)]


def _find_in_file(path: Path) -> list[str]:
    return [] if path.name == KUSTOMIZATION else find_in_objects(path.read_text())


def _find_in_object(found: Any) -> Iterator[str]:  # noqa: ANN401  # YAML
    if not isinstance(found, dict) or not isinstance(found.get("apiVersion"), str) or not isinstance(found.get("kind"), str):
        yield "an object has no apiVersion or no kind"
        return
    name = f"{found['kind']} {(found.get('metadata') or {}).get('name')}"
    if found["apiVersion"] == "keda.sh/v1alpha1":
        yield from (f"{name}: {mistake}" for mistake in _judge(found, _SCALED))
        return
    for release in RELEASES:
        try:
            kubernetes_validate.validate(found, release, strict=True)
        except kubernetes_validate.ValidationError as error:
            yield f"{name}: {'.'.join(map(str, error.path)) or 'the object'}: {error.message} (Kubernetes {release})"
        except kubernetes_validate.SchemaNotFoundError:
            yield f"{name}: Kubernetes {release} knows no {found['apiVersion']} {found['kind']}"


def _judge(found: object, schema: dict[str, Any]) -> list[str]:
    errors = jsonschema.Draft202012Validator(schema).iter_errors(found)
    return [f"{'.'.join(map(str, error.path)) or 'the object'}: {error.message}" for error in errors]


def _find_unlisted(path: Path) -> Iterator[str]:
    """Compare a kustomization with what lies beside it: every file is named, and what is named is there."""
    try:
        [content] = read_objects(path.read_text())
    except (yaml.YAMLError, ValueError) as error:
        yield " ".join(str(error).split())
        return
    yield from (mistakes := _judge(content, _KUSTOMIZATION))
    if mistakes:
        return
    environments = {env for each in content.get("configMapGenerator", ()) for env in each.get("envs", ())}
    named = {*content.get("resources", ()), *content.get("components", ()), *environments}
    for name in sorted(named):
        place = path.parent / name
        if not (place / KUSTOMIZATION if place.is_dir() else place).is_file():
            yield f"{name} is named, and is not there"
    beside = {each.name for each in path.parent.iterdir() if each.suffix in {".yaml", ".env"} and each.name != KUSTOMIZATION}
    for name in sorted(beside - named):
        if not name.endswith(TEMPLATE):
            yield f"{name} lies beside it, and is not named"
    for name in sorted(each for each in named if each.endswith(TEMPLATE)):
        yield f"{name} is a template, and must not be applied"


def main(arguments: Sequence[str]) -> int:
    """Print the mistakes; 1 if there are any."""
    mistakes = find_mistakes(*map(Path, arguments))
    sys.stderr.write("".join(f"kubernetes: {mistake}\n" for mistake in mistakes))
    return 1 if mistakes else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
