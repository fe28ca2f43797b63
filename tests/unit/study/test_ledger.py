import json
import multiprocessing
import os
import resource
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trimtab.errors import StudyError
from trimtab.model import (
    Check,
    CheckKind,
    CheckOutcome,
    Evidence,
    Outcome,
    Phase,
    Proof,
    Start,
    StartRequest,
    Window,
    candidate,
)
from trimtab.storage.codec import decode, encode
from trimtab.study.ledger import Ledger

numbers = st.floats(allow_nan=False, allow_infinity=False)
words = st.text(max_size=8)
values = st.none() | st.booleans() | st.integers() | numbers | words
amounts = st.floats(min_value=0, allow_nan=False, allow_infinity=False)
metrics = st.dictionaries(words, amounts, max_size=3)
checks = st.builds(
    Check,
    kind=st.sampled_from(CheckKind),
    subject=words,
    expected=values,
    tuning=words,
    roles=st.lists(words, max_size=2).map(tuple),
    proves=st.sampled_from(Proof),
)
starts = st.builds(
    Start,
    number=st.integers(1, 999),
    request=st.builds(
        StartRequest,
        phase=st.sampled_from(Phase),
        block=st.integers(0, 9),
        arm=words,
        candidate=st.dictionaries(words, values, max_size=3).map(candidate),
        seed=st.integers(0, 2**31 - 1),
    ),
    plan=words,
    outcome=st.sampled_from(Outcome),
    metrics=metrics,
    windows=st.lists(
        st.builds(
            Window,
            index=st.integers(0, 3),
            begin=numbers,
            end=numbers,
            requests=st.integers(0, 9),
            metrics=metrics,
            void=st.lists(words, max_size=2).map(tuple),
            bins=st.lists(numbers, max_size=2).map(tuple),
            spread=st.dictionaries(words, st.lists(st.integers(), max_size=3).map(tuple)),
        ),
        max_size=2,
    ).map(tuple),
    evidence=st.lists(
        st.builds(
            Evidence,
            check=checks,
            verdict=st.sampled_from(CheckOutcome),
            observed=words,
            where=words,
        ),
        max_size=2,
    ).map(tuple),
    gate=metrics,
    seconds=amounts,
    began=amounts,
    detail=words,
    marks=st.dictionaries(words, words, max_size=2),
)


def start(number: int = 1, detail: str = "") -> Start:
    request = StartRequest(Phase.LEAD, 0, "baseline", (), 5)
    return Start(number, request, "p", Outcome.MEASURED, {"output_throughput": 1.5}, detail=detail)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.jsonl"


@given(starts)
def test_a_start_survives_the_round_trip_exactly(made: Start) -> None:
    back = decode(Start, json.loads(json.dumps(encode(made))))
    assert back == made
    # == holds between True, 1 and 1.0, so types are compared as well.
    assert repr(back) == repr(made)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(made=st.lists(starts, max_size=4))
def test_what_was_appended_is_read_back(tmp_path: Path, made: list[Start]) -> None:
    path = tmp_path / "ledger.jsonl"
    path.unlink(missing_ok=True)
    made = [replace(each, number=number) for number, each in enumerate(made, 1)]
    with Ledger.create(path, {"model": "m", "seed": 3}) as ledger:
        for each in made:
            ledger.append(each)
        assert ledger.starts() == made
    with Ledger.open(path) as again:
        assert again.starts() == made
        assert again.question == {"model": "m", "seed": 3}


def test_a_line_from_before_fields_were_added_is_read() -> None:
    made = replace(start(), windows=(Window(0, 0.0, 1.0, 1, {}),))
    line = encode(made)
    del line["answers"], line["request"]["live"], line["windows"][0]["on"]
    assert decode(Start, line) == made


def test_the_file_is_a_header_and_a_line_for_each_start(path: Path) -> None:
    with Ledger.create(path, {"a": 1}) as ledger:
        ledger.append(start(1))
        ledger.append(start(2))
    lines = path.read_bytes().splitlines(keepends=True)
    assert json.loads(lines[0]) == {"format": 3, "question": {"a": 1}}
    assert [json.loads(line)["number"] for line in lines[1:]] == [1, 2]
    assert all(line.endswith(b"\n") for line in lines)


def test_starts_gives_a_copy(path: Path) -> None:
    with Ledger.create(path, {}) as ledger:
        ledger.starts().append(start())
        assert ledger.starts() == []


def test_a_torn_last_line_is_ignored_then_overwritten(path: Path) -> None:
    with Ledger.create(path, {}) as ledger:
        ledger.append(start(1))
        ledger.append(start(2, detail="x" * 500))
    whole = path.read_bytes()
    first_two = whole[: whole.index(b"\n", whole.index(b"\n") + 1) + 1]
    for cut in (1, 30, len(whole) - len(first_two)):
        path.write_bytes(whole[:-cut])
        with Ledger.open(path) as ledger:
            assert ledger.starts() == [start(1)]
            ledger.append(start(2))
        assert path.read_bytes().startswith(first_two)
        with Ledger.open(path) as ledger:
            assert ledger.starts() == [start(1), start(2)]


def test_reading_a_torn_ledger_does_not_change_it(path: Path) -> None:
    Ledger.create(path, {}).close()
    torn = path.read_bytes() + b'{"number": 1'
    path.write_bytes(torn)
    Ledger.open(path, readonly=True).close()
    Ledger.open(path).close()
    assert path.read_bytes() == torn


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "{}",
        "[1]",
        json.dumps({**encode(start()), "outcome": "splendid"}),
        json.dumps({**encode(start()), "number": "1"}),
        json.dumps({**encode(start()), "extra": 1}),
        json.dumps({**encode(start()), "metrics": [1.0]}),
        json.dumps({**encode(start()), "request": {**encode(start())["request"], "seed": True}}),
    ],
)
def test_another_malformed_line_is_named(path: Path, line: str) -> None:
    with Ledger.create(path, {}) as ledger:
        ledger.append(start(1))
    with path.open("a") as file:
        file.write(line + "\n" + json.dumps(encode(start(3))) + "\n")
    with pytest.raises(StudyError, match="line 3 ") as raised:
        Ledger.open(path)
    assert "\n" not in str(raised.value)
    path.write_text("\n".join(path.read_text().splitlines()[:2]) + "\n")
    with Ledger.open(path) as ledger:  # the refusal left no lock behind
        assert len(ledger.starts()) == 1


def test_a_ledger_of_the_first_format_is_read(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    window = '{"index":0,"begin":0.0,"end":1.0,"requests":9,"metrics":{"ttft_p99":3.0},"void":[]}'
    path.write_text(
        '{"format":1,"question":{"a":1}}\n'
        '{"number":1,"request":{"phase":"screen","block":0,"arm":"a","candidate":[],"seed":1},'
        f'"plan":"x","outcome":"measured","metrics":{{"ttft_p99":3.0}},"windows":[{window}]}}\n'
    )
    with Ledger.open(path, readonly=True) as ledger:
        (start,) = ledger.starts()
    assert (start.marks, start.windows[0].bins, start.windows[0].spread) == ({}, (), {})


def test_another_format_is_refused_by_number(path: Path) -> None:
    path.write_text('{"format": 7, "question": {}}\n')
    with pytest.raises(StudyError, match="format 3 or older, but has 7"):
        Ledger.open(path)


@pytest.mark.parametrize("text", ["", "\n", "hello\n", "[]\n", '{"format":1,"question":3}\n'])
def test_a_file_without_a_header_is_refused(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(StudyError, match="line 1"):
        Ledger.open(path)


def _file(form: int, numbers: Sequence[int], path: Path) -> list[bytes]:
    """Return the lines of a ledger: the header and these starts, chained if the format is."""
    with Ledger.create(path, {"a": form}) as ledger:
        for number in numbers:
            ledger.append(start(number, detail=f"start {number}"))
    lines = path.read_bytes().splitlines(keepends=True)
    if form < 3:
        records = [{k: v for k, v in json.loads(line).items() if k != "sum"} for line in lines]
        records[0]["format"] = form
        lines = [json.dumps(record).encode() + b"\n" for record in records]
    return lines


_DAMAGE: dict[str, tuple[Callable[[list[bytes]], list[bytes]], int]] = {
    "doubled": (lambda a: [*a[:3], a[2], *a[3:]], 4),
    "doubled at the end": (lambda a: [*a, a[-1]], 6),
    "swapped": (lambda a: [*a[:2], a[3], a[2], a[4]], 3),
    "missing": (lambda a: [*a[:2], *a[3:]], 3),
    "the first is missing": (lambda a: [a[0], *a[2:]], 2),
    "all doubled": (lambda a: [*a, *a[1:]], 6),
    "an empty line": (lambda a: [*a[:2], b"\n", *a[2:]], 3),
}


@pytest.mark.parametrize("form", [2, 3])
@pytest.mark.parametrize("name", _DAMAGE)
def test_lines_that_are_not_the_starts_in_order_are_refused(
    path: Path, form: int, name: str
) -> None:
    damage, line = _DAMAGE[name]
    path.write_bytes(b"".join(damage(_file(form, (1, 2, 3, 4), path))))
    before = path.read_bytes()
    with pytest.raises(StudyError, match=rf"line {line} must hold start {line - 1} of this study"):
        Ledger.open(path)
    assert path.read_bytes() == before


def test_a_changed_or_foreign_line_is_refused(path: Path, tmp_path: Path) -> None:
    lines = _file(3, (1, 2, 3), path)
    changed = [*lines[:2], lines[2].replace(b"1.5", b"2.5"), lines[3]]
    (tmp_path / "other").mkdir()
    other = _file(3, (1, 2, 3), tmp_path / "other" / "ledger.jsonl")
    with Ledger.create(tmp_path / "third.jsonl", {"another": "question"}) as ledger:
        ledger.append(start(1, detail="start 1"))
    third = (tmp_path / "third.jsonl").read_bytes().splitlines(keepends=True)
    assert other == lines  # the same question and starts are the same study
    for damaged, line in (
        (changed, 3),
        (changed[:3], 3),
        ([lines[0], third[1], *lines[2:]], 2),
        ([third[0], *lines[1:]], 2),
    ):
        path.write_bytes(b"".join(damaged))
        with pytest.raises(StudyError, match=rf"line {line} .*does not follow the line before it"):
            Ledger.open(path)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-1.0", "1e999", "1" + "0" * 400])
@pytest.mark.parametrize("place", ['"seconds":0.0', '"began":0.0', '"output_throughput":1.5'])
def test_an_impossible_number_is_refused(path: Path, place: str, number: str) -> None:
    name, _, _ = place.partition(":")
    lines = _file(2, (1, 2), path)
    text = lines[1].decode().replace(": ", ":").replace(place, f"{name}:{number}")
    path.write_bytes(lines[0] + text.encode() + lines[2])
    with pytest.raises(StudyError, match="line 2 must hold start 1") as raised:
        Ledger.open(path)
    assert len(str(raised.value)) < 1000


def test_nested_without_end_is_one_line(path: Path) -> None:
    lines = _file(3, (1,), path)
    path.write_bytes(lines[0] + b"[" * 100_000 + b"\n")
    with pytest.raises(StudyError, match="line 2 "):
        Ledger.open(path)


def test_an_older_ledger_goes_on_in_its_own_format(path: Path) -> None:
    path.write_bytes(b"".join(_file(2, (1, 2), path)))
    with Ledger.open(path) as ledger:
        ledger.append(start(3))
    assert b'"sum"' not in path.read_bytes()
    with Ledger.open(path, readonly=True) as ledger:
        assert [one.number for one in ledger.starts()] == [1, 2, 3]


def test_a_start_out_of_order_is_not_appended(path: Path) -> None:
    with Ledger.create(path, {}) as ledger, pytest.raises(StudyError, match="start 1 comes next"):
        ledger.append(start(2))


def test_absent_and_present_files(path: Path) -> None:
    with pytest.raises(StudyError, match="there is none"):
        Ledger.open(path)
    Ledger.create(path, {}).close()
    with pytest.raises(StudyError, match="must not exist yet"):
        Ledger.create(path, {})


def test_a_folder_that_cannot_hold_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StudyError, match=r"ledger\.jsonl cannot be"):
        Ledger.create(tmp_path / "file" / "ledger.jsonl", {})


def test_a_question_that_json_cannot_hold(path: Path) -> None:
    with pytest.raises(StudyError, match="plain values"):
        Ledger.create(path, {"x": object()})
    assert not path.exists()


def test_numbers_must_be_finite(path: Path) -> None:
    with Ledger.create(path, {}) as ledger:
        before = path.read_bytes()
        bad = Start(1, start().request, "p", Outcome.MEASURED, {"x": float("nan")})
        with pytest.raises(StudyError, match="finite"):
            ledger.append(bad)
        assert path.read_bytes() == before
        assert ledger.starts() == []


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_takes_half_a_line_leaves_the_file_consistent(path: Path) -> None:
    with Ledger.create(path, {}) as ledger:
        ledger.append(start(1))
        before = path.read_bytes()
        with file_size_limit(len(before) + 40), pytest.raises(StudyError, match="start 2"):
            ledger.append(start(2))
        assert path.read_bytes() == before
        assert ledger.starts() == [start(1)]
        ledger.append(start(2))
    with Ledger.open(path) as again:
        assert again.starts() == [start(1), start(2)]


def test_a_failed_fsync_leaves_the_file_consistent(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Ledger.create(path, {}) as ledger:
        before = path.read_bytes()

        def full(handle: int) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(StudyError, match="No space left on device"):
                ledger.append(start())
        assert path.read_bytes() == before


def test_a_ledger_that_cannot_be_begun_leaves_nothing(path: Path) -> None:
    with file_size_limit(10), pytest.raises(StudyError, match="cannot be written"):
        Ledger.create(path, {"a": "b" * 100})
    assert not path.exists()
    Ledger.create(path, {"a": "b" * 100}).close()


def test_every_append_is_synced(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bytes] = []
    real = os.fsync

    def spy(handle: int) -> None:
        real(handle)
        synced.append(path.read_bytes())

    with Ledger.create(path, {}) as ledger:
        monkeypatch.setattr(os, "fsync", spy)
        ledger.append(start())
        assert synced == [path.read_bytes()]


def _append_elsewhere(path: Path, results: "multiprocessing.Queue[str]") -> None:
    try:
        Ledger.open(path).close()
        results.put("opened")
    except StudyError as error:
        results.put(str(error))


def test_one_writer_at_a_time_also_between_processes(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    with Ledger.create(path, {}) as ledger:
        ledger.append(start())
        with pytest.raises(StudyError, match="another trimtab"):
            Ledger.open(path)
        reader = Ledger.open(path, readonly=True)
        assert reader.starts() == [start()]
        with pytest.raises(StudyError, match="read-only"):
            reader.append(start(2))
        other = context.Process(target=_append_elsewhere, args=(path, results))
        other.start()
        assert "another trimtab" in results.get(timeout=60)
        other.join(60)
    Ledger.open(path).close()
    with pytest.raises(StudyError, match="read-only"):
        ledger.append(start(2))
    results.close()
    results.join_thread()
