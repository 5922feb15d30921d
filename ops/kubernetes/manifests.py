"""The manifests of a workload: its deployment, how it grows, what may be taken from it, who may reach it."""

from typing import Any, Final

from ops.kubernetes.workloads import Workload

#: A worker drains for up to 20 s and leaves within 36 s at worst; killing it earlier only costs repeats.
GRACE_S: Final = 40

#: Where health and metrics answer in every pod.
METRICS_PORT: Final = 9464

#: Settings that every process shares, and secrets that Kafka and Redis are reached with: made by the site.
SETTINGS_NAME: Final = "diastole-settings"
ACCESS_NAME: Final = "diastole-access"

IMAGE: Final = "diastole"
_USER: Final = 10001
_HOME: Final = "/var/lib/diastole"

Manifest = dict[str, Any]


def deployment(workload: Workload) -> Manifest:
    """Describe the processes of a workload.

    Raising no replicas where something grows them: applying again must not shrink what has grown.
    """
    spec: Manifest = {"selector": {"matchLabels": _own(workload)}}
    if workload.growth is None:
        spec["replicas"] = workload.replicas
    # One more first, then one less: a partition is without a worker only while the group hands it over.
    spec["strategy"] = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    spec["template"] = {"metadata": {"labels": labels(workload)}, "spec": _pod(workload)}
    return _manifest("apps/v1", "Deployment", workload, spec)


def scaled_object(workload: Workload) -> Manifest:
    """Grow a stage with its lag, by KEDA; the settings' placeholders are filled in by the site's overlay.

    Each change of a group's size moves partitions, so it shrinks slowly: one worker every five minutes.
    """
    growth, route = workload.growth, workload.route
    if growth is None or route is None:
        raise ValueError(f"{workload.name} does not grow with a topic's lag")
    metadata = {
        "bootstrapServers": "kafka:9092",
        "consumerGroup": route.group,
        "topic": route.consumes,
        "lagThreshold": str(growth.lag_per_worker),
        "offsetResetPolicy": "earliest",
        "allowIdleConsumers": "false",
    }
    slowly = {
        "stabilizationWindowSeconds": 300,
        "policies": [{"type": "Pods", "value": 1, "periodSeconds": 300}],
    }
    spec: Manifest = {
        "scaleTargetRef": {"name": workload.name},
        "minReplicaCount": growth.least,
        "maxReplicaCount": growth.most,
        "pollingInterval": 15,
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": {"scaleDown": slowly}}},
        "triggers": [{"type": "kafka", "metadata": metadata}],
    }
    return _manifest("keda.sh/v1alpha1", "ScaledObject", workload, spec)


def disruption_budget(workload: Workload) -> Manifest:
    """Let maintenance take one pod of a workload at a time."""
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": _own(workload)}}
    return _manifest("policy/v1", "PodDisruptionBudget", workload, spec)


def service(workload: Workload) -> Manifest:
    """Give what a workload serves a name in the cluster; who reaches it from outside is the site's matter."""
    spec: Manifest = {
        "selector": _own(workload),
        "ports": [{"name": "http", "port": workload.port, "targetPort": "http"}],
        # A session of the pages is known to the pod that began it.
        "sessionAffinity": "ClientIP",
    }
    return _manifest("v1", "Service", workload, spec)


def topics_job(partitions: int) -> Manifest:
    """Make the topics, once before everything else; running it again makes what is missing."""
    workload = Workload(
        name="topics", command=("topics", "apply", "--replication", "3"), cpu="50m", memory="256Mi"
    )
    pod = _pod(workload)
    (container,) = pod["containers"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe", "ports"):
        container.pop(probe)
    container["env"] = [{"name": "DIASTOLE_PARTITIONS", "value": str(partitions)}]
    pod["restartPolicy"] = "OnFailure"
    spec = {"backoffLimit": 10, "template": {"metadata": {"labels": labels(workload)}, "spec": pod}}
    return _manifest("batch/v1", "Job", workload, spec)


def network_policies() -> list[Manifest]:
    """Let nobody in but Prometheus to health and metrics, and whoever the site names to the API."""
    ours = {"matchLabels": {"app.kubernetes.io/name": "diastole"}}
    metrics = {
        "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
        "ports": [{"port": METRICS_PORT, "protocol": "TCP"}],
    }
    within = {"from": [{"podSelector": ours}], "ports": [{"port": METRICS_PORT, "protocol": "TCP"}]}
    readers = {
        "from": [{"namespaceSelector": {"matchLabels": {"diastole/reads": "true"}}}],
        "ports": [{"port": 8010, "protocol": "TCP"}],
    }
    api = {"matchLabels": {"app.kubernetes.io/component": "api"}}
    return [
        _policy("metrics", {"podSelector": ours, "policyTypes": ["Ingress"], "ingress": [metrics, within]}),
        _policy("api", {"podSelector": api, "policyTypes": ["Ingress"], "ingress": [readers]}),
    ]


def labels(workload: Workload) -> dict[str, str]:
    """Label what belongs to a workload, by Kubernetes' recommended names."""
    return {"app.kubernetes.io/name": "diastole", **_own(workload)}


def _own(workload: Workload) -> dict[str, str]:
    return {"app.kubernetes.io/component": workload.name}


def _manifest(version: str, kind: str, workload: Workload, spec: Manifest) -> Manifest:
    metadata = {"name": workload.name, "labels": labels(workload)}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def _policy(name: str, spec: Manifest) -> Manifest:
    metadata = {"name": f"diastole-{name}"}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata,
        "spec": spec,
    }


def _pod(workload: Workload) -> Manifest:
    mounts = [("tmp", "/tmp"), ("home", _HOME), ("access", "/etc/diastole/access")]  # noqa: S108
    mounts += [(name, f"/etc/diastole/{name}") for name in workload.secrets]
    memory = {"emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}}
    # Optional: without Kafka's and Redis' secrets connections are plain, as the site's settings say.
    secrets = [
        _secret("access", ACCESS_NAME),
        *(_secret(name, f"diastole-{name}") for name in workload.secrets),
    ]
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_S,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        # Losing a node must not take both workers of a stage.
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": _own(workload)},
            }
        ],
        "containers": [_container(workload, mounts)],
        "volumes": [{"name": "tmp", **memory}, {"name": "home", **memory}, *secrets],
    }


def _secret(volume: str, name: str) -> Manifest:
    return {"name": volume, "secret": {"secretName": name, "defaultMode": 0o440, "optional": True}}


def _container(workload: Workload, mounts: list[tuple[str, str]]) -> Manifest:
    ports = [{"name": "metrics", "containerPort": METRICS_PORT}]
    if workload.port is not None:
        ports.append({"name": "http", "containerPort": workload.port})
    alive = {"httpGet": {"path": "/healthz", "port": "metrics"}, "timeoutSeconds": 4}
    ready = {"httpGet": {"path": "/readyz", "port": "metrics"}, "timeoutSeconds": 4}
    return {
        "name": workload.name,
        "image": IMAGE,
        "args": list(workload.command),
        "envFrom": [{"configMapRef": {"name": SETTINGS_NAME}}],
        "ports": ports,
        # The model is loaded and every batch shape warmed up before the first ECG: two minutes at most.
        "startupProbe": alive | {"periodSeconds": 5, "failureThreshold": 24},
        "livenessProbe": alive | {"periodSeconds": 10, "failureThreshold": 3},
        "readinessProbe": ready | {"periodSeconds": 5, "failureThreshold": 3},
        "resources": {
            "requests": {"cpu": workload.cpu, "memory": workload.memory},
            "limits": {"memory": workload.memory},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": name, "mountPath": path, **({"readOnly": True} if path.startswith("/etc") else {})}
            for name, path in mounts
        ],
    }
