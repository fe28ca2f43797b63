"""What a reader has found so far; becomes the `Document`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from trimtab.linter.readers.source import SourceText, suppressions
from trimtab.linter.serving_variables import is_serving_variable
from trimtab.model.document import (
    Command,
    Container,
    Document,
    Launch,
    Mention,
    Notice,
    Oddity,
    Place,
    Setting,
)


@dataclass(slots=True)
class DocumentBuilder:
    """Collects the parts of one document in the order of its text."""

    settings: list[Setting] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    host: list[Setting] = field(default_factory=list)
    launches: list[Launch] = field(default_factory=list)
    containers: list[Container] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    mentions: list[Mention] = field(default_factory=list)
    unread: list[tuple[Place, str]] = field(default_factory=list)
    env_files: list[str] = field(default_factory=list)

    def notice(self, oddity: Oddity, setting: Setting, other: Setting | None = None) -> None:
        """Note an oddity of a variable that is ours to speak of."""
        if is_serving_variable(setting.name):
            self.notices.append(Notice(oddity, setting, other))

    def lost(self, oddity: Oddity, settings: Iterable[Setting]) -> None:
        """Note the same oddity of several settings."""
        for setting in settings:
            self.notice(oddity, setting)

    def document(self, source: SourceText, kind: str) -> Document:
        """Return what was found."""
        return Document(
            file=source.file,
            kind=kind,
            text=source.text,
            settings=tuple(self.settings),
            commands=tuple(self.commands),
            host=tuple(self.host),
            launches=tuple(self.launches),
            containers=tuple(dict.fromkeys(self.containers)),
            notices=tuple(dict.fromkeys(self.notices)),
            mentions=tuple(self.mentions),
            suppressed=suppressions(source),
            unread=tuple(self.unread),
            env_files=tuple(dict.fromkeys(self.env_files)),
        )
