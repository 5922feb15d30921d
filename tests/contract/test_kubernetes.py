"""The manifests follow from the table, are what Kubernetes takes, hardened, and speak of what exists.

There is no cluster in a test run: that pods start is not proven here.
"""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from command_line import assert_accepted

from ops.kubernetes.files import SETTINGS, base_files
from ops.kubernetes.manifests import GRACE_S, METRICS_PORT, scaled_object
from ops.kubernetes.workloads import LEFT_OUT, PARTITIONS, WORKLOADS
from streams.settings import PREFIX, Settings
from streams.topology import ALL_ROUTES

FOLDER = Path(__file__).resolve().parents[2] / "ops/kubernetes"
VERSIONS = ("1.32", "1.35")

DOCUMENTS: list[dict[str, Any]] = [
    document
    for name, text in base_files().items()
    if name != "kustomization.yaml"
    for document in yaml.safe_load_all(text)
]
WITH_PODS = [each for each in DOCUMENTS if "template" in each["spec"]]
NAMED = {f"{each['kind']}/{each['metadata']['name']}": each for each in DOCUMENTS}


def pod_of(manifest: dict[str, Any]) -> dict[str, Any]:
    pod: dict[str, Any] = manifest["spec"]["template"]["spec"]
    return pod


def name_of(manifest: dict[str, Any]) -> str:
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


every_pod = pytest.mark.parametrize("manifest", WITH_PODS, ids=name_of)


def test_files_are_what_the_table_says() -> None:
    written = {path.name: path.read_text() for path in (FOLDER / "base").iterdir()}
    assert written == base_files(), "run: python -m ops.kubernetes.files ops/kubernetes/base"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("manifest", DOCUMENTS, ids=name_of)
def test_kubernetes_takes_it(manifest: dict[str, Any], version: str) -> None:
    if manifest["apiVersion"].startswith("keda.sh/"):
        assert set(manifest["spec"]) <= {
            "scaleTargetRef",
            "minReplicaCount",
            "maxReplicaCount",
            "pollingInterval",
            "advanced",
            "triggers",
        }
        return
    kubernetes_validate.validate(manifest, version, strict=True)


def test_a_misspelt_key_would_be_refused() -> None:
    wrong = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"portz": []}}
    with pytest.raises(kubernetes_validate.ValidationError, match="portz"):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


def test_every_stage_is_run_and_every_name_is_once_there() -> None:
    assert {each.name for each in WORKLOADS if each.route} == set(ALL_ROUTES) - LEFT_OUT
    assert len(NAMED) == len(DOCUMENTS)


@every_pod
def test_pod_is_hardened(manifest: dict[str, Any]) -> None:
    pod = pod_of(manifest)
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert set(container["resources"]["requests"]) == {"cpu", "memory"}
    assert set(container["resources"]["limits"]) == {"memory"}


@every_pod
def test_pod_may_write_only_in_memory_and_finds_its_volumes(manifest: dict[str, Any]) -> None:
    pod = pod_of(manifest)
    (container,) = pod["containers"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounted = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert volumes.keys() == mounted.keys()
    for name, mount in mounted.items():
        if "secret" in volumes[name]:
            assert mount["readOnly"] is True
            assert volumes[name]["secret"]["defaultMode"] == 0o440
        else:
            assert volumes[name]["emptyDir"]["medium"] == "Memory"


@every_pod
def test_pod_has_the_time_its_worker_needs_to_leave(manifest: dict[str, Any]) -> None:
    assert pod_of(manifest)["terminationGracePeriodSeconds"] == GRACE_S
    assert Settings().drain_budget_s + 16 <= GRACE_S  # cancelling, leaving the group, closing


def test_settings_exist_and_hold() -> None:
    given = {name.removeprefix(PREFIX).lower(): text for name, text in SETTINGS.items()}
    settings = Settings.model_validate_strings(given)
    assert settings.partitions == PARTITIONS
    assert settings.metrics_port == METRICS_PORT


def test_settings_of_the_overlays_exist_and_hold() -> None:
    (generated,) = yaml.safe_load((FOLDER / "overlays/example/kustomization.yaml").read_text())[
        "configMapGenerator"
    ]
    literals = dict(literal.split("=", 1) for literal in generated["literals"])
    merged = {**SETTINGS, **literals}
    Settings.model_validate_strings(
        {name.removeprefix(PREFIX).lower(): text for name, text in merged.items()}
    )


@pytest.mark.parametrize("manifest", WITH_PODS, ids=name_of)
def test_command_is_one_the_command_line_accepts(manifest: dict[str, Any]) -> None:
    assert_accepted(pod_of(manifest)["containers"][0]["args"])


@pytest.mark.parametrize("workload", [each for each in WORKLOADS if each.growth], ids=lambda each: each.name)
def test_a_stage_grows_with_its_own_lag_and_never_beyond_its_partitions(workload: Any) -> None:
    spec = scaled_object(workload)["spec"]
    (trigger,) = spec["triggers"]
    route = ALL_ROUTES[workload.name]
    assert trigger["metadata"]["consumerGroup"] == route.group
    assert trigger["metadata"]["topic"] == route.consumes
    assert 2 <= spec["minReplicaCount"] <= spec["maxReplicaCount"] <= PARTITIONS
    assert "replicas" not in NAMED[f"Deployment/{workload.name}"]["spec"]


def test_every_lasting_workload_survives_the_loss_of_a_node() -> None:
    for workload in WORKLOADS:
        deployed = NAMED[f"Deployment/{workload.name}"]["spec"]
        least = workload.growth.least if workload.growth else deployed["replicas"]
        assert least >= 2
        assert NAMED[f"PodDisruptionBudget/{workload.name}"]["spec"]["maxUnavailable"] == 1


def test_overlays_change_what_is_there() -> None:
    for overlay in (FOLDER / "overlays").iterdir():
        told = yaml.safe_load((overlay / "kustomization.yaml").read_text())
        assert told["resources"] == ["../../base"]
        for patch in told.get("patches", []):
            target = patch["target"]
            matched = [
                each
                for each in DOCUMENTS
                if each["kind"] == target["kind"]
                and target.get("name", each["metadata"]["name"]) == each["metadata"]["name"]
            ]
            assert matched
            for step in yaml.safe_load(patch["patch"]):
                for manifest in matched:
                    assert_there(manifest, step["path"], replaced=step["op"] == "replace")


def assert_there(manifest: Any, path: str, *, replaced: bool) -> None:
    *parents, last = [part.replace("~1", "/") for part in path.strip("/").split("/")]
    for part in parents:
        manifest = manifest[int(part)] if isinstance(manifest, list) else manifest[part]
    assert not replaced or last in manifest
