"""What a command changes for those after it: switches, sourced texts, files, kernel settings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from trimtab.linter.readers import scripts
from trimtab.linter.readers.expansion import ExpandedText
from trimtab.linter.readers.launch import ShellWord, printed_text, program, unwrap
from trimtab.linter.readers.source import DocumentBuilder, with_place
from trimtab.model.document import Oddity, Origin, Place, Redirect, Setting

if TYPE_CHECKING:
    from trimtab.linter.readers.shell_session import ShellSession


_STARTUP = re.compile(r"(?:.*/)?\.(?:bashrc|bash_profile|profile|zshrc)|/etc/profile(?:\.d/.*)?")
_KERNEL = re.compile(r"/(?:sys|proc/sys)/\S+")
_PAIR = re.compile(r"([A-Za-z][\w./-]*)\s*=\s*(\S[^#]*)")


def is_startup_file(path: str) -> bool:
    """Whether only interactive or login shells read the file."""
    return bool(_STARTUP.fullmatch(path.strip("\"'")))


def is_sysctl_file(path: str) -> bool:
    """Whether sysctl reads the file at every boot."""
    return path == "/etc/sysctl.conf" or bool(re.fullmatch(r"/(?:etc|run)/sysctl\.d/.*", path))


def kernel_path(key: str) -> str:
    """Return the file of a sysctl key; slashes and dots may both separate (sysctl(8))."""
    return "/proc/sys/" + (key if "/" in key else key.replace(".", "/"))


def sysctl_pairs(words: Sequence[ShellWord]) -> Iterator[Setting]:
    """Yield the settings of a ``sysctl`` command: every ``key=value``, with or without ``-w``."""
    for word in words[1:]:
        key, equals, value = word.text.partition("=")
        if equals and not key.startswith("-"):
            yield Setting(
                kernel_path(key.strip()), value.strip(), word.place, Origin.HOST, word.literal
            )


def sysctl_lines(text: str, place: Place) -> Iterator[Setting]:
    """Yield the settings of a sysctl file's text that stands at ``place`` (its first line)."""
    for index, line in enumerate(text.splitlines()):
        match = _PAIR.match(line.strip().removeprefix("-"))
        if match and not line.lstrip().startswith(("#", ";")):
            at = replace(place, line=place.line + index, column=1, end_column=0, text=line)
            yield Setting(kernel_path(match[1]), match[2].strip(), at, Origin.BOOT)


def kernel_writes(
    words: Sequence[ShellWord], redirects: Sequence[Redirect], said: str | None
) -> Iterator[Setting]:
    """Yield what a command writes into files of the kernel.

    ``said`` is the text that it writes: of echo itself, or what comes through a pipe into tee.
    """
    if said is None or not words:
        return
    targets = [
        (redirect.target, words[0].place) for redirect in redirects if ">" in redirect.operator
    ]
    if words[0].text.rpartition("/")[2] == "tee":
        targets += [(word.text, word.place) for word in words[1:] if not word.text.startswith("-")]
    for target, place in targets:
        if _KERNEL.fullmatch(target):
            yield Setting(target, said.strip(), place, Origin.HOST)


DEEPEST: Final = 8
"""How many texts may stand in one another."""


def follow(
    session: ShellSession,
    words: Sequence[ShellWord],
    redirects: Sequence[Redirect],
    stdin: str | None,
) -> None:
    """Follow what one command changes."""
    bare = unwrap(words).words
    if not bare:
        return
    name = program(bare)
    literal = all(word.literal for word in bare)
    said = stdin
    if name in {"echo", "printf"}:
        said = printed_text(bare, None) or " ".join(word.text for word in bare[1:])
    if name == "sysctl":
        session.scribe.host += sysctl_pairs(bare)
    elif name == "set":
        _switches(session, [word.text for word in bare[1:]])
    elif stdin is not None and _reads_manifests(bare):
        scripts.read_in(session.scribe, "x.yaml", session.fed(stdin, bare[0].place))
    elif name in {"source", "."} and len(bare) > 1:
        _sourced(session, bare[1].text)
    session.scribe.host += kernel_writes(bare, redirects, said if literal else None)
    targets = [redirect.target for redirect in redirects if ">" in redirect.operator]
    if name == "tee":
        targets += [word.text for word in bare[1:] if not word.text.startswith("-")]
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
    if is_sysctl_file(target):
        fed = session.heredoc is not None and session.heredoc[0] == said
        at = session.heredoc[1] if fed and session.heredoc is not None else place
        session.scribe.host += sysctl_lines(said, at)
    elif is_startup_file(target) and session.nested < DEEPEST:
        from trimtab.linter.readers.shell import walk_text

        inner = type(session)(
            session.source, DocumentBuilder(), session.inside, Origin.BASHRC, session.nested + 1
        )
        walk_text(inner, with_place(said, place))
        session.scribe.settings += inner.scribe.settings
        session.scribe.lost(Oddity.INTERACTIVE_ONLY, inner.variables.exported().values())
    elif kind := scripts.name_for(target):
        scripts.read_in(session.scribe, kind, session.fed(said, place))
    else:
        session.scripts.put(target, session.fed(said, place))


def _reads_manifests(words: Sequence[ShellWord]) -> bool:
    """Whether a command takes manifests or a compose file from standard input."""
    texts = [word.text for word in words]
    # The grammar leaves a lone "-" out, so another option or nothing follows.
    follows = zip(texts, [*texts[1:], "-"], strict=True)
    reads = any(a in {"-f", "--filename", "--file"} and b[:1] == "-" for a, b in follows)
    joined = any(text in {"-f-", "--filename=-", "--file=-"} for text in texts)
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


@dataclass(slots=True)
class _Held:
    """A variable that is set: ``used`` since by a process or another assignment."""

    setting: Setting
    branch: int
    used: bool = False


@dataclass
class Variables:
    """The variables in force. ``late`` are those exported since the last launch.

    ``allexport``: every assignment exports (``set -a``).
    """

    scribe: DocumentBuilder
    origin: Origin = Origin.SHELL
    late: list[Setting] = field(default_factory=list)
    allexport: bool = False
    _held: dict[str, _Held] = field(default_factory=dict)
    _arrays: dict[str, tuple[ExpandedText, ...]] = field(default_factory=dict)
    _branch: int = 0
    _branches: int = 0
    _scoped: bool = False

    def lookup(self, name: str) -> ExpandedText | None:
        """Return what a variable holds, and note that it is used."""
        held = self._held.get(name)
        if held is None:
            return None
        held.used = True
        return ExpandedText(held.setting.value, held.setting.literal)

    def elements(self, name: str) -> tuple[ExpandedText, ...] | None:
        """Return the elements of an array."""
        return self._arrays.get(name)

    def set_array(self, name: str, elements: tuple[ExpandedText, ...]) -> None:
        """Hold an array; arrays are never exported."""
        if len(elements) < 1000:
            self._arrays[name] = elements

    def assign(
        self,
        name: str,
        text: ExpandedText,
        *,
        place: Place,
        name_place: Place | None,
        value_place: Place | None,
        exported: bool,
        extends: bool,
        comment: str,
    ) -> None:
        """Set a variable."""
        before = self._held.get(name)
        out = exported or self.allexport or (before is not None and before.setting.exported)
        setting = Setting(
            name, text.value, place, self.origin, text.literal, out, comment, name_place,
            value_place,
        )  # fmt: skip
        self.scribe.settings.append(setting)
        if before is not None and not (before.used or extends or self._scoped):
            same = before.branch == self._branch
            if same and before.setting.exported and before.setting.value != setting.value:
                self.scribe.notice(Oddity.OVERWRITTEN, before.setting, setting)
        self._held[name] = _Held(setting, self._branch)
        if out and not self._scoped:
            self.late.append(setting)

    def export(self, name: str, *, on: bool = True) -> None:
        """Export a variable that is set, or take it back."""
        held = self._held.get(name)
        if held is not None:
            held.setting = replace(held.setting, exported=on)
            if on:
                self.late.append(held.setting)

    def unset(self, name: str) -> None:
        """Forget a variable."""
        self._held.pop(name, None)

    def lost_by_space(self, name: str) -> None:
        """Note that a blank cuts a value off from what was to follow it."""
        held = self._held.get(name)
        if held is not None:
            self.scribe.notice(Oddity.LOST_BY_SPACE, held.setting)

    def exported(self) -> dict[str, Setting]:
        """Return what a child gets."""
        return {name: one.setting for name, one in self._held.items() if one.setting.exported}

    def used(self) -> frozenset[str]:
        """Return the variables that something has read."""
        return frozenset(name for name, one in self._held.items() if one.used)

    def give(self, settings: Sequence[Setting], *, used: bool = False) -> None:
        """Let variables be set from outside: an image's, a container's.

        ``used``: others read them there, so that one who replaces them replaces his own alone.
        """
        for setting in settings:
            self._held[setting.name] = _Held(setting, self._branch, used)

    @contextmanager
    def subshell(self) -> Iterator[None]:
        """Run what follows in a shell of its own: its variables end with it."""
        kept = {name: replace(one) for name, one in self._held.items()}
        yield
        for name, one in kept.items():  # what the child read was used
            inner = self._held.get(name)
            if inner is not None and inner.used and inner.setting == one.setting:
                one.used = True
        self._held = kept

    @contextmanager
    def branch(self) -> Iterator[None]:
        """Run what follows as one of several ways."""
        outer = self._branch
        self._branches += 1
        self._branch = self._branches
        yield
        self._branch = outer

    @contextmanager
    def section(self) -> Iterator[None]:
        """Run what follows as a part that a reader may take or leave: a block of a guide.

        What it sets stays; but it replaces nothing of another part, nor comes too late for one.
        """
        self.late.clear()
        with self.branch():
            yield

    @contextmanager
    def inline(self) -> Iterator[None]:
        """Run what follows with assignments that are for one command alone."""
        kept, scoped = dict(self._held), self._scoped
        self._scoped = True
        yield
        self._scoped = scoped
        self._held = kept

    def use(self, names: Iterable[str] | None = None) -> None:
        """Note that a process reads variables: those named, else all that are exported."""
        wanted = self.exported().keys() if names is None else names
        for name in wanted:
            if name in self._held:
                self._held[name].used = True

    def unseen(self) -> Iterator[Setting]:
        """Yield the variables that are set, not exported, and that nothing has read."""
        for held in self._held.values():
            if not (held.setting.exported or held.used):
                yield held.setting
