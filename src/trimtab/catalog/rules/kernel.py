"""What can be wrong with kernel settings: direction, place, life time, and where they are made."""

from __future__ import annotations

from collections.abc import Iterator

from trimtab.catalog.applicability import is_before
from trimtab.catalog.rules.scene import Rule, Scene
from trimtab.model.document import Command, Document, Origin, Setting
from trimtab.model.finding import Hit, Problem, Severity
from trimtab.model.situation import Situation

_COST = "/proc/sys/kernel/sched_migration_cost_ns"
_COST_DEBUGFS = "/sys/kernel/debug/sched/migration_cost_ns"
_SWAPPINESS = "/proc/sys/vm/swappiness"
_NUMA = "/proc/sys/kernel/numa_balancing"
_GOVERNOR = "/cpufreq/scaling_governor"
_DEFAULT_COST = 500_000


def _name(path: str) -> str:
    if path.startswith("/proc/sys/"):
        return path.removeprefix("/proc/sys/").replace("/", ".")
    return path


def _number(setting: Setting | None) -> int | None:
    text = setting.value.strip() if setting is not None and setting.literal else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def _lowered(scene: Scene) -> Iterator[Hit]:
    for path in (_COST, _COST_DEBUGFS):
        cost = _number(scene.host.get(path))
        if cost is not None and cost < _DEFAULT_COST:
            yield Hit(
                path,
                (
                    f"{cost} ns lowers the cost of a migration ({_DEFAULT_COST} ns): tasks "
                    "move to other cores sooner, not later"
                ),
                f"leave it out, or set more than {_DEFAULT_COST} and measure it",
            )


def _moved(scene: Scene) -> Iterator[Hit]:
    setting = scene.host.get(_COST)
    if setting is None or scene.document is None:
        return
    old = is_before(scene.situation.kernel or "", "5.13")
    if old is True:
        return
    yield Hit(
        _COST,
        f"kernels since 5.13 have no {_name(_COST)}, so sysctl fails",
        f"write to {_COST_DEBUGFS} there",
        given="" if old is False else "the kernel is 5.13 or later",
        severity=Severity.ERROR if old is False else None,
    )


def _zero(scene: Scene) -> Iterator[Hit]:
    if _number(scene.host.get(_SWAPPINESS)) == 0:
        yield Hit(
            _SWAPPINESS,
            "0 does not switch swap off: the kernel still swaps under pressure, and runs out of "
            "memory earlier than with 1",
            "set 1, or switch swap off with swapoff or the cgroup's memory.swap.max",
        )


def _unbound(scene: Scene) -> Iterator[Hit]:
    if _number(scene.host.get(_NUMA)) != 0 or scene.affinity is not None:
        return
    if scene.situation.numa_nodes == 1:
        return
    if scene.situation.platform == "ascend" and scene.situation.arch == "aarch64":
        return  # vllm-ascend binds threads and moves their pages itself
    yield Hit(
        _NUMA,
        (
            "without balancing, a page stays on the node that touched it first, so unbound "
            "threads read remote memory"
        ),
        "bind the server to nodes too",
        given="nothing binds memory to nodes",
    )


def _governor(scene: Scene) -> Iterator[Hit]:
    if scene.document is None:
        return
    for path, setting in scene.host.items():
        if path.endswith(_GOVERNOR) and "*" in path:
            yield Hit(
                path,
                (
                    "virtual machines, and hosts whose firmware sets frequencies, have no "
                    f"{_GOVERNOR[1:]}: tee gets the pattern itself and fails"
                ),
                "test for the files first, and keep the old value of each CPU",
                given="the files are missing",
                place=setting.place,
            )


def _until_boot(document: Document, situation: Situation) -> Iterator[Hit]:
    lasting = {setting.name for setting in document.host if setting.origin is Origin.BOOT}
    passing = [
        setting
        for setting in document.host
        if setting.origin is Origin.HOST and setting.name not in lasting
    ]
    if passing:
        names = ", ".join(dict.fromkeys(_name(setting.name) for setting in passing))
        yield Hit(
            passing[0].name,
            (
                "these settings last until the next boot, and nothing keeps the old values: "
                f"{names}"
            ),
            "write a file under /etc/sysctl.d or a unit, and note the old values",
            place=passing[0].place,
        )


def _writes_kernel(command: Command) -> bool:
    program = command.words[0].rpartition("/")[2] if command.words else ""
    if program == "sudo":
        program = command.words[1].rpartition("/")[2] if len(command.words) > 1 else ""
    if program == "sysctl":
        return any("=" in word and not word.startswith("-") for word in command.words[1:])
    targets = [redirect.target for redirect in command.redirects if ">" in redirect.operator]
    if program == "tee":
        targets += command.words[1:]
    return any(target.startswith(("/proc/sys/", "/sys/")) for target in targets)


def _may_write_host(option: Setting) -> bool:
    """Whether a container's option lets it change the host: privileged, or its kernel's files."""
    source, _, rest = option.value.partition(":")
    kernel = source in {"/", "/proc", "/sys"} or source.startswith(("/proc/sys", "/sys/"))
    mounted = option.name == "--volume" and kernel and bool(rest) and not rest.endswith(":ro")
    return option.name == "--privileged" or mounted


def _inside(document: Document, situation: Situation) -> Iterator[Hit]:
    """Yield a hit for each kernel setting made in a container, or where a server is started."""
    serves = any(not launch.implied for launch in document.launches)
    if any(_may_write_host(option) for made in document.containers for option in made.options):
        return  # it may set them: the rule "privileged" says what that means
    for command in document.commands:
        if not _writes_kernel(command) or command.inside is False:
            continue
        sure = command.inside is True or situation.container is True
        if not sure and (not serves or situation.container is False):
            continue
        path = next(
            (
                setting.name
                for setting in document.host
                if setting.place and setting.place.line == command.place.line
            ),
            "kernel",
        )
        if path.startswith("/proc/sys/net/"):
            continue  # a container has these of its own
        yield Hit(
            path,
            (
                f"{_name(path)} belongs to the host: a container needs --privileged to set it, "
                "and changes it for everyone"
            ),
            "set it on the host, with a file under /etc/sysctl.d",
            given="" if sure else "this runs in a container",
            place=command.place,
        )


LOWERED = Rule(
    id="migration-cost-lowered",
    severity=Severity.WARNING,
    problem=Problem.HAZARD,
    summary="The value lowers the migration cost; keeping tasks in place takes a higher one.",
    process=_lowered,
    traps=("T15",),
)
MOVED = Rule(
    id="migration-cost-moved",
    severity=Severity.WARNING,
    problem=Problem.NO_EFFECT,
    summary="The sysctl does not exist since kernel 5.13.",
    process=_moved,
    traps=("T15",),
)
ZERO_SWAPPINESS = Rule(
    id="swappiness-zero",
    severity=Severity.WARNING,
    problem=Problem.HAZARD,
    summary="Swappiness 0 does not switch swap off.",
    process=_zero,
    traps=("T16",),
)
UNBOUND = Rule(
    id="numa-balancing-unbound",
    severity=Severity.INFO,
    problem=Problem.ADVICE,
    summary="Balancing is off, and nothing binds memory to nodes.",
    process=_unbound,
)
NO_GOVERNOR = Rule(
    id="governor-missing",
    severity=Severity.INFO,
    problem=Problem.NO_EFFECT,
    summary="The governor's files are missing on many machines, and the command then fails.",
    process=_governor,
    traps=("T17",),
)
UNTIL_BOOT = Rule(
    id="until-next-boot",
    severity=Severity.INFO,
    problem=Problem.ADVICE,
    summary="Kernel settings are made for this boot only, without a record of the old ones.",
    text=_until_boot,
    traps=("T17",),
)
INSIDE = Rule(
    id="host-setting-inside",
    severity=Severity.WARNING,
    problem=Problem.NO_EFFECT,
    summary="A kernel setting is made inside a container.",
    text=_inside,
    traps=("T18",),
)
