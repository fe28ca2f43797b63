"""``trimtab lint`` as people type it: outputs, exit codes, fixes, suppression, bad input."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner

from trimtab.cli.app import app
from trimtab.errors import UsageError

BAD = "export TASK_QUEUE_ENABLE=3\nvllm serve m\n"
GOOD = "export TASK_QUEUE_ENABLE=0\nvllm serve m\n"


def run(*words: str, stdin: str | None = None) -> tuple[int, str]:
    ran = CliRunner().invoke(app, ["lint", *words], input=stdin, env={"COLUMNS": None})
    if ran.exception is not None and not isinstance(ran.exception, SystemExit):
        raise ran.exception
    return ran.exit_code, ran.stdout


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "serve.sh"
    path.write_text(BAD)
    return path


def findings(*words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run(*words, "--json")[1])["findings"]
    return found


def test_a_preset_is_linted_in_the_lines_of_its_source(script: Path) -> None:
    found = findings("--preset", "guide-v1", "--preset", "image-a2")
    places = {(one["rule"], one["file"], one["line"]) for one in found}
    assert ("lost-by-space", "guide-v1.md", 113) in places
    assert ("interactive-only", "image-a2.dockerfile", 88) in places
    assert run("--preset", "stock") == (0, run("--preset", "stock")[1])
    assert len(findings(str(script), "--preset", "guide-v2")) > len(findings(str(script)))
    with pytest.raises(UsageError, match="no preset is called 'guide-v3'"):
        run("--preset", "guide-v3")
    with pytest.raises(UsageError, match="or --preset NAME"):
        run()


def test_the_exit_code_tells_whether_something_is_wrong(script: Path) -> None:
    assert run(str(script))[0] == 1
    script.write_text(GOOD)
    assert run(str(script))[0] == 0


def test_an_info_alone_does_not_fail(script: Path) -> None:
    script.write_text("export TASK_QUEUE_ENABLE=1\nvllm serve m\n")
    code, out = run(str(script))
    assert code == 0
    assert "redundant" in out


def test_text_marks_the_line(script: Path) -> None:
    _, out = run(str(script))
    assert f"{script}:1:8: error[value-refused]:" in out
    lines = out.splitlines()
    source = next(i for i, line in enumerate(lines) if "export TASK_QUEUE_ENABLE=3" in line)
    marked = lines[source + 1]
    begin = lines[source].index("TASK_QUEUE")
    assert marked.index("^") == begin
    assert marked.rstrip().endswith("^" * len("TASK_QUEUE_ENABLE=3"))


def test_json_has_the_promised_keys(script: Path) -> None:
    (one,) = findings(str(script))
    assert one["file"] == str(script)
    assert (one["line"], one["column"]) == (1, 8)
    assert (one["rule"], one["severity"]) == ("value-refused", "error")
    assert one["setting"] == "TASK_QUEUE_ENABLE"
    assert one["message"]
    assert one["fix"]


SARIF = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["tool", "results"],
                "properties": {
                    "tool": {
                        "required": ["driver"],
                        "properties": {"driver": {"required": ["name", "rules"]}},
                    },
                    "results": {
                        "items": {
                            "required": ["ruleId", "level", "message", "locations"],
                            "properties": {
                                "level": {"enum": ["none", "note", "warning", "error"]},
                                "ruleIndex": {"type": "integer", "minimum": 0},
                                "message": {"required": ["text"]},
                                "locations": {
                                    "items": {
                                        "properties": {
                                            "physicalLocation": {
                                                "required": ["artifactLocation", "region"],
                                                "properties": {
                                                    "region": {
                                                        "properties": {
                                                            "startLine": {"minimum": 1},
                                                            "startColumn": {"minimum": 1},
                                                        }
                                                    }
                                                },
                                            }
                                        }
                                    }
                                },
                            },
                        }
                    },
                },
            },
        },
    },
}
"""What readers of SARIF 2.1.0 need (OASIS specification, sections 3.13 to 3.30)."""


def test_sarif_names_rules_by_index(script: Path) -> None:
    log = json.loads(run(str(script), "--format", "sarif")[1])
    jsonschema.validate(log, SARIF)
    (ran,) = log["runs"]
    for result in ran["results"]:
        named = ran["tool"]["driver"]["rules"][result["ruleIndex"]]
        assert named["id"] == result["ruleId"]


def test_sarif_leads_to_each_rules_place_in_the_docs(
    script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trimtab.linter import output

    page = (Path(__file__).parents[3] / "docs" / "rules.md").read_text()
    for address in ("", "https://docs.example/trimtab"):
        monkeypatch.setattr(output, "documentation", lambda address=address: address)
        log = json.loads(run(str(script), "--format", "sarif")[1])
        (rule,) = log["runs"][0]["tool"]["driver"]["rules"]
        assert rule["help"]["text"].startswith(f"See docs/rules.md#{rule['id']}")
        assert f'<a id="{rule["id"]}"></a>' in page
        wanted = f"{address}/rules.md#{rule['id']}" if address else None
        assert rule.get("helpUri") == wanted


def test_the_docs_address_is_that_of_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    from email.message import Message

    from trimtab.linter import output

    told = Message()
    told["Project-URL"] = "Source, https://code.example/trimtab"
    told["Project-URL"] = "Documentation, https://docs.example/trimtab/"
    monkeypatch.setattr("importlib.metadata.metadata", lambda name: told)
    assert output.documentation.__wrapped__() == "https://docs.example/trimtab"


def test_what_cannot_be_read_is_no_clean_bill(tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, ["lint", str(tmp_path / "none.sh")])
    assert (ran.exit_code, ran.stdout) == (2, "no file was read\n")


def test_annotations_are_one_escaped_line_each(script: Path) -> None:
    _, out = run(str(script), "--format", "github")
    assert re.fullmatch(
        r"::error file=[^,]+,line=1,col=8,title=trimtab value-refused::.+\n", out
    ), out


@pytest.mark.parametrize("form", ["ignore[value-refused]", "ignore=value-refused", "ignore"])
def test_a_comment_suppresses(script: Path, form: str) -> None:
    script.write_text(f"# trimtab: {form}\n{BAD}")
    assert run(str(script))[0] == 0


def test_a_comment_that_names_another_rule_suppresses_nothing(script: Path) -> None:
    script.write_text(f"# trimtab: ignore=inert\n{BAD}")
    assert {one["rule"] for one in findings(str(script))} == {"value-refused"}


def test_an_unknown_rule_in_a_comment_is_told(script: Path) -> None:
    script.write_text(f"# trimtab: ignore[value-refussed]\n{BAD}")
    assert {one["rule"] for one in findings(str(script))} == {
        "value-refused", "unknown-suppression",
    }  # fmt: skip


def test_rules_are_selected_and_ignored(script: Path) -> None:
    script.write_text("export TASK_QUEUE_ENABLE=3\nexport VLLM_USE_V1=1\nvllm serve m\n")
    assert {one["rule"] for one in findings(str(script), "--select", "inert")} == {"inert"}
    assert {one["rule"] for one in findings(str(script), "--ignore", "iner*")} == {"value-refused"}
    assert findings(str(script), "--min-severity", "error")[0]["rule"] == "value-refused"


def test_the_context_settles_a_condition(script: Path) -> None:
    script.write_text("export TASK_QUEUE_ENABLE=2\nvllm serve m\n")
    (open_,) = findings(str(script))
    assert (open_["severity"], "if graphs" in open_["message"]) == ("warning", True)
    (sure,) = findings(str(script), "--context", "graphs=on")
    assert sure["severity"] == "error"
    assert findings(str(script), "--context", "graphs=off") == []


def test_standard_input_is_read_by_the_name_given() -> None:
    code, out = run(
        "-", "--json", "--stdin-filename", "Dockerfile", stdin="ENV TASK_QUEUE_ENABLE=3\n"
    )
    assert code == 1
    assert json.loads(out)["findings"][0]["file"] == "Dockerfile"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "export LD_PRELOAD=/usr/lib/$(uname -i)-linux-gnu/libjemalloc.so.2\nvllm serve m\n",
            "export LD_PRELOAD=/usr/lib/$(uname -m)-linux-gnu/libjemalloc.so.2\nvllm serve m\n",
        ),
        ("export VLLM_USE_V1=1\nvllm serve m\n", "vllm serve m\n"),
        (
            "VLLM_USE_MODELSCOPE=1\nvllm serve m\n",
            "export VLLM_USE_MODELSCOPE=1\nvllm serve m\n",
        ),
        (
            "export VLLM_LOGING_LEVEL=DEBUG\nvllm serve m\n",
            "export VLLM_LOGGING_LEVEL=DEBUG\nvllm serve m\n",
        ),
        ("find / -name libtc*\n", "find / -name 'libtc*'\n"),
    ],
)
def test_what_is_mechanical_is_fixed_and_stays_fixed(
    script: Path, before: str, after: str
) -> None:
    script.write_text(before)
    script.chmod(0o755)
    run(str(script), "--fix", "--yes")
    assert script.read_text() == after
    assert script.stat().st_mode & 0o777 == 0o755
    run(str(script), "--fix", "--yes")
    assert script.read_text() == after


def test_a_fix_is_shown_first_and_not_written_without_a_yes(script: Path) -> None:
    text = "export VLLM_USE_V1=1\nvllm serve m\n"
    script.write_text(text)
    ran = CliRunner().invoke(app, ["lint", str(script), "--fix"], input="n\n")
    assert "-export VLLM_USE_V1=1" in ran.output
    assert script.read_text() == text


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("vllm serve m \\\n  --swap-space 16\necho done\n", "vllm serve m\necho done\n"),
        ("env A=1 \\\n  VLLM_USE_V1=1\nvllm serve m\n", None),
    ],
)
def test_a_continued_line_is_not_torn(script: Path, text: str, after: str | None) -> None:
    script.write_text(text)
    run(str(script), "--fix", "--yes")
    assert script.read_text() == (after or text)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("serve.sh", b"\xff\xfe\x00", "binary"),
        ("serve.sh", b"a\0b", "binary"),
        ("notes.xyz", b"nothing\n", "format is not known"),
        ("pod.yaml", b"a: [1\n", "YAML"),
        ("pod.yaml", b"- 1\n- 2\n", "pod.yaml"),
    ],
)
def test_a_bad_file_is_one_sentence_and_exit_code_two(
    tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    ran = CliRunner().invoke(app, ["lint", str(path)])
    assert ran.exit_code == 2
    assert len(ran.stderr.splitlines()) == 1
    assert says in ran.stderr


def test_other_files_are_linted_beside_a_bad_one(script: Path, tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, ["lint", str(script), str(tmp_path / "none.sh"), "--json"])
    assert ran.exit_code == 2
    assert len(json.loads(ran.stdout)["findings"]) == 1


def test_a_folder_is_searched_for_what_is_a_launch_file(tmp_path: Path) -> None:
    (tmp_path / "serve.sh").write_text(BAD)
    (tmp_path / "data.yaml").write_text("a: 1\n")
    (tmp_path / "compose.yaml").write_text(
        "services:\n  a:\n    image: x\n    environment: {TASK_QUEUE_ENABLE: '3'}\n"
    )
    assert {Path(one["file"]).name for one in findings(str(tmp_path))} == {
        "serve.sh", "compose.yaml",
    }  # fmt: skip


@pytest.mark.parametrize(
    "words", [("--format", "xml"), ("--min-severity", "bad"), ("--context", "chip")]
)
def test_a_wrong_option_is_refused(script: Path, words: tuple[str, str]) -> None:
    with pytest.raises(UsageError, match=words[0]):
        run(str(script), *words)


SECRETS = {
    "serve.sh": "export HF_TOKEN=hf_notforyou1\nvllm serve m --api-key sk-notforyou\n",
    "pod.yaml": (
        "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n    - name: v\n      image: i\n"
        "      command: [vllm, serve, m]\n      env:\n"
        "        - {name: HF_TOKEN, value: hf_notforyou1}\n"
        "        - name: VLLM_API_KEY\n          value: notforyou2\n"
    ),
    "Dockerfile": "FROM i\nENV HF_TOKEN=hf_notforyou1 VLLM_USE_V1=1\nCMD vllm serve m\n",
}


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_never_printed(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(SECRETS[name])
    assert {one["rule"] for one in findings(str(path))} >= {"secret-in-clear"}
    for form in ("text", "json", "sarif", "github"):
        assert "notforyou" not in run(str(path), "--format", form)[1]


def test_a_diff_shows_no_secret(script: Path) -> None:
    script.write_text("export HF_TOKEN=hf_notforyou1\nexport VLLM_USE_V1=1\nvllm serve m\n")
    ran = CliRunner().invoke(app, ["lint", str(script), "--fix"], input="n\n")
    assert "-export VLLM_USE_V1=1" in ran.output
    assert "notforyou" not in ran.output
