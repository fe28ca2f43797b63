"""``deployment.yaml`` and ``leaderworkerset.yaml``: the plan for Kubernetes, and back.

One host serves from a Deployment, several together from a LeaderWorkerSet (sigs.k8s.io/lws), whose
controller gives each pod LWS_LEADER_ADDRESS and LWS_WORKER_INDEX; vLLM takes them as
``--master-addr`` and ``--node-rank`` (vLLM 0.32, parallel configuration).
"""

from __future__ import annotations

from typing import Any

from trimtab.errors import StudyError
from trimtab.export import order as ordered
from trimtab.export.container import Container, container_of
from trimtab.export.heading import comment, heading
from trimtab.export.order import Carried, Order
from trimtab.export.pod import described, has_secrets, parse_pod, pod, qos
from trimtab.knobs.server_arg import option_value
from trimtab.storage import strict_yaml

DEPLOYMENT = "deployment.yaml"
GROUP = "leaderworkerset.yaml"

_JOIN = ("--nnodes", "--node-rank", "--master-addr")


def absent_deployment(order: Order) -> str:
    """Return why there is no Deployment; "" if there is one."""
    return f"{order.hosts} hosts serve together: see {GROUP}" if order.hosts > 1 else ""


def absent_group(order: Order) -> str:
    """Return why there is no LeaderWorkerSet; "" if there is one."""
    return f"one host serves: see {DEPLOYMENT} (--hosts N for several)" if order.hosts < 2 else ""


def render_deployment(order: Order) -> str:
    """Return a Deployment with the Service before it.

    Raises:
        StudyError: the plan holds something that no pod can carry.
        UsageError: image, chip or memory must be named.
    """
    one = container_of(order)
    labels = _labels(order)
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": order.name, "labels": labels},
        "spec": {
            "replicas": 1,
            # A second server beside the first would wait for devices that the first one holds.
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels, "annotations": described(one)},
                "spec": pod(order, one),
            },
        },
    }
    said = _said(order, one, DEPLOYMENT, "Kubernetes Deployment")
    return _written(said, _service(order, labels), deployment)


def render_group(order: Order) -> str:
    """Return a LeaderWorkerSet with the Service before its leader.

    Raises:
        StudyError: the plan holds something that no pod can carry, or joins hosts already.
        UsageError: image, chip or memory must be named, or the hosts do not share the devices.
    """
    one = container_of(order)
    taken = [name for name in _JOIN if option_value(order.profile.plan.settings.argv, name)]
    if taken:
        raise StudyError(f"the plan must leave {taken[0]} to the group, but sets it")
    labels = _labels(order)
    join = ["--nnodes", str(order.hosts), "--master-addr", "$(LWS_LEADER_ADDRESS)", "--node-rank"]
    said = described(one)

    def template(role: str, extra: list[str], *, serves: bool) -> dict[str, Any]:
        metadata = {"labels": {**labels, "role": role}, "annotations": said}
        return {"metadata": metadata, "spec": pod(order, one, [*join, *extra], serves=serves)}

    group = {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": order.name, "labels": labels},
        "spec": {
            "replicas": 1,
            "leaderWorkerTemplate": {
                "size": order.hosts,
                "restartPolicy": "RecreateGroupOnPodRestart",
                "leaderTemplate": template("leader", ["0"], serves=True),
                "workerTemplate": template(
                    "worker", ["$(LWS_WORKER_INDEX)", "--headless"], serves=False
                ),
            },
        },
    }
    comments = _said(order, one, GROUP, f"LeaderWorkerSet over {order.hosts} hosts")
    comments += ["", "The plan was measured on one host: over several, measure it again there."]
    return _written(comments, _service(order, {**labels, "role": "leader"}), group)


def _labels(order: Order) -> dict[str, str]:
    return {"app.kubernetes.io/name": order.name}


def _service(order: Order, selector: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": order.name},
        "spec": {
            "selector": selector,
            "ports": [{"name": "http", "port": order.port, "targetPort": "http"}],
        },
    }


def _said(order: Order, one: Container, file: str, what: str) -> list[str]:
    chip = ordered.chip(order)
    more = [*one.notes, *qos(order, one)]
    if chip.resource:
        more.append(
            f"{chip.resource} is the vendor's device plugin's name for {chip.name}; another "
            "plugin's is in kubectl describe node. The plugin mounts the driver."
        )
    if one.mounts:
        more.append("A hostPath must be on every node that may run the pod, or become a claim.")
    if one.sysctls:
        more.append("Sysctls that the kubelet calls unsafe need its --allowed-unsafe-sysctls.")
    if has_secrets(one):
        more.append(
            f"Secrets: kubectl create secret generic {order.name}-secrets --from-literal=NAME=..."
        )
    more.append(
        "The verify command runs on the node; PID is the server's there (pgrep --full vllm)."
    )
    return heading(
        order,
        what,
        f"kubectl delete --filename {file}",
        done={write.path for write in one.sysctls},
        more=more,
    )


def _written(said: list[str], *objects: dict[str, Any]) -> str:
    return comment(said) + "\n" + "---\n".join(strict_yaml.dump(one) for one in objects)


def parse_deployment(text: str) -> Carried:
    """Return the plan of a manifest that :func:`render_deployment` wrote.

    Raises:
        StudyError: it is none.
    """
    return _parse(text, DEPLOYMENT)


def parse_group(text: str) -> Carried:
    """Return the plan of a manifest that :func:`render_group` wrote.

    Raises:
        StudyError: it is none.
    """
    return _parse(text, GROUP)


def _parse(text: str, file: str) -> Carried:
    try:
        # Newlines inside a value are escaped: no line of one is ever just three dashes.
        spec = strict_yaml.load(text.rpartition("\n---\n")[2])["spec"]
        if file == DEPLOYMENT:
            return parse_pod(spec["template"], 0)
        return parse_pod(spec["leaderWorkerTemplate"]["leaderTemplate"], 6)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise StudyError(f"{file} must be as trimtab wrote it, but: {error}") from error
