"""What a command changes for those after it: switches, sourced texts, files, kernel settings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from trimtab.linter.readers import effects, embedded_texts
from trimtab.linter.readers.document_builder import DocumentBuilder
from trimtab.linter.readers.launch import ShellWord, printed_text, program, unwrap
from trimtab.linter.readers.source import with_place
from trimtab.model.document import Oddity, Origin, Place, Redirect

if TYPE_CHECKING:
    from trimtab.linter.readers.shell_session import ShellSession

DEEPEST: Final = 8
"""How many texts may stand in one another."""


def follow(
    session: ShellSession,
    found: Sequence[ShellWord],
    redirects: Sequence[Redirect],
    stdin: str | None,
) -> None:
    """Follow what one command changes."""
    bare = unwrap(found).words
    if not bare:
        return
    name = program(bare)
    literal = all(one.literal for one in bare)
    said = stdin
    if name in {"echo", "printf"}:
        said = printed_text(bare, None) or " ".join(one.text for one in bare[1:])
    if name == "sysctl":
        session.scribe.host += effects.sysctl_pairs(bare)
    elif name == "set":
        _switches(session, [one.text for one in bare[1:]])
    elif stdin is not None and _reads_manifests(bare):
        embedded_texts.read_in(session.scribe, "x.yaml", session.fed(stdin, bare[0].place))
    elif name in {"source", "."} and len(bare) > 1:
        _sourced(session, bare[1].text)
    session.scribe.host += effects.kernel_writes(bare, redirects, said if literal else None)
    targets = [one.target for one in redirects if ">" in one.operator]
    if name == "tee":
        targets += [one.text for one in bare[1:] if not one.text.startswith("-")]
    for target in targets:
        _written(session, target, said, bare[0].place)


def _sourced(session: ShellSession, path: str) -> None:
    from trimtab.linter.readers.shell import walk_text

    text = session.scripts.take(path)
    if text is not None and session.nested < DEEPEST:
        session.nested += 1
        walk_text(session, text)
        session.nested -= 1
    else:
        session.doubt(session.source, f"lint does not read {path}, and does not know what it sets")


def _switches(session: ShellSession, words: Sequence[str]) -> None:
    """Follow ``set -a`` and ``set -o allexport``, and what takes them back."""
    for index, word in enumerate(words):
        bundle = re.fullmatch(r"[-+][a-zA-Z]*a[a-zA-Z]*", word)
        if bundle or (word == "allexport" and words[index - 1] in {"-o", "+o"}):
            sign = word if bundle else words[index - 1]
            session.variables.allexport = sign.startswith("-")


def _written(session: ShellSession, target: str, said: str | None, place: Place) -> None:
    """Follow a text that is written into a file which shells or sysctl read later."""
    if said is None:
        return
    if effects.is_sysctl_file(target):
        fed = session.heredoc is not None and session.heredoc[0] == said
        at = session.heredoc[1] if fed and session.heredoc is not None else place
        session.scribe.host += effects.sysctl_lines(said, at)
    elif effects.is_startup_file(target) and session.nested < DEEPEST:
        from trimtab.linter.readers.shell import walk_text

        inner = type(session)(
            session.source, DocumentBuilder(), session.inside, Origin.BASHRC, session.nested + 1
        )
        walk_text(inner, with_place(said, place))
        session.scribe.settings += inner.scribe.settings
        session.scribe.lost(Oddity.INTERACTIVE_ONLY, inner.variables.exported().values())
    elif kind := embedded_texts.name_for(target):
        embedded_texts.read_in(session.scribe, kind, session.fed(said, place))
    else:
        session.scripts.put(target, session.fed(said, place))


def _reads_manifests(words: Sequence[ShellWord]) -> bool:
    """Whether a command takes manifests or a compose file from standard input."""
    texts = [one.text for one in words]
    # The grammar leaves a lone "-" out, so another option or nothing follows.
    follows = zip(texts, [*texts[1:], "-"], strict=True)
    reads = any(a in {"-f", "--filename", "--file"} and b[:1] == "-" for a, b in follows)
    joined = any(one in {"-f-", "--filename=-", "--file=-"} for one in texts)
    readers = {
        "kubectl",
        "oc",
        "k3s",
        "microk8s",
        "docker",
        "podman",
        "docker-compose",
        "minikube",
    }
    plays = {"play", "kube"} <= set(texts[1:4])  # podman kube play -
    return (reads or joined or plays) and program(words) in readers and "build" not in texts
