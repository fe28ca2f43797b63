"""Options that vLLM refuses beside each other, or on the devices that the server gets.

Each check is one of vLLM's own (``create_engine_config`` and the validators of its configuration
classes, the same in the releases of the tables), told in its options.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from trimtab.catalog import Rule, Scene
from trimtab.catalog.values import is_placeholder
from trimtab.knobs.server_arg import human_int
from trimtab.model.document import Setting
from trimtab.model.finding import Hit, Problem, Severity
from trimtab.rules.lifetimes import serves

_VISIBLE = (
    *("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"),
    *("ASCEND_RT_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "ZE_AFFINITY_MASK"),
)


@dataclass(frozen=True, slots=True)
class DeviceCount:
    """A number of devices, and the words that say who gives them."""

    count: int
    words: str


def devices(scene: Scene) -> DeviceCount | None:
    """Return the fewest devices that a setting gives; ``None`` where none gives a number."""
    if scene.situation.platform in ("cpu", "tpu"):
        return None
    counts = [
        count for count in (*_from_variables(scene), *_from_container(scene)) if count is not None
    ]
    return min(counts, key=lambda count: count.count, default=None)


def _from_variables(scene: Scene) -> list[DeviceCount | None]:
    given = (scene.env.get(name) for name in _VISIBLE)
    return [
        _listed(setting, f"{setting.name} names")
        for setting in given
        if setting is not None and not _in_another_block(setting, scene)
    ]


def _in_another_block(setting: Setting, scene: Scene) -> bool:
    """Whether a guide sets a variable in another block than its command: another alternative."""
    document = scene.document
    at = next((made.place for made in scene.options.values() if made.place is not None), None)
    if document is None or document.kind != "markdown" or setting.place is None or at is None:
        return False
    between = document.text.split("\n")[setting.place.line : at.line - 1]
    return any(re.match(r"\s*(```|~~~)", line) for line in between)


def _listed(setting: Setting, words: str) -> DeviceCount | None:
    """Return the devices of a list such as 0,1 or GPU-xxx; words such as "all" are none."""
    text = setting.value.strip()
    parts = [part for part in text.split(",") if part.strip()]
    known = setting.literal and parts and not is_placeholder(text)
    if not known or not all(
        re.fullmatch(r"\s*(\d+|(GPU|MIG)-[\w/-]+)\s*", part) for part in parts
    ):
        return None
    return DeviceCount(len(set(parts)), f"{words} {len(set(parts))}")


def _from_container(scene: Scene) -> list[DeviceCount | None]:
    options = scene.container.options if scene.container is not None else ()
    counts = [_gpus(option) for option in options if option.name == "--gpus"]
    counts += [_resource(option) for option in options if option.name == "--resource"]
    npus = {o.value for o in options if re.fullmatch(r"/dev/davinci\d+(:.*)?", o.value)}
    if npus:
        counts.append(DeviceCount(len(npus), f"the container gets {len(npus)}"))
    return counts


_RESOURCE = re.compile(
    r"(?P<name>(nvidia|amd)\.com/gpu|gpu\.intel\.com/\w+|huawei\.com/(npu|Ascend\w+|ascend-\d+))"
    r"=(?P<count>\d{1,4})"
)


def _resource(setting: Setting) -> DeviceCount | None:
    match = _RESOURCE.fullmatch(setting.value)
    if match is None or re.search(r"-(memory|core)=", setting.value):
        return None
    return DeviceCount(int(match["count"]), f"the pod gets {match['count']} of {match['name']}")


def _gpus(setting: Setting) -> DeviceCount | None:
    text = setting.value.strip().strip("'\"")
    match = re.fullmatch(r"(?:count=)?(\d{1,4})", text)
    if match is not None and setting.literal:
        return DeviceCount(int(match[1]), f"the container gets {match[1]}")
    listed = re.fullmatch(r"device=([\w,-]+)", text)
    if listed is None:
        return None
    return _listed(Setting(setting.name, listed[1], literal=setting.literal), "the container gets")


Check: TypeAlias = Callable[["LaunchOptions"], Iterator[Hit]]


@dataclass(frozen=True, slots=True)
class LaunchOptions:
    """The options of one launch, as numbers and switches."""

    scene: Scene

    def number(self, option: str) -> int | None:
        """Return a number as vLLM reads it; ``None`` where it is not given or not known."""
        made = self.scene.options.get(option)
        return human_int(made.value.strip()) if made is not None and made.literal else None

    def size(self, option: str) -> int | None:
        """Return the size of a group: 1 where it is not given, ``None`` where it is not known."""
        return self.number(option) if option in self.scene.options else 1

    def has(self, *options: str) -> bool:
        """Whether any of the options is given."""
        return any(option in self.scene.options for option in options)

    def on(self, switch: str) -> bool:
        """Whether a switch is given, and its opposite is not."""
        made = self.scene.options.get(switch)
        return made is not None and made.literal and not self.has(f"--no-{switch[2:]}")


def _batch(given: LaunchOptions) -> Iterator[Hit]:
    tokens, seqs = given.number("--max-num-batched-tokens"), given.number("--max-num-seqs")
    length = given.number("--max-model-len")
    if tokens is not None and seqs is not None and seqs > tokens > 0:
        yield Hit(
            "--max-num-seqs",
            (
                f"--max-num-seqs {seqs} is more than --max-num-batched-tokens {tokens}: vLLM "
                "exits, because each sequence needs a token"
            ),
            f"lower --max-num-seqs, or give --max-num-batched-tokens {seqs} or more",
        )
    off = given.has("--no-enable-chunked-prefill")
    if off and tokens is not None and length is not None and 0 < tokens < length:
        yield Hit(
            "--max-num-batched-tokens",
            f"without chunked prefill --max-num-batched-tokens {tokens} must be at least "
            f"--max-model-len {length}: vLLM exits",
            f"give --max-num-batched-tokens {length} or more, or allow chunked prefill",
        )
    threshold = given.number("--long-prefill-token-threshold")
    if threshold is not None and length is not None and threshold > length > 0:
        yield Hit(
            "--long-prefill-token-threshold",
            f"--long-prefill-token-threshold {threshold} is more than --max-model-len {length}: "
            "vLLM exits",
            f"give {length} or less",
        )


_NEEDS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("--enable-auto-tool-choice", ("--tool-call-parser",), "add --tool-call-parser NAME"),
    ("--enable-log-outputs", ("--enable-log-requests",), "add --enable-log-requests"),
    ("--numa-bind-nodes", ("--numa-bind",), "add --numa-bind"),
    ("--numa-bind-cpus", ("--numa-bind",), "add --numa-bind"),
    ("--enable-elastic-ep", ("--enable-eplb",), "add --enable-eplb"),
    ("--enable-eplb", ("--enable-expert-parallel",), "add --enable-expert-parallel"),
)
"""Option → those of which it needs one."""


def _needed(given: LaunchOptions) -> Iterator[Hit]:
    if given.has("--config"):  # the file may hold what is missing
        return
    for option, needed, fix in _NEEDS:
        if given.on(option) and not given.has(*needed):
            yield Hit(option, f"{option} needs {needed[0]}: vLLM exits without it", fix)


_RIVALS: tuple[tuple[str, str, str], ...] = (
    ("--enable-per-request-metrics", "--disable-log-stats", "it counts on the statistics"),
    ("--headless", "--api-server-count", "a headless server has no API server"),
    ("--headless", "--data-parallel-hybrid-lb", "a headless server balances no load"),
    (
        "--enable-elastic-ep",
        "--data-parallel-hybrid-lb",
        "one API server has to scale the engines",
    ),
    ("--enable-elastic-ep", "--data-parallel-external-lb", "one API server scales the engines"),
)


def _rivals(given: LaunchOptions) -> Iterator[Hit]:
    for one, other, why in _RIVALS:
        if given.on(one) and given.on(other) and given.number(other) != 0:
            yield Hit(one, f"vLLM exits on {one} beside {other}: {why}", "keep one of the two")


def _groups(given: LaunchOptions) -> Iterator[Hit]:
    tensor, decode = (given.size(f"--{n}-parallel-size") for n in ("tensor", "decode-context"))
    prefill, data = (given.size(f"--{n}-parallel-size") for n in ("prefill-context", "data"))
    if tensor and decode and prefill == 1 and tensor % decode:
        yield Hit(
            "--decode-context-parallel-size",
            f"--decode-context-parallel-size {decode} must divide --tensor-parallel-size "
            f"{tensor}: vLLM exits",
            "give a divisor",
        )
    local = given.number("--data-parallel-size-local")
    if local is not None and data is not None and local > data:
        yield Hit(
            "--data-parallel-size-local",
            f"--data-parallel-size-local {local} is more than --data-parallel-size {data}: vLLM "
            "exits",
            "lower it, or raise --data-parallel-size",
        )
    rank = given.number("--data-parallel-rank")
    if rank is not None and data is not None and rank >= max(data, 1) and given.size("--nnodes"):
        yield Hit(
            "--data-parallel-rank",
            f"--data-parallel-rank {rank} must be below --data-parallel-size {data}: vLLM exits",
            "count ranks from 0",
        )
    experts = given.on("--enable-eplb") and given.on("--enable-expert-parallel")
    if experts and not given.has("--config") and tensor == prefill == data == 1:
        yield Hit(
            "--enable-eplb",
            "vLLM exits with one worker, because --enable-eplb balances experts over several",
            "take it out, or give --tensor-parallel-size or --data-parallel-size",
        )


def _adapters(given: LaunchOptions) -> Iterator[Hit]:
    cpu, gpu = given.number("--max-cpu-loras"), given.number("--max-loras")
    if cpu is not None and gpu is not None and cpu < gpu:
        yield Hit(
            "--max-cpu-loras",
            f"--max-cpu-loras {cpu} must be at least --max-loras {gpu}: vLLM exits",
            f"give {gpu} or more",
        )


def _workers(given: LaunchOptions) -> Iterator[Hit]:
    elsewhere = (
        *("--nnodes", "--headless", "--data-parallel-rank", "--data-parallel-address"),
        *("--data-parallel-hybrid-lb", "--data-parallel-external-lb", "--config"),
        *("--data-parallel-start-rank", "--distributed-executor-backend"),
    )
    backend = given.scene.option("--distributed-executor-backend")
    if given.has(*elsewhere[:-1]) or backend not in (None, "mp") or _ray(given.scene):
        return
    names = ("tensor", "pipeline", "prefill-context")
    sizes = {f"--{n}-parallel-size": given.size(f"--{n}-parallel-size") for n in names}
    local = "--data-parallel-size-local"
    sizes["--data-parallel-size"] = (
        given.number(local) if given.has(local) else given.size("--data-parallel-size")
    )
    count = devices(given.scene)
    needed = 1
    for size in sizes.values():
        if not size or size < 1:
            return
        needed *= size
    if count is None or needed <= count.count:
        return
    said = " x ".join(f"{name} {size}" for name, size in sizes.items() if size != 1)
    yield Hit(
        next(name for name, size in sizes.items() if size != 1),
        f"{said} needs {needed} devices, and {count.words}: vLLM exits",
        f"give {needed} devices, or lower the size",
    )


_SEVERAL_PODS = re.compile(r"(?m)^\s*kind:\s*(LeaderWorkerSet|Ray(Cluster|Service|Job))\b")


def _ray(scene: Scene) -> bool:
    """Whether the text starts Ray or a group of pods, over whose nodes workers may spread."""
    if scene.document is None:
        return False
    commands = (command.words for command in scene.document.commands if command.words)
    started = any(
        re.search(r"(^|/)ray$", words[0]) or any(word.startswith("--ray") for word in words)
        for words in commands
    )
    return started or _SEVERAL_PODS.search(scene.document.text) is not None


_CHECKS: tuple[Check, ...] = (_batch, _needed, _rivals, _groups, _adapters, _workers)


def _together(scene: Scene) -> Iterator[Hit]:
    if serves(scene) and scene.pid is None:  # a live server has passed them
        for check in _CHECKS:
            yield from check(LaunchOptions(scene))


TOGETHER: tuple[Rule, ...] = (
    Rule(
        id="options-together",
        severity=Severity.ERROR,
        problem=Problem.CONFLICT,
        summary="vLLM refuses options beside each other, or on the devices it gets.",
        process=_together,
    ),
)
