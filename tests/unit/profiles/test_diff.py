"""``trimtab diff``: sides of every kind, what counts as a difference, bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from tests.support.show_samples import PROFILE
from trimtab import presets
from trimtab.catalog import CATALOG
from trimtab.cli.app import app
from trimtab.errors import UsageError
from trimtab.model import HostWrite, Settings
from trimtab.profiles import launch_diff
from trimtab.profiles.profile import write_profile

LAUNCH = Path(__file__).parents[2] / "launch"


def run(*words: str) -> tuple[int, str]:
    ran = CliRunner().invoke(app, ["diff", *words])
    if ran.exception is not None and not isinstance(ran.exception, SystemExit):
        raise ran.exception
    return ran.exit_code, ran.stdout


def told(*words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(*words, "--json")[1])
    return found


def different(found: dict[str, Any]) -> dict[str, tuple[str | None, str | None]]:
    return {row["tuning"]: (row["a"], row["b"]) for row in found["tunings"] if not row["same"]}


def test_the_editions_of_the_guide_differ_in_what_was_added_and_dropped() -> None:
    found = told("guide-v1", "guide-v2")
    rows = different(found)
    assert rows["swappiness"] == (None, "0")
    assert rows["python-tarball"] == ("py311_bisheng.tar.gz", None)
    assert "task-queue" not in rows
    assert "not exported" in found["lost"]["a"]["vllm-use-modelscope"]
    assert "line 159 at 00ba07102212" in found["sources"]["a"]["task-queue"]
    assert not found["same"]


def test_the_exit_code_tells_whether_they_differ() -> None:
    assert run("guide", "guide-v2")[0] == 0
    code, shown = run("image-a2", "image-a3")
    assert code == 1
    assert "SOC_VERSION" in shown
    assert "2 differ, 2 alike" in shown
    assert "task-queue" not in shown
    assert "task-queue" in run("image-a2", "image-a3", "--all")[1]


def test_a_preset_against_launch_files_of_each_format() -> None:
    rows = different(told("image-a2", str(LAUNCH / "traps" / "serve.sh")))
    assert rows["task-queue"] == ("1", "2")
    assert rows["omp-threads"] == ("1", "100")
    assert rows["numa-balancing"] == (None, "0")
    rows = different(told("guide-v2", str(LAUNCH / "clean" / "compose.yaml")))
    assert rows["container-shm"] == ("1g", "2g")
    rows = different(told("stock", str(LAUNCH / "clean" / "pod.yaml")))
    assert "container-image" in rows
    rows = different(told("stock", str(LAUNCH / "clean" / "serve.sh")))
    assert rows["tcmalloc"] == (None, "libtcmalloc_minimal.so.4")


def test_a_setting_of_no_tuning_is_shown_and_a_secret_is_not(tmp_path: Path) -> None:
    one, two = tmp_path / "a.sh", tmp_path / "b.sh"
    one.write_text("export HF_TOKEN=hf_abc MINE=1\nvllm serve m --port 1\n")
    two.write_text("export HF_TOKEN=hf_def MINE=2\nvllm serve m --port 1\n")
    found = told(str(one), str(two))
    assert found["settings"] == [{"setting": "MINE", "a": "1", "b": "2"}]
    assert "hf_" not in json.dumps(found)


def test_a_key_that_no_entry_knows_makes_a_list_differ(tmp_path: Path) -> None:
    one, two = tmp_path / "a.env", tmp_path / "b.env"
    one.write_text("PYTORCH_NPU_ALLOC_CONF=expandable_segments:True,mine:1\n")
    two.write_text("PYTORCH_NPU_ALLOC_CONF=expandable_segments:True,mine:2\n")
    (row,) = told(str(one), str(two))["settings"]
    assert row["setting"] == "PYTORCH_NPU_ALLOC_CONF"


def test_a_profile_is_compared_by_its_plan(tmp_path: Path) -> None:
    path = tmp_path / "profile.yaml"
    write_profile(PROFILE, path)
    assert run(str(path), str(path))[0] == 0
    found = told("stock", str(path))
    dtype = next(row for row in found["tunings"] if row["tuning"] == "dtype")
    assert (dtype["a"], dtype["b"]) == (None, "float32")


def test_a_file_of_several_servers_needs_a_name(tmp_path: Path) -> None:
    path = tmp_path / "compose.yaml"
    service = (
        "    image: x/y\n    command: vllm serve m\n    environment: {OMP_NUM_THREADS: '%d'}\n"
    )
    path.write_text(f"services:\n  one:\n{service % 1}  two:\n{service % 2}")
    with pytest.raises(UsageError, match=r"starts 2 \(one, two\).*#SERVICE"):
        run("stock", str(path))
    with pytest.raises(UsageError, match="no service 'three': it has one, two"):
        run("stock", f"{path}#three")
    rows = different(told(f"{path}#one", f"{path}#two"))
    assert rows == {"omp-threads": ("1", "2")}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("guide-v9", None, "must be a file or a preset.*did you mean"),
        ("none.sh", None, "must be a file or a preset"),
        ("binary.sh", b"\0\1", "binary"),
        ("odd.txt", b"hello", "format is not known"),
    ],
)
def test_bad_input_is_one_sentence(
    name: str, text: bytes | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_bytes(text)
    with pytest.raises(UsageError, match=message):
        run("stock", str(path) if text is not None else name)


PRESET = st.sampled_from(list(presets.DOCUMENTED.values()))
VARIABLE = st.sampled_from(
    [
        *("TASK_QUEUE_ENABLE", "OMP_NUM_THREADS", "LD_PRELOAD", "MINE", "HF_TOKEN"),
        *("PYTORCH_NPU_ALLOC_CONF", "VLLM_CPU_OMP_THREADS_BIND"),
    ]
)
WORD = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=9)


@st.composite
def sides(draw: st.DrawFn) -> launch_diff.Side:
    if draw(st.booleans()):
        return launch_diff.preset_side(draw(PRESET))
    env = draw(st.dictionaries(VARIABLE, WORD, max_size=4))
    words = draw(st.lists(WORD | st.sampled_from(["--dtype", "--dtype=auto"]), max_size=4))
    settings = Settings(("vllm", "serve", "m", *words), tuple(sorted(env.items())))
    writes = (HostWrite("/proc/sys/vm/swappiness", draw(WORD)),)
    return launch_diff.settings_side("drawn", settings, writes)


@given(sides(), sides())
def test_comparing_is_total_symmetrical_and_finds_nothing_against_itself(
    one: launch_diff.Side, two: launch_diff.Side
) -> None:
    rows, back = launch_diff.compare(one, two), launch_diff.compare(two, one)
    assert [(r.name, r.first, r.second) for r in rows] == [
        (r.name, r.second, r.first) for r in back
    ]
    others = launch_diff.setting_differences(one, two, rows)
    assert [r.name for r in others] == [
        r.name for r in launch_diff.setting_differences(two, one, back)
    ]
    assert all(not row.same for row in others)
    assert {row.name for row in rows} <= set(CATALOG)
    own = launch_diff.compare(one, one)
    assert all(row.same for row in own)
    assert launch_diff.setting_differences(one, one, own) == ()
