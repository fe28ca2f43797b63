"""Every knob: parsing what it rendered gives the value back, for every value of every tuning."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contracts.machines import STOCK, facts_of, plain_host
from trimtab.catalog import CATALOG, Context
from trimtab.errors import LibraryMissingError, UsageError
from trimtab.knobs import (
    Affinity,
    Argument,
    Draft,
    Env,
    EnvList,
    Interpreter,
    JsonKey,
    Knob,
    Switch,
    Sysctl,
    Sysfs,
)
from trimtab.knobs.server_arg import human_int
from trimtab.model import CheckKind, Proof, Settings, Value

FACTS = facts_of(plain_host())
TEXT = st.text(
    st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="\0\n"), max_size=20
)
WORDS = st.text(string.ascii_lowercase + string.digits + "-", min_size=1, max_size=12)


def render(knob: Knob, value: Value, base: Settings = STOCK) -> Draft:
    draft = Draft.of(base)
    knob.contribute(draft, value, FACTS)
    return draft


def back(knob: Knob, draft: Draft) -> Value:
    return knob.parse(draft.settings(), draft.host_writes())


@pytest.mark.parametrize("name", CATALOG)
def test_every_value_of_the_catalogue_round_trips(name: str, rich: Context) -> None:
    tuning = CATALOG[name]
    values = tuning.values_for(rich)
    assert len(values) > 1 or tuning.advisory, "the rich machine must offer an alternative"
    for value in values:
        draft = Draft.of(STOCK)
        tuning.knob.contribute(draft, value, rich.facts)
        assert back(tuning.knob, draft) == value
        again = Draft.of(draft.settings())
        tuning.knob.contribute(again, None, rich.facts)
        assert tuning.knob.parse(again.settings()) is None


@given(value=TEXT)
def test_env_carries_any_text(value: str) -> None:
    assert back(Env("X"), render(Env("X"), value)) == value


@given(value=TEXT.filter(lambda text: "," not in text and text == text.strip()), other=WORDS)
def test_env_list_keeps_other_keys(value: str, other: str) -> None:
    knob = EnvList("CONF", "key")
    base = Settings(argv=("x",), env=(("CONF", f"{other}_x:1"),))
    draft = render(knob, value, base)
    assert back(knob, draft) == value
    assert back(EnvList("CONF", f"{other}_x"), draft) == "1"


@given(value=TEXT, around=st.lists(WORDS, max_size=4))
def test_argument_carries_any_text(value: str, around: list[str]) -> None:
    knob = Argument("--dtype")
    base = Settings(argv=("vllm", "serve", *around, "--dtype", "half", *around))
    draft = render(knob, value, base)
    assert back(knob, draft) == value
    assert draft.argv.count("--dtype") <= 1
    assert "half" not in draft.argv or "half" in (value, *around)


@given(value=st.one_of(TEXT, st.booleans(), st.integers(-99, 99)), other=WORDS)
def test_a_key_of_a_json_option_keeps_other_keys(value: Value, other: str) -> None:
    knob = JsonKey("--additional-config", "outer.key")
    base = Settings(("x", "--additional-config", f'{{"{other}_x": 1, "outer": {{"a": 2}}}}'))
    draft = render(knob, value, base)
    assert back(knob, draft) == value
    assert back(JsonKey("--additional-config", f"{other}_x"), draft) == 1
    assert back(JsonKey("--additional-config", "outer.a"), draft) == 2


@pytest.mark.parametrize("text", ["[]", "no json", "1", "{", "null"])
def test_what_is_no_json_object_is_not_taken_for_one(text: str) -> None:
    base = Settings(("x", "--additional-config", text))
    knob = JsonKey("--additional-config", "key")
    assert knob.parse(base) is None
    with pytest.raises(UsageError, match="must be a JSON object"):
        render(knob, True, base)


@given(value=st.integers(-(10**9), 10**9))
def test_typed_knobs_carry_integers(value: int) -> None:
    for knob in (Env("X", int), Argument("--n", int), Sysctl("vm.x"), Sysfs("/sys/x", int)):
        assert back(knob, render(knob, value)) == value


@given(cpus=st.sets(st.sampled_from([0, 1]), min_size=1))
def test_affinity_carries_cpu_lists(cpus: set[int]) -> None:
    text = ",".join(str(cpu) for cpu in sorted(cpus)).replace("0,1", "0-1")
    assert back(Affinity(), render(Affinity(), text)) == text


@pytest.mark.parametrize(
    ("argv", "value"),
    [
        (("--max-num-seqs", "8"), 8),
        (("--max-num-seqs=8",), 8),
        (("--max_num_seqs", "8"), 8),
        (("--max_num_seqs=4k",), 4000),
        (("--max-num-seqs", "4K"), 4096),
        (("--max-num-seqs", "8", "--max-num-seqs", "9"), 9),
        (("--max-num-seqs", "many"), "many"),
        (("--max-num-seqs-more", "8"), None),
        ((), None),
    ],
)
def test_argument_forms_that_vllm_accepts(argv: tuple[str, ...], value: Value) -> None:
    assert Argument("--max-num-seqs", int).parse(Settings(argv=("vllm", *argv))) == value


@pytest.mark.parametrize(
    ("argv", "value"),
    [
        (("--enforce-eager",), True),
        (("--enforce_eager",), True),
        (("--no-enforce-eager",), False),
        (("--enforce-eager", "--no-enforce-eager"), False),
        ((), None),
    ],
)
def test_switch_forms_that_vllm_accepts(argv: tuple[str, ...], value: Value) -> None:
    assert Switch("--enforce-eager").parse(Settings(argv=("vllm", *argv))) == value


def test_human_integers_like_vllm() -> None:
    assert human_int("25.6k") == 25600
    assert human_int("2M") == 2 * 2**20
    assert human_int("1.5K") is None
    assert human_int("x") is None


def test_what_cannot_be_expressed_is_refused() -> None:
    with pytest.raises(UsageError, match="one line"):
        render(Env("X"), "a\nb")
    with pytest.raises(UsageError, match="true or false"):
        render(Switch("--enforce-eager"), "yes")
    with pytest.raises(UsageError, match="cannot be negated"):
        render(Switch("--disable-log-stats", negatable=False), False)
    with pytest.raises(UsageError, match="allowed CPUs"):
        render(Affinity(), "0-99")
    with pytest.raises(UsageError, match="followed by its value"):
        Argument("--dtype").parse(Settings(argv=("vllm", "--dtype")))
    with pytest.raises(UsageError, match="must not hold"):
        render(EnvList("CONF", "key"), "a,b")


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (("/d/engines/vllm-cpu@a-1.2/bin/vllm", "serve"), "a-1.2"),
        (("/d/engines/vllm-cpu@x/bin/python", "/d/engines/vllm-cpu@x/bin/vllm"), "x"),
        (("/usr/bin/python3", "/d/engines/vllm-cpu@x/bin/vllm", "serve"), "x"),
        (("/d/engines/vllm-cpu/bin/vllm", "serve"), None),
        (("vllm", "serve", "/d/engines/vllm-cpu@x/bin/vllm"), None),
        ((), None),
    ],
)
def test_interpreters_are_told_by_the_program(argv: tuple[str, ...], name: Value) -> None:
    assert Interpreter().parse(Settings(argv=argv)) == name


def test_an_interpreter_that_has_no_environment_is_refused() -> None:
    with pytest.raises(UsageError, match=r"there is none yet.*'x'.*engine install"):
        render(Interpreter(), "x")


def test_a_missing_library_names_its_package() -> None:
    with pytest.raises(LibraryMissingError, match="libtcmalloc-minimal4"):
        render(CATALOG["tcmalloc"].knob, "libtcmalloc_minimal.so.4")


def test_inherited_preloads_are_read_split_and_kept_in_order(rich: Context) -> None:
    base = Settings(
        argv=("x",), env=(("LD_PRELOAD", "/a/liba.so:/b/libjemalloc.so.2 /c/libc.so"),)
    )
    assert CATALOG["jemalloc"].knob.parse(base) == "libjemalloc.so.2"
    draft = Draft.of(base)
    CATALOG["tcmalloc"].knob.contribute(draft, "libtcmalloc.so.4", rich.facts)
    assert draft.settings().preload[:3] == ("/a/liba.so", "/b/libjemalloc.so.2", "/c/libc.so")
    assert "LD_PRELOAD" not in dict(draft.settings().env)
    mapped = [check for check in draft.checks if check.kind is CheckKind.MAPPED]
    assert [check.proves for check in mapped] == [Proof.DELIVERY]


def test_a_set_variable_alone_never_proves_an_effect() -> None:
    for tuning in CATALOG.values():
        if isinstance(tuning.knob, (Env, EnvList)):
            draft = render(tuning.knob, "1")
            assert {check.proves for check in draft.checks} == {Proof.DELIVERY}


def test_a_host_file_proves_only_that_the_value_arrived() -> None:
    for knob in (Sysctl("vm.swappiness"), Sysfs("/sys/x")):
        assert {check.proves for check in render(knob, "1").checks} == {Proof.DELIVERY}
