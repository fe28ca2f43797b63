"""The steps: what they find, what they change, and that a second time changes nothing."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.prepared import SITE, SOURCES_PATH, Machine, package
from trimtab.errors import EngineInstallError, HostError, UsageError
from trimtab.host import SnapshotHost
from trimtab.interpreters import store
from trimtab.prepare import examination, interpreters, system
from trimtab.prepare.machine_writer import perform
from trimtab.prepare.step import (
    CheckState,
    CommandRun,
    EngineInstallation,
    FileReplacement,
    PackageInstallation,
    Step,
)
from trimtab.prepare.steps import STEPS, select_steps
from trimtab.prepare.system import System
from trimtab.prepare.target import TARGETS, PrepareOptions, parse_address, parse_target

HOSTS = Path(__file__).parents[2] / "hosts"


def step(name: str) -> Step:
    (found,) = select_steps([name])
    return found


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_order() -> None:
    names = [one.name for one in STEPS]
    assert names == [
        *("devices", "os-mirror", "os-packages", "package-index"),
        *("python", "engine", "allocators", "model-source"),
    ]
    assert all(one.reason and one.summary for one in STEPS)
    with pytest.raises(UsageError, match="--only must be one of"):
        select_steps(["pyhton"])


@pytest.mark.parametrize("name", sorted(path.name for path in HOSTS.iterdir()))
def test_every_check_answers_on_every_captured_machine(name: str) -> None:
    seen = examination.scene_of(SnapshotHost(HOSTS / name), None, "cpu", "", local=False)
    for target, one in itertools.product(TARGETS.values(), STEPS):
        scene = replace(seen, wish=PrepareOptions(target))
        finding = one.check(scene)
        assert finding.sentence
        assert "\n" not in finding.sentence
        if finding.state in (CheckState.SATISFIED, CheckState.NOT_APPLICABLE):
            assert one.changes(scene) == ()


@pytest.mark.parametrize(
    ("name", "target", "state", "said"),
    [
        ("a2-openeuler", "ascend-a2", CheckState.SATISFIED, "8 chips (A2), driver 25.0.rc1.1"),
        ("a3", "ascend-a3", CheckState.SATISFIED, "16 chips (A3)"),
        ("310p", "ascend-310p", CheckState.SATISFIED, "2 chips (310P)"),
        ("a3", "ascend-a2", CheckState.MISSING, "the chip is A3, and A2 is prepared"),
        ("cuda", "cuda", CheckState.MISSING, "needs driver 580"),
        ("debian-vm", "ascend-a2", CheckState.MISSING, "--device /dev/davinci0"),
        ("debian-vm", "cuda", CheckState.MISSING, "--gpus all"),
        ("debian-vm", "cpu", CheckState.NOT_APPLICABLE, "needs no device"),
    ],
)
def test_devices(name: str, target: str, state: CheckState, said: str) -> None:
    scene = examination.scene_of(SnapshotHost(HOSTS / name), None, target, "", local=False)
    finding = step("devices").check(scene)
    assert finding.state is state
    assert said in finding.sentence


@pytest.mark.parametrize(
    ("name", "target"),
    [("a3", "ascend-a3"), ("310p", "ascend-310p"), ("cuda", "cuda"), ("debian-vm", "cpu")],
)
def test_the_target_is_what_the_devices_show(name: str, target: str) -> None:
    scene = examination.scene_of(SnapshotHost(HOSTS / name), None, "", "", local=False)
    assert scene.wish.target is TARGETS[target]


def test_a_mirror_moves_the_lists_with_certificates_first(machine: Machine) -> None:
    scene, mirror = machine.scene(mirror=SITE), step("os-mirror")
    assert mirror.check(scene).state is CheckState.MISSING
    changes = mirror.changes(scene)
    assert [type(one) for one in changes] == [PackageInstallation, FileReplacement]
    assert f"+ URIs: {SITE}/debian" in str(changes[1])
    for one in changes:
        perform(one, mirror.name, machine.hands())
    assert mirror.check(scene).state is CheckState.SATISFIED
    machine.put("/etc/ssl/certs/ca-certificates.crt", "")
    assert mirror.changes(scene) == ()
    assert mirror.check(machine.scene()).state is CheckState.NOT_APPLICABLE


def test_lists_of_another_release_are_found_and_no_release_is_guessed(machine: Machine) -> None:
    machine.put(SOURCES_PATH, machine.text(SOURCES_PATH).replace("bookworm", "bullseye"))
    scene, mirror = machine.scene(), step("os-mirror")
    assert "of another release: this is bookworm" in mirror.check(scene).sentence
    with pytest.raises(UsageError, match="does not guess a release"):
        mirror.changes(scene)


def test_ports_on_x86_are_found(machine: Machine) -> None:
    machine.put("/etc/os-release", 'ID=ubuntu\nVERSION_ID="22.04"\nVERSION_CODENAME=jammy\n')
    machine.put("/etc/apt/sources.list", "deb http://ports.ubuntu.com/ubuntu-ports jammy main\n")
    finding = step("os-mirror").check(machine.scene())
    assert finding.state is CheckState.MISSING
    assert "has no packages for x86_64" in finding.sentence


def test_packages_that_are_not_there_are_installed_once(machine: Machine) -> None:
    scene, packages = machine.scene(), step("os-packages")
    finding = packages.check(scene)
    assert finding.state is CheckState.MISSING
    assert "python3-venv" in finding.sentence
    (change,) = packages.changes(scene)
    perform(change, packages.name, machine.hands())
    assert packages.check(scene).state is CheckState.SATISFIED
    assert packages.changes(scene) == ()


def test_a_failed_installation_is_one_line_and_names_the_log(machine: Machine) -> None:
    machine.fail = "install"
    (change,) = step("os-packages").changes(machine.scene())
    with pytest.raises(HostError, match=r"ended with 100: E: Unable.*install\.log") as caught:
        perform(change, "os-packages", machine.hands())
    assert "\n" not in str(caught.value)


def test_the_index_reaches_the_calls_of_pip_and_no_file(machine: Machine) -> None:
    machine.put("/etc/pip.conf", "[global]\nindex-url = https://kept.example/simple\n")
    scene = machine.scene("cuda", index="https://pypi.example/simple")
    finding = step("package-index").check(scene)
    assert "https://pypi.example/simple" in finding.sentence
    assert "/etc/pip.conf names https://kept.example/simple, and stays" in finding.sentence
    (change,) = step("engine").changes(scene)
    assert isinstance(change, CommandRun)
    assert change.env == {"PIP_INDEX_URL": "https://pypi.example/simple"}
    perform(change, "engine", machine.hands())
    assert all(env == dict(change.env) for _, env in machine.ran)
    assert "kept.example" in machine.text("/etc/pip.conf")


def test_the_cpu_engine_is_the_managed_one(machine: Machine, home: Path) -> None:
    (change,) = step("engine").changes(machine.scene())
    assert isinstance(change, EngineInstallation)
    assert change.path.startswith(str(home))


def test_an_engine_that_cannot_work_is_refused_before_a_download() -> None:
    scene = examination.scene_of(SnapshotHost(HOSTS / "a3"), None, "ascend-a3", "", local=False)
    with pytest.raises(EngineInstallError, match=r"no builds for Python 3\.12") as caught:
        step("engine").changes(scene)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("target", ["ascend-a2", "ascend-310p"])
def test_the_order_of_installation_on_ascend(machine: Machine, target: str) -> None:
    (change,) = step("engine").changes(machine.scene(target))
    assert isinstance(change, CommandRun)
    said = [" ".join(words) for words in change.commands]
    first, plugin, gone = (
        next(n for n, one in enumerate(said) if part in one)
        for part in ("vllm==0.23.0", "vllm-ascend==0.23.0", "uninstall --yes triton triton-ascend")
    )
    assert 0 < first < plugin < gone
    assert said[first].startswith("env VLLM_TARGET_DEVICE=empty ")
    assert ("triton-ascend==3.2.2" in said[-1]) == (target == "ascend-a2")


def test_installed_versions_are_judged(machine: Machine) -> None:
    site = "/opt/vllm/lib/python3.11/site-packages"
    machine.put("/opt/vllm/bin/python", "")
    for name, version in (
        ("vllm", "0.23.0+empty"),
        ("vllm_ascend", "0.23.0"),
        ("torch", "2.11.0"),
    ):
        machine.put(f"{site}/{name}-{version}.dist-info/METADATA", "")
    finding = step("engine").check(machine.scene("ascend-a2"))
    assert finding.state is CheckState.MISSING
    assert "made for torch 2.10.0, and here is 2.11.0" in finding.sentence


def test_allocators_count_by_what_the_loader_finds(machine: Machine) -> None:
    allocators = step("allocators")
    assert "libgoogle-perftools4" in allocators.check(machine.scene()).sentence
    for soname in ("libjemalloc.so.2", "libtcmalloc.so.4"):
        machine.put(f"/usr/lib/x86_64-linux-gnu/{soname}", "")
    assert allocators.check(machine.scene()).state is CheckState.SATISFIED


def test_modelscope_goes_into_the_engines_environment(machine: Machine) -> None:
    source = step("model-source")
    assert source.changes(machine.scene("cuda")) == ()
    (change,) = source.changes(machine.scene("cuda", models="modelscope"))
    assert isinstance(change, CommandRun)
    assert change.commands[0][0] == "/opt/vllm/bin/python"


@pytest.mark.parametrize(
    ("python", "state"), [("3.11", CheckState.SATISFIED), ("3.9", CheckState.MISSING)]
)
def test_the_interpreter(machine: Machine, python: str, state: CheckState) -> None:
    place = machine.root / "usr/bin/python3"
    place.unlink()
    machine.put(f"/usr/bin/python{python}", "\x7fELF")
    place.symlink_to(f"python{python}")
    flags = "{'PY_CFLAGS_NODIST': '-fprofile-use', 'PY_LDFLAGS_NODIST': '-flto'}"
    data = f"/usr/lib/python{python}/_sysconfigdata__linux.py"
    machine.put(data, f"build_time_vars = {flags}\n")
    assert step("python").check(machine.scene()).state is state


def test_an_interpreter_is_made_where_it_does_not_fit(machine: Machine, home: Path) -> None:
    scene = examination.scene_of(SnapshotHost(HOSTS / "a3"), None, "ascend-a3", "", local=False)
    (change,) = step("python").changes(scene)
    assert isinstance(change, CommandRun)
    assert change.folder == str(home / "data/trimtab/pythons/prepared-3.11")
    assert change.commands[0][3:] == ("python", "fetch", "3.11", "--name", "prepared-3.11")
    machine.put("/usr/lib/python3.11/_sysconfigdata__linux.py", "build_time_vars = {}\n")
    assert step("python").changes(machine.scene()) == ()  # the distribution's own is optimized


def test_an_interpreter_of_ours_is_taken(home: Path) -> None:
    place = store.folder() / "mine"
    place.mkdir(parents=True)
    span = ((3, 11), (3, 13))
    for version, options, taken in (
        ("3.11.2", {"pgo": True, "lto": True}, True),
        ("3.11.2", {"pgo": True}, False),
        ("3.13.0", {"pgo": True, "lto": True}, False),
    ):
        store.write(place, store.Record("mine", "built", version, {}, options=options))
        assert bool(interpreters.find_optimized(span)) == taken


def test_names_of_packages() -> None:
    roles = ("numa", "numactl", "tcmalloc")
    assert system.packages(System("openeuler", "24.03"), roles) == ("numactl", "gperftools")
    for release, name in (("22.04", "libgoogle-perftools4"), ("24.04", "libgoogle-perftools4t64")):
        assert system.packages(System("ubuntu", release), ("tcmalloc",)) == (name,)
    for target, base in itertools.product(TARGETS.values(), system.BASES):
        for role in system.roles_of(target):
            assert system.packages(System(base, "12"), (role,))


def test_a_database_of_packages() -> None:
    text = package("whole") + package("half", "install reinstreq half-installed")
    assert system.parse_dpkg(text) == {"whole"}


@pytest.mark.parametrize(
    "address",
    ["mirror.example", "ftp://x", "https://a b", "https://x/$(id)", "https://x/'", "https://x\n"],
)
def test_an_address_is_refused_that_is_none(address: str) -> None:
    with pytest.raises(UsageError, match="must be an address"):
        parse_address("--mirror", address)


def test_a_password_is_not_written_into_what_is_emitted() -> None:
    with pytest.raises(UsageError, match="must hold no name or password") as caught:
        parse_address("--index", "https://me:secret@pypi.example/simple")
    assert "secret" not in str(caught.value)
    assert (
        parse_address("--index", "https://pypi.example/simple/") == "https://pypi.example/simple"
    )


def test_targets() -> None:
    with pytest.raises(UsageError, match="--target must be one of"):
        parse_target("a2")
    assert PrepareOptions(TARGETS["cpu"]).environment == "/opt/vllm"
