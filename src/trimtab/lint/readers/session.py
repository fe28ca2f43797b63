"""A shell session: variables in force, and what each command of it makes of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from trimtab.lint.interest import interesting
from trimtab.lint.readers import container as containers
from trimtab.lint.readers import effects
from trimtab.lint.readers.expand import Text
from trimtab.lint.readers.launch import (
    Unwrapped,
    Word,
    is_python,
    is_server,
    options_of,
    program,
    unwrap,
)
from trimtab.lint.readers.scribe import Scribe
from trimtab.lint.readers.source import Source
from trimtab.model.script import (
    Command,
    Container,
    Launch,
    Oddity,
    Origin,
    Place,
    Redirect,
    Setting,
)

_DEEPEST: Final = 8
_SHELLS: Final = frozenset({"bash", "sh", "dash", "zsh", "ash"})


@dataclass(slots=True)
class _Held:
    """A variable that is set: ``used`` since by a process or another assignment."""

    setting: Setting
    branch: int
    used: bool = False


@dataclass
class Session:
    """One shell. ``inside`` is True in a container, False on the host, ``None`` if not told."""

    source: Source
    scribe: Scribe
    inside: bool | None = None
    origin: Origin = Origin.SHELL
    nested: int = 0
    container: Container | None = None
    heredoc: Place | None = None
    _held: dict[str, _Held] = field(default_factory=dict)
    _arrays: dict[str, tuple[Text, ...]] = field(default_factory=dict)
    _branch: int = 0
    _branches: int = 0
    _scoped: bool = False
    _late: list[Setting] = field(default_factory=list)
    _doubted: set[str] = field(default_factory=set)

    # --- variables -------------------------------------------------------------------------

    def lookup(self, name: str) -> Text | None:
        """Return what a variable holds, and note that it is used."""
        held = self._held.get(name)
        if held is None:
            return None
        held.used = True
        return Text(held.setting.value, held.setting.literal)

    def elements(self, name: str) -> tuple[Text, ...] | None:
        """Return the elements of an array."""
        return self._arrays.get(name)

    def set_array(self, name: str, elements: tuple[Text, ...]) -> None:
        """Hold an array; arrays are never exported."""
        if len(elements) < 1000:
            self._arrays[name] = elements

    def assign(
        self,
        name: str,
        text: Text,
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
        out = exported or (before is not None and before.setting.exported)
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
            self._late.append(setting)

    def export(self, name: str, *, on: bool = True) -> None:
        """Export a variable that is set, or take it back."""
        held = self._held.get(name)
        if held is not None:
            held.setting = replace(held.setting, exported=on)
            if on:
                self._late.append(held.setting)

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

    def give(self, settings: Sequence[Setting]) -> None:
        """Let variables be set from outside: an image's, a container's."""
        for one in settings:
            self._held[one.name] = _Held(one, self._branch)

    # --- scopes ----------------------------------------------------------------------------

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
    def inline(self) -> Iterator[None]:
        """Run what follows with assignments that are for one command alone."""
        kept, scoped = dict(self._held), self._scoped
        self._scoped = True
        yield
        self._scoped = scoped
        self._held = kept

    # --- commands --------------------------------------------------------------------------

    def command(
        self,
        found: Sequence[Word],
        place: Place,
        redirects: Sequence[Redirect],
        stdin: str | None,
        depth: int,
        background: bool,
    ) -> None:
        """Follow one simple command."""
        env = self.exported()
        self.scribe.commands.append(
            Command(
                tuple(one.text for one in found),
                place,
                tuple(one.place for one in found),
                tuple(redirects),
                stdin,
                self.inside,
                tuple(env.values()),
            )
        )
        self._effects(found, redirects, stdin)
        bare = unwrap(found)
        if not bare.words:
            return
        for one in self._held.values():
            if one.setting.exported and (is_server(bare.words) or is_python(bare.words)):
                one.used = True
        self._start(bare, env, place)

    def _effects(
        self, found: Sequence[Word], redirects: Sequence[Redirect], stdin: str | None
    ) -> None:
        bare = unwrap(found).words
        if not bare:
            return
        name = program(bare)
        literal = all(one.literal for one in bare)
        said = " ".join(one.text for one in bare[1:]) if name in {"echo", "printf"} else stdin
        if name == "sysctl":
            self.scribe.host += effects.sysctl_pairs(bare)
        elif name in {"source", "."} and len(bare) > 1:
            self.doubt(self.source, f"{bare[1].text} is not read: what it sets is not known")
        self.scribe.host += effects.kernel_writes(bare, redirects, said if literal else None)
        targets = [one.target for one in redirects if ">" in one.operator]
        if name == "tee":
            targets += [one.text for one in bare[1:] if not one.text.startswith("-")]
        for target in targets:
            self._written(target, said, bare[0].place)

    def _written(self, target: str, said: str | None, place: Place) -> None:
        """Follow a text that is written into a file which shells or sysctl read later."""
        if said is None:
            return
        if effects.is_sysctl_file(target):
            self.scribe.host += effects.sysctl_lines(said, self.heredoc or place)
        elif effects.is_startup_file(target) and self.nested < _DEEPEST:
            from trimtab.lint.readers.shell import walk_text, with_place

            inner = Session(self.source, Scribe(), self.inside, Origin.BASHRC, self.nested + 1)
            walk_text(inner, with_place(said, place))
            self.scribe.settings += inner.scribe.settings
            self.scribe.lost(Oddity.INTERACTIVE_ONLY, inner.exported().values())

    def _start(self, bare: Unwrapped, env: dict[str, Setting], place: Place) -> None:
        words = bare.words
        if containers.is_run(words):
            self._run(containers.parse_run(words), env, bare, place)
            return
        if containers.is_exec(words):
            self._inner(containers.parse_exec(words), {}, None, place)
            return
        given = {} if "*" in bare.unset else dict(env)
        for name in bare.unset:
            given.pop(name, None)
        given.update({one.name: one for one in bare.env})
        self.scribe.settings += bare.env
        if program(words) in _SHELLS:
            script = _script(words)
            if script is not None and self.nested < _DEEPEST:
                self._nested(script, given, self.container, self.inside)
            return
        if is_server(words) or is_python(words):
            self._launch(bare, given, place)

    def _nested(
        self,
        script: Word,
        env: dict[str, Setting],
        container: Container | None,
        inside: bool | None,
    ) -> None:
        """Follow the text of ``sh -c``; a child's variables are its own."""
        from trimtab.lint.readers.shell import walk_text, with_place

        inner = Session(self.source, self.scribe, inside, self.origin, self.nested + 1, container)
        inner.give(tuple(env.values()))
        before = len(self.scribe.launches)
        walk_text(inner, script.source or with_place(script.text, script.place))
        if len(self.scribe.launches) > before:
            self._late.clear()

    def _run(
        self, run: containers.Run, env: dict[str, Setting], bare: Unwrapped, place: Place
    ) -> None:
        self.scribe.containers.append(run.container)
        given = {one.name: one for one in run.env}
        given |= {name: env[name] for name in run.passed if name in env}
        for one in run.env:
            self.scribe.settings.append(one)
        if run.env_files:
            self.doubt(self.source, f"{', '.join(run.env_files)} is not read")
        words = run.command
        if run.entrypoint:
            words = (Word(run.entrypoint, place), *words)
        elif "vllm-openai" in run.container.image:  # its entry point is `vllm serve`
            words = (Word("vllm", place), Word("serve", place), *words)
        before = len(self.scribe.launches)
        self._inner(words, given, run.container, place)
        if len(self.scribe.launches) > before:
            kept = (one for name, one in env.items() if name not in given)
            self.scribe.lost(
                Oddity.NOT_PASSED, (one for one in kept if not self._held[one.name].used)
            )

    def _inner(
        self,
        words: Sequence[Word],
        env: dict[str, Setting],
        container: Container | None,
        place: Place,
    ) -> None:
        """Follow a command that runs inside a container."""
        if not words:
            return
        outer = self.inside, self.container
        self.inside, self.container = True, container
        self._start(unwrap(words), env, place)
        self.inside, self.container = outer

    def _launch(self, bare: Unwrapped, env: dict[str, Setting], place: Place) -> None:
        server = is_server(bare.words)
        self.scribe.launches.append(
            Launch(
                argv=tuple(one.text for one in bare.words),
                env=tuple(env.values()),
                options=options_of(bare.words[1:]) if server else (),
                affinity=bare.affinity,
                wrappers=bare.wrappers,
                container=self.container,
                inside=self.inside,
                place=place,
            )
        )
        self._late.clear()

    def doubt(self, source: Source, sentence: str) -> None:
        """Note once what cannot be read."""
        if sentence not in self._doubted:
            self._doubted.add(sentence)
            self.scribe.unread.append((source.place(1), sentence))

    def start(self, words: Sequence[Word], place: Place) -> None:
        """Follow a command that a file of another format starts, with what is exported now."""
        if words:
            self._start(unwrap(words), self.exported(), place)

    def implied(self) -> None:
        """Note whatever would be started from here: a text that starts nothing is for that."""
        env = tuple(self.exported().values())
        self.scribe.launches.append(
            Launch((), env, inside=self.inside, implied=True, container=self.container)
        )

    def finish(self) -> None:
        """End the session: what is set and read by nobody, or too late."""
        if any(not one.implied for one in self.scribe.launches):
            self.scribe.lost(Oddity.AFTER_START, self._late)
        elif self.exported() or self.scribe.host:
            self.implied()
        for held in self._held.values():
            if not (held.setting.exported or held.used) and interesting(held.setting.name):
                self.scribe.notice(Oddity.NOT_EXPORTED, held.setting)


def _script(words: Sequence[Word]) -> Word | None:
    """Return the word behind ``-c`` of a shell."""
    for index, one in enumerate(words[1:], 1):
        if one.text.startswith("-") and not one.text.startswith("--") and "c" in one.text:
            return words[index + 1] if index + 1 < len(words) else None
        if not one.text.startswith("-"):
            return None
    return None
