"""The manifests as files, for ``kubectl apply --kustomize``.

After a change of the table: ``python -m ops.kubernetes.files ops/kubernetes/base``. A test holds the files to
the code. Overlays beside the base are written by hand; they are what a site copies and changes.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import yaml

from ops.kubernetes.manifests import (
    SETTINGS_NAME,
    Manifest,
    deployment,
    disruption_budget,
    network_policies,
    scaled_object,
    service,
    topics_job,
)
from ops.kubernetes.workloads import PARTITIONS, WORKLOADS

#: What every process is told; a site's overlay changes them.
SETTINGS: Final = {
    "DIASTOLE_BROKER": "kafka:9092",
    "DIASTOLE_REDIS_URL": "redis://redis:6379/0",
    "DIASTOLE_PARTITIONS": str(PARTITIONS),
    "DIASTOLE_HOME": "/var/lib/diastole",
    "DIASTOLE_METRICS_HOST": "0.0.0.0",  # noqa: S104 (inside its own pod)
    "DIASTOLE_METRICS_PORT": "9464",
    "DIASTOLE_LOG_FORMAT": "json",
    "DIASTOLE_DEVICE": "cpu",
}

_HEADING: Final = "# Written by: python -m ops.kubernetes.files ops/kubernetes/base\n"


def base_files() -> dict[str, str]:
    """Write every file of the base, by its name."""
    files = {"topics.yaml": _documents([topics_job(PARTITIONS)])}
    for workload in WORKLOADS:
        parts = [deployment(workload), disruption_budget(workload)]
        if workload.growth is not None:
            parts.append(scaled_object(workload))
        if workload.port is not None:
            parts.append(service(workload))
        files[f"{workload.name}.yaml"] = _documents(parts)
    files["network.yaml"] = _documents(network_policies())
    files["kustomization.yaml"] = _documents([_kustomization(sorted(files))])
    return files


def _kustomization(resources: Sequence[str]) -> Manifest:
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": list(resources),
        "images": [{"name": "diastole", "newName": "diastole", "newTag": "0.1.0-cpu"}],
        "configMapGenerator": [
            {"name": SETTINGS_NAME, "literals": [f"{name}={text}" for name, text in SETTINGS.items()]}
        ],
    }


def _documents(manifests: Sequence[Manifest]) -> str:
    # Anchors would be right too, and hard to read.
    return _HEADING + "---\n".join(
        yaml.dump(each, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=110) for each in manifests
    )


class _Plain(yaml.SafeDumper):
    """Writes a part that occurs twice twice."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def write(folder: Path) -> list[Path]:
    """Write the files below a folder, over those that are there."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in base_files().items():
        (folder / name).write_text(text, encoding="utf-8")
        written.append(folder / name)
    return written


if __name__ == "__main__":
    for path in write(Path(sys.argv[1])):
        print(path)
