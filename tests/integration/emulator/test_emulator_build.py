"""Reading names from a wheel, writing stubs, and building: on a tiny torch_npu of ours."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.emulator import GCC
from trimtab.emulator import build
from trimtab.emulator import build as names
from trimtab.emulator import build as stubs
from trimtab.errors import EngineError

pytestmark = pytest.mark.skipif(GCC is None or not shutil.which("nm"), reason="no gcc or nm")

WHEEL = """\
extern int aclrtSetDevice(int), HcclNewThing(void), _ZN3atb13CreateContextEPPNS_7ContextEi(void);
const char *looked_up[] = {"aclnnAddGetWorkspaceSize", "aclnnAdd", "aclrtOnlyByName",
                           "aclnnScoreGetMaxWorkspaceSize", "UnInitHugeMemThreadLocal",
                           "aclCreateTensor", "aclnnArgMaxGetWorkspaceSize"};
int run(void)
{
    return aclrtSetDevice(0) + HcclNewThing() + _ZN3atb13CreateContextEPPNS_7ContextEi();
}
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site-packages with a torch_npu of one library."""
    site = tmp_path_factory.mktemp("site-packages")
    library = site / "torch_npu" / "lib" / "libtorch_npu.so"
    library.parent.mkdir(parents=True)
    source = site / "wheel.c"
    source.write_text(WHEEL)
    command = ["gcc", "-shared", "-fPIC", "-o", str(library), str(source)]
    subprocess.run(command, check=True)
    record = site / "torch_npu-9.9.9.dist-info" / "RECORD"
    record.parent.mkdir()
    record.write_text("torch_npu/lib/libtorch_npu.so,sha256=tiny,1\n")
    return site


def test_names_are_read_from_the_wheel(wheel: Path) -> None:
    wanted = names.required_names(wheel / "torch_npu")
    assert {"aclrtSetDevice", "HcclNewThing", "aclrtOnlyByName"} <= set(wanted.runtime)
    assert not any(one.startswith("aclnn") for one in wanted.runtime)
    assert {"aclnnAdd", "aclnnAddGetWorkspaceSize", "aclnnSwiGlu"} <= set(wanted.operators)
    assert "UnInitHugeMemThreadLocal" in wanted.operators
    assert wanted.atb == ("_ZN3atb13CreateContextEPPNS_7ContextEi",)


def test_names_of_our_sources_are_not_written_twice() -> None:
    texts = [one.read_text() for one in build.SOURCES.glob("*.c")]
    own = [stubs.defined_names(text) for text in texts]
    assert {"aclrtMalloc", "aclCreateTensor", "aclrtGetSocName"} <= set().union(*own)
    assert {"HcclGetRootInfo", "dcmi_get_card_num_list"} <= set().union(*own)
    assert sum(map(len, own)) == len(set().union(*own)), "each in one file"
    assert stubs.defined_names("static int aclFoo(void)\n{\n    aclBar(1);\n}\n") == {"aclFoo"}


def test_an_operator_that_only_asks_is_not_launched() -> None:
    text = stubs.operator_stubs(["aclnnX", "aclnnXGetWorkspaceSize", "aclnnXGetMaxWorkspaceSize"])
    assert "standin_launch(&of_aclnnX, stream)" in text
    assert "int aclnnXGetMaxWorkspaceSize(void) { standin_forget(); return 0; }" in text
    assert text.count("standin_launch") == 1


def test_atb_compiles_without_a_warning(tmp_path: Path) -> None:
    command = ["g++", "-std=gnu++17", "-Wall", "-Wextra", "-Werror", "-fPIC", "-c"]
    command += ["-o", str(tmp_path / "atb.o"), str(build.SOURCES / "atb.cc")]
    subprocess.run(command, check=True)


def test_the_libraries_work(wheel: Path, home: Path) -> None:
    folder = build.libraries(wheel)
    runtime = ctypes.CDLL(str(folder / "libascendcl.so"))
    assert runtime.HcclNewThing() == runtime.aclrtOnlyByName() == 0
    operators = ctypes.CDLL(str(folder / "libopapi.so"))
    assert operators.aclnnAddGetWorkspaceSize(None) == 0
    assert operators.aclnnAdd(None, ctypes.c_uint64(0), None, None) == 0
    chosen, dims, one = (ctypes.c_int64 * 1)(7), (ctypes.c_int64 * 1)(1), ctypes.c_uint64(1)
    operators.aclCreateTensor.restype = ctypes.c_void_p
    few = operators.aclCreateTensor(dims, one, 0, None, ctypes.c_int64(0), 2, dims, one, None)
    operators.aclCreateTensor(dims, one, 9, None, ctypes.c_int64(0), 2, dims, one, chosen)
    operators.aclnnArgMaxGetWorkspaceSize(ctypes.c_void_p(few))
    assert chosen[0] == 0, "the runtime has seen what the operator was told"
    made = ctypes.c_void_p()
    atb = ctypes.CDLL(str(folder / "libatb.so"))
    assert atb._ZN3atb13CreateContextEPPNS_7ContextEi(ctypes.byref(made), 0) == 0
    assert made.value is not None
    assert build.libraries(wheel) == folder, "the second time they are there"
    launched = build.operators(folder)
    assert {"aclnnAdd", "aclnnArgMax", "aclnnSwiGlu"} <= launched
    assert not any(one.endswith("WorkspaceSize") for one in launched)


def test_two_builders_at_once_agree(wheel: Path, home: Path) -> None:
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(build.libraries, [wheel, wheel])
    assert first == second
    assert [one.name for one in first.parent.iterdir()] == [first.name], "no draft is left"


BUILDER = "import sys; from pathlib import Path; from trimtab.emulator import build\n"
BUILDER += "build.libraries(Path(sys.argv[1]))"


def test_a_killed_builder_leaves_no_half_library(wheel: Path, home: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", BUILDER, str(wheel)], start_new_session=True
    ) as builder:
        cache = Path(os.environ["XDG_CACHE_HOME"], "trimtab", "standin")
        until = time.monotonic() + 60
        while not list(cache.glob(".building-*/libascendcl.so")) and time.monotonic() < until:
            time.sleep(0.01)
        os.killpg(builder.pid, signal.SIGKILL)
    (left,) = cache.iterdir()
    assert left.name.startswith("."), "a draft, which nobody takes for the libraries"
    os.utime(left, (0, 0))
    folder = build.libraries(wheel)
    assert (folder / "libatb.so").is_file()
    assert list(cache.iterdir()) == [folder], "what was left long ago is swept"


@pytest.mark.parametrize(
    ("present", "said"),
    [
        ((), "needs nm, which comes with a C compiler: install gcc, g\\+\\+ and binutils"),
        (("nm",), "needs gcc, which is not on PATH: install gcc and g\\+\\+"),
        (("nm", "gcc", "as", "ld"), "needs g\\+\\+, which is not on PATH"),
    ],
)
def test_what_is_missing_is_said(
    wheel: Path,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    present: tuple[str, ...],
    said: str,
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in present:
        (programs / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(programs))
    with pytest.raises(EngineError, match=said):
        build.libraries(wheel)
    cache = Path(os.environ["XDG_CACHE_HOME"], "trimtab", "standin")
    assert list(cache.iterdir()) == [], "no half library"


def test_no_torch_npu_is_said(tmp_path: Path, home: Path) -> None:
    with pytest.raises(EngineError, match="must hold torch_npu, but does not: run 'trimtab"):
        build.libraries(tmp_path)


def test_a_compiler_that_fails_is_quoted(
    wheel: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "gcc").write_text("#!/bin/sh\necho 'no space left' >&2\nexit 1\n")
    (programs / "gcc").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    with pytest.raises(EngineError, match="gcc could not build libascendcl: no space left"):
        build.libraries(wheel)


@pytest.mark.parametrize("place", ["file/cache", "closed"])
def test_without_a_cache_folder_the_variable_is_named(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "closed" / "trimtab" / "standin").mkdir(parents=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / place))

    def refuse(**_: object) -> str:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    with pytest.raises(
        EngineError, match=r"standin cannot be written to \(.*\): set XDG_CACHE_HOME"
    ):
        build.libraries(wheel)
