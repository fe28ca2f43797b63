"""Readers: one file for each format, each a function from a text to a `Document`."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import PurePath

from trimtab.errors import UsageError
from trimtab.families import launch_pattern
from trimtab.linter.readers import changes, yaml_nodes
from trimtab.linter.readers.shell_session import ShellSession
from trimtab.linter.readers.source import DocumentBuilder, SourceText
from trimtab.model.document import Document, Oddity, Origin, Setting

FORMATS = (
    "shell scripts, Dockerfiles, compose files, Kubernetes manifests, systemd units, Quadlet "
    "files, .env files, sysctl files and Markdown"
)

_SUFFIXES = {
    **dict.fromkeys((".sh", ".bash", ".zsh", ".ksh", ".dash", ".command"), "shell"),
    **dict.fromkeys((".sbatch", ".slurm", ".pbs", ".lsf", ".sge", ".batch"), "shell"),
    **dict.fromkeys((".md", ".markdown", ".mdx"), "markdown"),
    **dict.fromkeys((".service", ".container"), "systemd"),
    **dict.fromkeys((".dockerfile", ".containerfile"), "dockerfile"),
    ".env": "env", ".yaml": "yaml", ".yml": "yaml",
}  # fmt: skip

_BUILD = re.compile(r"(?:docker|container)file(?:[._-](?!dockerignore)[\w.-]*)?")
_OTHER_LANGUAGES = frozenset({".py", ".go", ".js", ".ts", ".txt", ".rst", ".md", ".json"})


def read(name: str, text: str) -> Document:
    """Return what a text says; its format follows from ``name``, else from its content.

    Raises:
        UsageError: the format is not known, or the text is none of it.
    """
    return read_as(name, SourceText(name, text))


def read_as(name: str, source: SourceText) -> Document:
    """Return what a source says, read as a file of that name.

    Raises:
        UsageError: the format is not known, or the text is none of it.
    """
    kind = format_of(name, source.text)
    if kind == "shell":
        from trimtab.linter.readers.shell import read_shell

        return read_shell(source)
    if kind == "markdown":
        from trimtab.linter.readers.markdown import read_markdown

        return read_markdown(source)
    if kind == "dockerfile":
        from trimtab.linter.readers.dockerfile import read_dockerfile

        return read_dockerfile(source)
    if kind == "systemd":
        from trimtab.linter.readers.systemd import read_systemd

        return read_systemd(source)
    if kind in {"env", "sysctl"}:
        return read_env(source) if kind == "env" else read_sysctl(source)
    if kind == "yaml":
        return _yaml(source)
    raise UsageError(f"{source.file}: its format is not known: trimtab lint reads {FORMATS}")


def format_of(name: str, text: str = "") -> str:
    """Return the format of a file by its name, or by its first lines; "" if it is none of ours."""
    path = PurePath(name)
    base, suffix = path.name.lower(), path.suffix.lower()
    if _BUILD.fullmatch(base) and suffix not in _OTHER_LANGUAGES:
        return "dockerfile"
    if base == ".env" or base.startswith((".env.", ".env-")):
        return "env"
    if base == ".envrc":  # of direnv, which runs it in bash
        return "shell"
    if found := _SUFFIXES.get(suffix):
        return found
    if suffix == ".json":
        return "yaml" if _JSON.search(text) or base in _COMPOSE_JSON else ""
    if suffix == ".conf":
        return _conf(path)
    return _by_content(text)


_JSON = re.compile(r'"(?:apiVersion|services)"\s*:')
_COMPOSE_JSON = frozenset({"compose.json", "docker-compose.json"})


def _conf(path: PurePath) -> str:
    """Return the format of a ``.conf`` file: its folder tells whose it is."""
    folder = path.parent.name.lower()
    if path.name.lower() == "sysctl.conf" or folder == "sysctl.d":
        return "sysctl"
    drop_in = folder.endswith((".service.d", ".container.d")) or folder == "service.d"
    return "systemd" if drop_in else ""


_CONTENTS = (
    ("shell", re.compile(r"#!.*\b(?:ba|da|z|k|a)?sh\b")),
    ("systemd", re.compile(r"^\[(?:Service|Unit|Container)\]\s*$", re.MULTILINE)),
    ("dockerfile", re.compile(r"^FROM \S+", re.MULTILINE)),
    ("yaml", re.compile(r"^(?:apiVersion|services):", re.MULTILINE)),
    ("yaml", re.compile(r'\s*\{[^{}]*"(?:apiVersion|services|kind)"\s*:')),
    ("markdown", re.compile(r"^```", re.MULTILINE)),
    ("shell", re.compile(r"^(?:export \w+=|docker run )", re.MULTILINE)),
)


def _by_content(text: str) -> str:
    head = text[:4000].removeprefix("\ufeff")
    first = ("shell", "yaml") if head.startswith(("#!", "{")) else ()
    for kind, pattern in _CONTENTS:
        hit = pattern.match(head) if kind in first else pattern.search(head)
        if hit:
            return kind
    return "shell" if re.search(rf"^(?:{launch_pattern()}) ", head, re.MULTILINE) else ""


_STDIN = {
    "systemd": "stdin.service", "yaml": "stdin.yaml", "markdown": "stdin.md",
    "dockerfile": "Dockerfile",
}  # fmt: skip


def name_of(text: str) -> str:
    """Return a name for a text that has none, as its first line of content says; else a script."""
    lines = (line.rstrip() for line in text.removeprefix("\ufeff").splitlines())
    first = next(
        (line for line in lines if line.strip() and not re.match(r"#(?![ !])|# ", line)), ""
    )
    begins = (
        ("yaml", r"(?:---|[\w-]+:(?:\s.*)?|\{.*)$"),
        ("systemd", r"\[\w+\]$"),
        ("dockerfile", r"(?:FROM|ARG)\s+\S"),
        ("markdown", r"```"),
    )
    kind = next((kind for kind, pattern in begins if re.match(pattern, first)), "")
    if kind in {"", "dockerfile"} and re.search(r"^```\w*$", text, re.MULTILINE):
        kind = "markdown"
    return _STDIN.get(kind, "stdin.sh")


def _yaml(source: SourceText) -> Document:
    from trimtab.linter.readers.compose import read_compose
    from trimtab.linter.readers.kubernetes import is_manifest, read_kubernetes

    try:
        roots = yaml_nodes.documents(source)
    except UsageError as error:
        if "{{" not in source.text:
            raise
        why = (
            "it is a template and no YAML until it is filled in: run 'helm template' on its "
            f"chart, and lint what that prints ({error})"
        )
        line = source.text[: source.text.find("{{")].count("\n") + 1
        return Document(source.file, "yaml", source.text, unread=((source.place(line), why),))
    if any(is_manifest(root) for root in roots):
        return read_kubernetes(source, roots)
    if any(yaml_nodes.get(root, "services") is not None for root in roots):
        return read_compose(source, roots[0])
    raise UsageError(
        f"{source.file}: neither a compose file nor a Kubernetes manifest; if it holds a Helm "
        "chart's values, lint what 'helm template' prints"
    )


def read_env(source: SourceText) -> Document:
    """Return what a ``.env`` file says: what whoever reads it is given."""
    from dotenv.parser import parse_stream

    scribe = DocumentBuilder()
    session = ShellSession(source, scribe, origin=Origin.ENV_FILE)
    for binding in parse_stream(io.StringIO(source.text)):
        text = binding.original.string
        line = binding.original.line + len(text) - len(text.lstrip("\n"))
        line = min(line, len(source.lines))  # a lone carriage return ends a line there, not here
        if binding.error:
            scribe.unread.append((source.place(line), "this line is no assignment"))
            continue
        if binding.key is None:
            continue
        value = binding.value or ""
        raw = source.lines[line - 1]
        begin = raw.find(binding.key) + 1
        equals = raw.find("=", begin)
        place = source.place(line, begin, len(raw.rstrip()) + 1)
        setting = Setting(
            binding.key, value, place, Origin.ENV_FILE, "$" not in value,
            name_place=replace(place, end_column=begin + len(binding.key)),
            value_place=replace(place, column=equals + 2),
        )  # fmt: skip
        before = session.variables.exported().get(binding.key)
        if before is not None and before.value != value:
            scribe.notice(Oddity.OVERWRITTEN, before, setting)
        scribe.settings.append(setting)
        session.variables.give((setting,))
    session.finish()
    return scribe.document(source, "env")


def read_sysctl(source: SourceText) -> Document:
    """Return what a file of ``/etc/sysctl.d`` says."""
    scribe = DocumentBuilder()
    scribe.host += changes.sysctl_lines(source.text, source.place(1))
    ShellSession(source, scribe, inside=False).finish()
    return scribe.document(source, "sysctl")
