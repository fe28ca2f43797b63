"""A shell session: variables in force, and what each command of it makes of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field
from typing import Final

from trimtab.catalog.rules.scene import is_engine_script
from trimtab.linter.readers import changes, entry_point, env_file, expansion, launchers, scripts
from trimtab.linter.readers import container as containers
from trimtab.linter.readers.changes import Variables
from trimtab.linter.readers.launch import (
    ShellWord,
    UnwrappedCommand,
    is_client,
    is_python,
    is_server,
    options_of,
    program,
    unwrap,
)
from trimtab.linter.readers.scripts import Scripts
from trimtab.linter.readers.source import DocumentBuilder, SourceText, with_place
from trimtab.model.document import (
    Command,
    Container,
    Launch,
    Notice,
    Oddity,
    Origin,
    Place,
    Redirect,
    Setting,
)

DEEPEST: Final = 8
_SHARES: Final = (Setting("--ipc", "host", origin=Origin.CONTAINER),)
"""What a container of apptainer has without an option: the host's shared memory."""


@dataclass
class ShellSession:
    """One shell. ``inside`` is True in a container, False on the host, ``None`` if not told."""

    source: SourceText
    scribe: DocumentBuilder
    inside: bool | None = None
    origin: InitVar[Origin] = Origin.SHELL
    nested: int = 0
    container: Container | None = None
    heredoc: tuple[str, Place, SourceText] | None = None
    scripts: Scripts = field(default_factory=Scripts)
    variables: Variables = field(init=False)
    at: Place | None = None
    cpu_quota: float | None = None
    _doubted: set[tuple[int, str]] = field(default_factory=set)

    def __post_init__(self, origin: Origin) -> None:
        self.variables = Variables(self.scribe, origin)

    def command(
        self,
        words: Sequence[ShellWord],
        place: Place,
        redirects: Sequence[Redirect],
        stdin: str | None,
    ) -> None:
        """Follow one simple command."""
        self.at = place
        self._stray_option(words)
        env = self.variables.exported()
        self.scribe.commands.append(
            Command(
                tuple(word.text for word in words),
                place,
                tuple(word.place for word in words),
                tuple(redirects),
                stdin,
                self.inside,
                tuple(env.values()),
            )
        )
        changes.follow(self, words, redirects, stdin)
        bare = unwrap(words)
        if not bare.words:
            return
        if is_server(bare.words) or is_python(bare.words):
            self.variables.use()
        elif is_client(bare.words):  # a client, such as vllm bench, reads them too
            self.variables.use()
            self.variables.late.clear()
        self._start(bare, env, place, stdin)

    def _start(
        self,
        bare: UnwrappedCommand,
        env: dict[str, Setting],
        place: Place,
        stdin: str | None = None,
    ) -> None:
        words = bare.words
        if containers.is_run(words):
            self._run(containers.parse_run(words), env, bare, place)
            return
        if containers.is_exec(words):
            self._inner(containers.parse_exec(words), {}, None, place, stdin)
            return
        given = {} if "*" in bare.unset else dict(env)
        for name in bare.unset:
            given.pop(name, None)
        given.update({setting.name: setting for setting in bare.env})
        self.scribe.settings += bare.env
        script = self._script(words, stdin)
        if script is not None and self.nested < DEEPEST:
            self._nested(script, given, self.container, self.inside)
            return
        followed = not is_server(words) and self._launched(words, given, place, stdin)
        if not followed and (is_server(words) or is_python(words)):
            self._launch(bare, given, place)

    def _launched(
        self, words: Sequence[ShellWord], env: dict[str, Setting], place: Place, stdin: str | None
    ) -> bool:
        """Follow what a launcher starts; whether the command was one."""
        text = None if stdin is None else self.fed(stdin, place)
        fed = None if text is None else ShellWord(text.text, place, source=text)
        command = launchers.launched_command(words, fed)
        if command is None or self.nested >= DEEPEST:
            if launchers.speaks_of(words):
                name = program(words)
                self.doubt(self.source, f"lint does not know how {name} starts the server")
            return False
        given = {} if command.remote else {**env, **{one.name: one for one in command.env}}
        self.scribe.settings += command.env
        outer = self.inside, self.container
        if command.inside:
            self.inside = True
            self.container = Container(command.image, _SHARES, place) if command.image else None
        self.nested += 1
        if command.text is not None:
            text = command.text.source or with_place(command.text.text, command.text.place)
            inside = None if command.remote else self.inside
            self._nested(text, given, self.container, inside)
        else:
            self._start(unwrap(command.words), given, place, stdin)
        self.nested -= 1
        self.inside, self.container = outer
        return True

    def _stray_option(self, words: Sequence[ShellWord]) -> None:
        """Note a line that begins with an option: the line above was to go on."""
        if re.match(r"--?[A-Za-z]", words[0].text) and self._goes_on(words[0].place):
            self.scribe.notices.append(
                Notice(
                    Oddity.CONTINUATION_LOST,
                    Setting(words[0].text.partition("=")[0], "", words[0].place),
                )
            )

    def _goes_on(self, place: Place) -> bool:
        """Whether an option begins its line, below a command's lines and others that begin so."""
        lines = [one.strip() for one in self.source.text.split("\n")]
        begins = place.line > len(lines) or lines[place.line - 1].startswith("-")
        above = (n for n in range(min(place.line, len(lines) + 1) - 1, 0, -1) if lines[n - 1])
        last = next((n for n in above if not lines[n - 1].startswith(("-", "#"))), 0)
        launched = [
            launch.place.line for launch in self.scribe.launches if launch.place is not None
        ]
        others = [c.place.line for c in self.scribe.commands if _takes_options(c.words)]
        first = max((n for n in (*launched, *others) if n <= last), default=0)
        return bool(begins and launched and first) and all(lines[first - 1 : last])

    def _script(self, words: Sequence[ShellWord], stdin: str | None) -> SourceText | None:
        """Return the text that a shell is to run, where it is known."""
        if not words or program(words) not in scripts.SHELLS:
            return self.scripts.take(words[0].text) if words else None
        inline = scripts.inline_script(words)
        if inline is not None:
            return inline.source or with_place(inline.text, inline.place)
        file = scripts.file_of(words)
        if file is not None:
            return self.scripts.take(file)
        return self.fed(stdin, words[0].place) if stdin is not None else None

    def fed(self, text: str, place: Place) -> SourceText:
        """Return a text that a command is fed; of a heredoc each line stands where it stands."""
        if self.heredoc is not None and self.heredoc[0] == text:
            return self.heredoc[2]
        return with_place(text, place)

    def _nested(
        self,
        script: SourceText,
        env: dict[str, Setting],
        container: Container | None,
        inside: bool | None,
    ) -> None:
        """Follow a script in a shell of its own: a child's variables end with it."""
        from trimtab.linter.readers.shell import walk_text

        inner = ShellSession(
            self.source, self.scribe, inside, self.variables.origin, self.nested + 1, container
        )
        inner.scripts = self.scripts
        inner.variables.give(tuple(env.values()))
        before = len(self.scribe.launches)
        walk_text(inner, script)
        if len(self.scribe.launches) > before:
            self.variables.late.clear()

    def _run(
        self,
        run: containers.ContainerRun,
        env: dict[str, Setting],
        bare: UnwrappedCommand,
        place: Place,
    ) -> None:
        self.scribe.containers.append(run.container)
        given = {setting.name: setting for setting in run.env}
        given |= {name: env[name] for name in run.passed if name in env}
        for setting in run.env:
            self.scribe.settings.append(setting)
        for path in run.env_files:
            given = {**env_file.file_variables(self, path, run.engine), **given}
        own = () if not run.entrypoint else (ShellWord(run.entrypoint, place),)
        words, odd = entry_point.container_command(
            run.container.image, own, run.command, place, entered=run.entered
        )
        self.scribe.notices += () if odd is None else (odd,)
        before = len(self.scribe.launches)
        self._inner(words, given, run.container, place)
        if len(self.scribe.launches) > before:
            kept = (setting for name, setting in env.items() if name not in given)
            used = self.variables.used()
            self.scribe.lost(
                Oddity.NOT_PASSED, (setting for setting in kept if setting.name not in used)
            )

    def _inner(
        self,
        words: Sequence[ShellWord],
        env: dict[str, Setting],
        container: Container | None,
        place: Place,
        stdin: str | None = None,
    ) -> None:
        """Follow a command that runs inside a container."""
        if not words:
            return
        outer = self.inside, self.container
        self.inside, self.container = True, container
        self._start(unwrap(words), env, place, stdin)
        self.inside, self.container = outer

    def _launch(self, bare: UnwrappedCommand, env: dict[str, Setting], place: Place) -> None:
        server = is_server(bare.words)
        engine = is_engine_script([word.text for word in bare.words])
        self.scribe.notices += expansion.notices(bare.words) if server else ()
        self.scribe.launches.append(
            Launch(
                argv=tuple(word.text for word in bare.words),
                env=tuple(env.values()),
                options=options_of(bare.words) if server or engine else (),
                affinity=bare.affinity,
                wrappers=bare.wrappers,
                container=self.container,
                inside=self.inside,
                place=place,
                cpu_quota=self.cpu_quota,
            )
        )
        self.variables.late.clear()

    def doubt(self, source: SourceText, sentence: str, at: Place | None = None) -> None:
        """Note once what cannot be read, at the command that is being followed."""
        place = at or self.at or source.place(1)
        if (place.line, sentence) not in self._doubted:
            self._doubted.add((place.line, sentence))
            self.scribe.unread.append((place, sentence))

    def start(self, words: Sequence[ShellWord], place: Place) -> None:
        """Follow a command that a file of another format starts, with what is exported now."""
        if words:
            self._start(unwrap(words), self.variables.exported(), place)

    def implied(self) -> None:
        """Note whatever would be started from here: a text that starts nothing is for that."""
        env = tuple(self.variables.exported().values())
        self.scribe.launches.append(
            Launch((), env, inside=self.inside, implied=True, container=self.container)
        )

    def finish(self) -> None:
        """End the session: what is set and read by nobody, or too late."""
        for text in self.scripts.never_run():
            self._nested(text, {}, self.container, None)
        if any(not launch.implied for launch in self.scribe.launches):
            self.scribe.lost(Oddity.AFTER_START, self.variables.late)
        elif self.variables.exported() or self.scribe.host:
            self.implied()
        self.scribe.lost(Oddity.NOT_EXPORTED, self.variables.unseen())


def _takes_options(words: Sequence[str]) -> bool:
    """Whether a command has options, and is not one that prints those that there are."""
    given = any(word.startswith("--") for word in words) and not words[0].startswith("-")
    return given and not {"-h", "--help"} & set(words)
