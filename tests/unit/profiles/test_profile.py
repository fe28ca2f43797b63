"""Profiles: an exact round trip, strict reading, no secrets."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.show_samples import ANSWERS, PLANS, PROFILE, profile_of, starts
from trimtab.errors import StudyError, UsageError
from trimtab.model import HostWrite, Settings, Verdict
from trimtab.profiles.profile import evidence_digest, read_profile, to_dict, write_profile

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def test_a_profile_reads_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "profile.proven.yaml"
    written = write_profile(PROFILE, path)
    again = read_profile(path)
    assert again == written
    assert again.plan == PROFILE.plan
    assert again.plan.digest == PROFILE.plan.digest
    assert again == replace(PROFILE, risks=again.risks)
    assert set(again.risks) == {"dtype", "engine-multiprocessing", "thread-binding"}


def test_the_whole_plan_survives(tmp_path: Path) -> None:
    plan = replace(
        PLANS["max"], writes=(HostWrite("/sys/kernel/mm/transparent_hugepage/enabled", "always"),)
    )
    profile = replace(
        PROFILE, plan=plan, answers=tuple(a for a in ANSWERS if a.tuning in dict(plan.candidate))
    )
    assert write_profile(profile, tmp_path / "p").plan.digest == plan.digest
    assert read_profile(tmp_path / "p").plan == plan


@given(
    argv=st.lists(TEXT, min_size=1, max_size=4),
    env=st.dictionaries(st.text("ABXYZ_", min_size=1, max_size=5), TEXT, max_size=3),
    affinity=st.none() | st.lists(st.integers(0, 500), max_size=3),
)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_settings_survive(
    tmp_path: Path, argv: list[str], env: dict[str, str], affinity: list[int] | None
) -> None:
    given_settings = Settings(
        tuple(argv), tuple(env.items()), affinity=None if affinity is None else tuple(affinity)
    )
    profile = profile_of(given_settings)
    write_profile(profile, tmp_path / "p")
    assert read_profile(tmp_path / "p").plan == profile.plan


def test_the_file_is_plain_yaml_with_what_a_reader_needs(tmp_path: Path) -> None:
    write_profile(PROFILE, tmp_path / "p")
    text = (tmp_path / "p").read_text()
    data = yaml.safe_load(text)
    assert text.startswith("# A trimtab profile")
    assert data["format"] == 1
    assert data["made"] == "2026-11-22T21:34:42Z"
    assert data["candidate"]["dtype"] == "float32"
    assert data["engine"]["packages"]["torch"] == "2.13.0+cpu"
    assert data["plan"]["settings"]["env"]["VLLM_ENABLE_V1_MULTIPROCESSING"] == "0"
    dtype = next(one for one in data["tunings"] if one["tuning"] == "dtype")
    assert dtype["effect"] == {
        "ratio": 4.012,
        "low": 3.74,
        "high": 4.303,
        "p": 1e-7,
        "starts": 8,
    }
    assert dtype["verdict"] == "adopt"
    assert "twice the memory" in dtype["risk"]
    assert json.loads(json.dumps(to_dict(PROFILE))) == data


@pytest.mark.parametrize(
    ("former", "now"),
    [
        ("WIN", Verdict.ADOPT),
        ("LOSS", Verdict.AVOID),
        ("PROBABLE", Verdict.LIKELY),
        ("NO-EFFECT", Verdict.NO_EFFECT),
        ("NOT-PROVEN", Verdict.INCONCLUSIVE),
        ("NOT-IN-EFFECT", Verdict.INEFFECTIVE),
        ("START-FAILED", Verdict.START_FAILED),
        ("NOT-APPLICABLE", Verdict.NOT_APPLICABLE),
        ("SUPERSEDED", Verdict.NOT_APPLICABLE),
    ],
)
def test_a_profile_with_a_former_verdict_is_read(
    former: str, now: Verdict, tmp_path: Path
) -> None:
    write_profile(PROFILE, tmp_path / "p")
    text = (tmp_path / "p").read_text()
    (tmp_path / "q").write_text(text.replace("verdict: adopt", f"verdict: {former}", 1))
    again = read_profile(tmp_path / "q")
    assert again.answers[0].verdict is now
    write_profile(again, tmp_path / "q")
    assert former not in (tmp_path / "q").read_text()


def test_an_unknown_verdict_is_refused(tmp_path: Path) -> None:
    write_profile(PROFILE, tmp_path / "p")
    text = (tmp_path / "p").read_text()
    (tmp_path / "p").write_text(text.replace("verdict: adopt", "verdict: WON", 1))
    with pytest.raises(UsageError, match=r"tunings\.0\.verdict"):
        read_profile(tmp_path / "p")


def test_a_secret_is_a_marker_in_the_file_and_stays_one(tmp_path: Path) -> None:
    profile = profile_of(Settings(("/bin/vllm", "--api-key", "s3cr3t"), (("HF_TOKEN", "s3cr3t"),)))
    write_profile(profile, tmp_path / "p")
    assert "s3cr3t" not in (tmp_path / "p").read_text()
    once = read_profile(tmp_path / "p")
    assert once.plan.settings == Settings(
        ("/bin/vllm", "--api-key", "${API_KEY}"), (("HF_TOKEN", "${HF_TOKEN}"),)
    )
    assert write_profile(once, tmp_path / "q") == once


def test_a_label_says_what_the_name_does_not(tmp_path: Path) -> None:
    assert "label" not in to_dict(PROFILE)
    profile = replace(PROFILE, name="for-ttft_p99", label="a member of the Pareto set")
    assert write_profile(profile, tmp_path / "p").label == "a member of the Pareto set"
    assert read_profile(tmp_path / "p").label == "a member of the Pareto set"


def test_made_is_written_in_utc(tmp_path: Path) -> None:
    east = timezone(timedelta(hours=8))
    profile = replace(PROFILE, made=datetime(2026, 11, 23, 5, 34, 42, tzinfo=east))
    written = write_profile(profile, tmp_path / "p")
    assert written.made == datetime(2026, 11, 22, 21, 34, 42, tzinfo=UTC)


def test_a_tuning_without_an_answer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="must have an answer, but dtype has none"):
        write_profile(
            replace(PROFILE, answers=tuple(a for a in PROFILE.answers if a.tuning != "dtype")),
            tmp_path / "p",
        )
    assert not (tmp_path / "p").exists()


def test_text_that_is_not_unicode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="cannot be written"):
        write_profile(profile_of(Settings(("/bin/vllm", "\udc80"))), tmp_path / "p")
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_place_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="cannot be written") as caught:
        write_profile(PROFILE, tmp_path / "missing" / "p")
    assert "\n" not in str(caught.value)


Edit = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda d: d.update(extra=1), "extra: Extra inputs"),
        (lambda d: d.pop("model"), "model: Field required"),
        (lambda d: d.update(format=2), "format must be 1, but is 2"),
        (lambda d: d.update(seed="0"), "seed: Input should be a valid integer"),
        (lambda d: d["plan"]["settings"].update(shell=True), "plan.settings.shell"),
        (lambda d: d["plan"]["settings"].update(argv=[]), "plan.settings.argv"),
        (lambda d: d["plan"]["settings"]["argv"].append("--x"), "was edited"),
        (lambda d: d["plan"].update(digest="zz"), "plan.digest"),
        (lambda d: d["candidate"].update(dtype="bfloat16"), "was edited"),
        (lambda d: d["tunings"][0].update(verdict="GREAT"), "tunings.0.verdict"),
        (lambda d: d["tunings"][0]["effect"].update(ratio="1"), "tunings.0.effect.ratio"),
        (lambda d: d["tunings"][0]["effect"].update(ratio=float("nan")), "JSON"),
        (lambda d: d["facts"].update(cores=2), "facts.cores"),
        (lambda d: d.clear(), "format must be 1, but is None"),
    ],
)
def test_what_is_not_a_profile_is_refused(tmp_path: Path, edit: Edit, said: str) -> None:
    data = to_dict(PROFILE)
    edit(data)
    path = tmp_path / "p"
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(UsageError, match=said) as caught:
        read_profile(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "must be a mapping"),
        (b"- 1", "must be a mapping"),
        (b"a: [", "plain YAML"),
        (b"a: &x 1\nb: *x", "alias"),
        (b"\xff\xfe\x00", "plain YAML"),
        (b"# " + b"x" * 1_000_001, "more than 1,000,000 bytes"),
    ],
)
def test_files_that_are_no_profiles(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "p"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=said):
        read_profile(path)


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_profile(tmp_path / "absent")
    with pytest.raises(UsageError, match="directory"):
        read_profile(tmp_path)


def test_evidence_digest_depends_on_evidence_not_on_its_order() -> None:
    evidence = [one for start in starts() for one in start.evidence]
    changed = [replace(evidence[0], observed="bfloat16"), *evidence[1:]]
    assert evidence_digest(evidence) == evidence_digest(reversed(evidence))
    assert evidence_digest(evidence) != evidence_digest(changed)
    assert evidence_digest([]) is None
