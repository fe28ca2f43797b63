"""``deployment.yaml`` and ``leaderworkerset.yaml``: the plan for Kubernetes, and back.

One host serves from a Deployment, several together from a LeaderWorkerSet (sigs.k8s.io/lws), whose
controller gives each pod LWS_LEADER_ADDRESS and LWS_WORKER_INDEX; vLLM takes them as
``--master-addr`` and ``--node-rank`` (vLLM 0.32, parallel configuration).

The pod that serves a plan, as Kubernetes' objects hold it, and back.

A dollar sign is doubled everywhere: the kubelet expands ``$(NAME)`` in command, args and values,
and takes ``$$`` for one dollar sign. Exclusive CPUs come from Guaranteed QoS: whole CPUs, and
requests equal to limits of CPU and memory, on a node whose kubelet has the static CPU policy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trimtab.errors import StudyError, UsageError
from trimtab.export import order as ordered
from trimtab.export.container import (
    CACHE,
    CommandWord,
    ContainerSpec,
    container_of,
    plan_of,
    sysctl_name,
)
from trimtab.export.heading import comment, heading
from trimtab.export.order import Artefact, Order, ParsedArtefact
from trimtab.facts.parsing import format_cpu_list, parse_cpu_list
from trimtab.families import read_command
from trimtab.storage import strict_yaml

CPUS = "trimtab.cpus"
_ARGUMENTS = "trimtab.secret-arguments"
_SHM = "/dev/shm"  # noqa: S108  where shared memory is mounted

STARTUP_MINUTES = 30
"""How long a model may take to download, load and compile before the pod counts as failed."""


def pod_annotations(specification: ContainerSpec) -> dict[str, str]:
    """Return the pod's annotations: what its other fields cannot say of the plan."""
    cpus = {CPUS: format_cpu_list(specification.affinity)} if specification.affinity else {}
    secrets = _argument_secrets(specification)
    return {
        **specification.labels,
        **cpus,
        **({_ARGUMENTS: ",".join(secrets)} if secrets else {}),
    }


def pod(
    order: Order, specification: ContainerSpec, extra: Sequence[str] = (), *, serves: bool = True
) -> dict[str, Any]:
    """Return the pod's specification.

    ``extra`` are arguments of one member of a group, which the kubelet expands. ``serves`` says
    whether this pod answers requests, and so is probed and listens.

    Raises:
        UsageError: the plan pins CPUs, and nobody said how much memory a Guaranteed pod gets.
    """
    hosted = {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}
    sysctls = [{"name": sysctl_name(w.path), "value": w.text} for w in specification.sysctls]
    return {
        **(hosted if order.network == "host" else {}),
        # A service called vllm would set VLLM_PORT to a URL, which vLLM reads as its own variable.
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 60,
        **({"securityContext": {"sysctls": sysctls}} if sysctls else {}),
        "containers": [_container(order, specification, extra, serves)],
        "volumes": [
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": f"{order.shm}Gi"}},
            {"name": "cache", "emptyDir": {}},
            *(
                {"name": f"mount-{n}", "hostPath": {"path": path}}
                for n, path in enumerate(specification.mounts)
            ),
        ],
    }


def _container(
    order: Order, specification: ContainerSpec, extra: Sequence[str], serves: bool
) -> dict[str, Any]:
    listen = ["--host", "0.0.0.0", "--port", str(order.port)]  # noqa: S104  the pod's address
    words = [*(_word(word) for word in specification.words), *(listen if serves else []), *extra]
    command = {"command": words[:1], "args": words[1:]} if specification.entry else {"args": words}
    probed = _probes(order) if serves else {}
    ports = {"ports": [{"name": "http", "containerPort": order.port}]} if serves else {}
    security = (
        {"capabilities": {"add": list(specification.capabilities)}}
        if specification.capabilities
        else {}
    )
    return {
        "name": order.name,
        "image": specification.image,
        **command,
        "env": _env(order, specification),
        **ports,
        **({"securityContext": security} if security else {}),
        "resources": _resources(order, specification),
        **probed,
        "volumeMounts": [
            {"name": "shm", "mountPath": _SHM},
            {"name": "cache", "mountPath": CACHE},
            *(
                {"name": f"mount-{n}", "mountPath": path, "readOnly": True}
                for n, path in enumerate(specification.mounts)
            ),
        ],
    }


def _env(order: Order, specification: ContainerSpec) -> list[dict[str, Any]]:
    own = [
        {"name": name, "value": _plain(value)} if value is not None else _secret_ref(order, name)
        for name, value in specification.env
    ]
    names = {name for name, _ in specification.env}
    return [
        *own,
        *(
            _secret_ref(order, name)
            for name in _argument_secrets(specification)
            if name not in names
        ),
    ]


def _secret_ref(order: Order, name: str) -> dict[str, Any]:
    wanted = {"name": f"{order.name}-secrets", "key": name}
    return {"name": name, "valueFrom": {"secretKeyRef": wanted}}


def _argument_secrets(specification: ContainerSpec) -> list[str]:
    """Return the secrets that only arguments take: variables of the container, not of the plan."""
    names = {name for name, _ in specification.env}
    found = dict.fromkeys(word.secret for word in specification.words if word.secret)
    return [name for name in found if name not in names]


def has_secrets(specification: ContainerSpec) -> bool:
    """Return whether the pod needs a Secret."""
    return bool(_argument_secrets(specification)) or any(
        value is None for _, value in specification.env
    )


def _probes(order: Order) -> dict[str, Any]:
    invocation = read_command(order.profile.plan.settings.argv)
    scheme = {"scheme": "HTTPS"} if invocation.value("--ssl-certfile") else {}
    get = {"httpGet": {"path": "/health", "port": "http", **scheme}, "timeoutSeconds": 5}
    return {
        "startupProbe": {
            **get,
            "periodSeconds": 10,
            "failureThreshold": STARTUP_MINUTES * 6,
        },
        "readinessProbe": {**get, "periodSeconds": 5, "failureThreshold": 3},
        "livenessProbe": {**get, "periodSeconds": 10, "failureThreshold": 6},
    }


def _resources(order: Order, specification: ContainerSpec) -> dict[str, Any]:
    chip, count = ordered.chip(order), ordered.devices(order)
    cpus = len(specification.affinity) if specification.affinity else order.cpus
    if specification.affinity and order.memory is None:
        raise UsageError(
            f"the plan pins {len(specification.affinity)} CPUs, and a pod has CPUs of its own "
            "only when it "
            "is Guaranteed: say its memory too, with --memory GIB"
        )
    own = {
        **({"cpu": str(cpus)} if cpus else {}),
        **({"memory": f"{order.memory}Gi"} if order.memory else {}),
    }
    limits = {**own, **({chip.resource: str(count)} if count else {})}
    return {key: dict(limits) for key in ("requests", "limits") if limits}


def qos(order: Order, specification: ContainerSpec) -> list[str]:
    """Return what to say of the pod's CPUs."""
    pinned = (
        f"; measured were the CPUs {format_cpu_list(specification.affinity)}"
        if specification.affinity
        else ""
    )
    if (specification.affinity or order.cpus) and order.memory:
        return [
            "Guaranteed QoS: whole CPUs, requests equal to limits. A kubelet with the static CPU",
            f"manager policy gives the pod CPUs of its own, and chooses which{pinned}.",
        ]
    return ["The pod shares its CPUs with others: --cpus and --memory make it Guaranteed."]


def _plain(text: str) -> str:
    return text.replace("$", "$$")


def _word(word: CommandWord) -> str:
    return _plain(word.text) + (f"$({word.secret})" if word.secret else "")


def parse_pod(template: Mapping[str, Any], extra: int) -> ParsedArtefact:
    """Return the plan of a pod template, whose last ``extra`` arguments are a group's.

    Raises:
        StudyError: it is not one that :func:`pod` makes.
    """
    said = dict(template["metadata"]["annotations"])
    (container,) = template["spec"]["containers"]
    words = [*container.get("command", []), *container["args"]]
    words = words[: len(words) - extra]
    if words[-4::2] != ["--host", "--port"]:
        raise StudyError("a pod must say where its server listens")
    arguments = said.get(_ARGUMENTS, "").split(",")
    env = [
        (str(one["name"]), _single(one["value"]) if "value" in one else None)
        for one in container["env"]
        if "value" in one or one["name"] not in arguments
    ]
    sysctls = template["spec"].get("securityContext", {}).get("sysctls", [])
    cpus = said.get(CPUS)
    return plan_of(
        [_single(word) for word in words[:-4]],
        env,
        said,
        parse_cpu_list(cpus) if cpus else None,
        {sysctl["name"]: sysctl["value"] for sysctl in sysctls},
    )


def _single(text: str) -> str:
    return text.replace("$$", "$")


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
    specification = container_of(order)
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
                "metadata": {"labels": labels, "annotations": pod_annotations(specification)},
                "spec": pod(order, specification),
            },
        },
    }
    said = _said(order, specification, DEPLOYMENT, "Kubernetes Deployment")
    return _written(said, _service(order, labels), deployment)


def render_group(order: Order) -> str:
    """Return a LeaderWorkerSet with the Service before its leader.

    Raises:
        StudyError: the plan holds something that no pod can carry, or joins hosts already.
        UsageError: image, chip or memory must be named, or the hosts do not share the devices.
    """
    specification = container_of(order)
    invocation = read_command(order.profile.plan.settings.argv)
    taken = [name for name in _JOIN if invocation.value(name)]
    if taken:
        raise StudyError(f"the plan must leave {taken[0]} to the group, but sets it")
    labels = _labels(order)
    join = ["--nnodes", str(order.hosts), "--master-addr", "$(LWS_LEADER_ADDRESS)", "--node-rank"]
    said = pod_annotations(specification)

    def template(role: str, extra: list[str], *, serves: bool) -> dict[str, Any]:
        metadata = {"labels": {**labels, "role": role}, "annotations": said}
        return {
            "metadata": metadata,
            "spec": pod(order, specification, [*join, *extra], serves=serves),
        }

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
    comments = _said(order, specification, GROUP, f"LeaderWorkerSet over {order.hosts} hosts")
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


def _said(order: Order, specification: ContainerSpec, file: str, what: str) -> list[str]:
    chip = ordered.chip(order)
    more = [*specification.notes, *qos(order, specification)]
    if chip.resource:
        more.append(
            f"{chip.resource} is the vendor's device plugin's name for {chip.name}; another "
            "plugin's is in kubectl describe node. The plugin mounts the driver."
        )
    if specification.mounts:
        more.append("A hostPath must be on every node that may run the pod, or become a claim.")
    if specification.sysctls:
        more.append("Sysctls that the kubelet calls unsafe need its --allowed-unsafe-sysctls.")
    if has_secrets(specification):
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
        done={write.path for write in specification.sysctls},
        more=more,
    )


def _written(said: list[str], *objects: dict[str, Any]) -> str:
    return comment(said) + "\n" + "---\n".join(strict_yaml.dump(one) for one in objects)


def parse_deployment(text: str) -> ParsedArtefact:
    """Return the plan of a manifest that :func:`render_deployment` wrote.

    Raises:
        StudyError: it is none.
    """
    return _parse(text, DEPLOYMENT)


def parse_group(text: str) -> ParsedArtefact:
    """Return the plan of a manifest that :func:`render_group` wrote.

    Raises:
        StudyError: it is none.
    """
    return _parse(text, GROUP)


def _parse(text: str, file: str) -> ParsedArtefact:
    try:
        # Newlines inside a value are escaped: no line of one is ever just three dashes.
        spec = strict_yaml.load(text.rpartition("\n---\n")[2])["spec"]
        if file == DEPLOYMENT:
            return parse_pod(spec["template"], 0)
        return parse_pod(spec["leaderWorkerTemplate"]["leaderTemplate"], 6)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise StudyError(f"{file} must be as trimtab wrote it, but: {error}") from error


FORMATS = {
    "kubernetes": (
        Artefact(
            DEPLOYMENT,
            render_deployment,
            parse_deployment,
            absent_deployment,
            summary="Deployment",
        ),
        Artefact(
            GROUP,
            render_group,
            parse_group,
            absent_group,
            summary="with --hosts a LeaderWorkerSet",
        ),
    )
}
