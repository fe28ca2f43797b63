"""The variables of a shell session: what is set, exported, used, and replaced unseen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from trimtab.linter.readers.expansion import ExpandedText
from trimtab.linter.readers.source import DocumentBuilder
from trimtab.model.document import Oddity, Origin, Place, Setting


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
