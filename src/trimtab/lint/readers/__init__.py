"""Readers: one file for each format, each a function from a text to a `Document`."""

from __future__ import annotations

import re
from pathlib import PurePath

from trimtab.errors import UsageError
from trimtab.lint.readers.source import Source
from trimtab.model.script import Document

FORMATS = (
    "shell scripts, Dockerfiles, compose files, Kubernetes manifests, systemd units, .env files, "
    "sysctl files and Markdown"
)

_SUFFIXES = {
    ".sh": "shell", ".bash": "shell", ".zsh": "shell", ".md": "markdown", ".markdown": "markdown",
    ".service": "systemd", ".env": "env", ".dockerfile": "dockerfile", ".yaml": "yaml",
    ".yml": "yaml",
}  # fmt: skip


def read(name: str, text: str) -> Document:
    """Return what a text says; its format follows from ``name``, else from its content.

    Raises:
        UsageError: the format is not known, or the text is none of it.
    """
    return read_as(name, Source(name, text))


def read_as(name: str, source: Source) -> Document:
    """Return what a source says, read as a file of that name.

    Raises:
        UsageError: the format is not known, or the text is none of it.
    """
    kind = format_of(name, source.text)
    if kind == "shell":
        from trimtab.lint.readers.shell import read_shell

        return read_shell(source)
    if kind == "markdown":
        from trimtab.lint.readers.markdown import read_markdown

        return read_markdown(source)
    if kind == "dockerfile":
        from trimtab.lint.readers.dockerfile import read_dockerfile

        return read_dockerfile(source)
    if kind == "systemd":
        from trimtab.lint.readers.systemd import read_systemd

        return read_systemd(source)
    if kind in {"env", "sysctl"}:
        from trimtab.lint.readers import flat

        return flat.read_env(source) if kind == "env" else flat.read_sysctl(source)
    if kind == "yaml":
        return _yaml(source)
    raise UsageError(f"{source.file}: its format is not known: trimtab lint reads {FORMATS}")


def format_of(name: str, text: str = "") -> str:
    """Return the format of a file by its name, or by its first lines; "" if it is none of ours."""
    path = PurePath(name)
    base = path.name.lower()
    if base.startswith(("dockerfile", "containerfile")):
        return "dockerfile"
    if base == ".env" or base.startswith(".env."):
        return "env"
    if found := _SUFFIXES.get(path.suffix.lower()):
        return found
    if path.suffix == ".conf" and (base == "sysctl.conf" or path.parent.name == "sysctl.d"):
        return "sysctl"
    return _by_content(text)


def _by_content(text: str) -> str:
    head = text[:4000]
    if re.match(r"#!.*\b(?:ba|da|z|k)?sh\b", head):
        return "shell"
    if re.search(r"^\[(?:Service|Unit)\]\s*$", head, re.MULTILINE):
        return "systemd"
    if re.search(r"^FROM \S+", head, re.MULTILINE):
        return "dockerfile"
    if re.search(r"^(?:apiVersion|services):", head, re.MULTILINE):
        return "yaml"
    if re.search(r"^```", head, re.MULTILINE):
        return "markdown"
    if re.search(r"^(?:export \w+=|vllm serve |docker run )", head, re.MULTILINE):
        return "shell"
    return ""


def _yaml(source: Source) -> Document:
    from trimtab.lint.readers import yaml_nodes
    from trimtab.lint.readers.compose import read_compose
    from trimtab.lint.readers.kubernetes import is_manifest, read_kubernetes

    try:
        roots = yaml_nodes.documents(source)
    except UsageError as error:
        if "{{" not in source.text:
            raise
        why = f"it is a template and no YAML until that is filled in ({error})"
        return Document(source.file, "yaml", source.text, unread=((source.place(1), why),))
    if any(is_manifest(root) for root in roots):
        return read_kubernetes(source, roots)
    if any(yaml_nodes.get(root, "services") is not None for root in roots):
        return read_compose(source, roots[0])
    raise UsageError(f"{source.file}: neither a compose file nor a Kubernetes manifest")
