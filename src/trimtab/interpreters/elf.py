"""What an ELF file shows of how it was linked: build id, libpython, traces of LTO, PGO and BOLT.

The traces are one-sided. gcc names what LTO made local ``.lto_priv``, splits functions that a
profile calls cold into ``.cold``; BOLT adds ``.note.bolt_info`` or ``.bolt.org.text``. A file
without symbols, or of another compiler, may have none of them, and that then proves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

_BOLT_SECTIONS = (".note.bolt_info", ".bolt.org.text")


@dataclass(frozen=True, slots=True)
class Elf:
    """One file. ``needed`` are the libraries it asks for; symbols are counted, 0 if stripped."""

    build_id: str = ""
    needed: tuple[str, ...] = ()
    symbols: int = 0
    lto_private: int = 0
    cold: int = 0
    bolt: bool = False
    compiler: str = ""
    reason: str = ""

    @property
    def libpython(self) -> str:
        """The libpython it loads; "" when the interpreter is inside."""
        return next((one for one in self.needed if one.startswith("libpython")), "")


def read(path: Path) -> Elf:
    """Return what a file shows; ``reason`` says why nothing can be read. Never raises."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        with path.open("rb") as stream:
            return _read(ELFFile(stream))
    except (OSError, ELFError) as error:
        return Elf(reason=f"{path} is no ELF file that can be read: {error}")


def _read(file: Any) -> Elf:
    names = {section.name: section for section in file.iter_sections()}
    symbols = names.get(".symtab")
    told = [] if symbols is None else [one.name for one in symbols.iter_symbols()]
    dynamic = names.get(".dynamic")
    needed = () if dynamic is None else tuple(
        tag.needed for tag in dynamic.iter_tags() if tag.entry.d_tag == "DT_NEEDED"
    )  # fmt: skip
    comment = names.get(".comment")
    return Elf(
        build_id=_build_id(names.get(".note.gnu.build-id")),
        needed=needed,
        symbols=len(told),
        lto_private=sum(".lto_priv" in one for one in told),
        cold=sum(one.endswith(".cold") for one in told),
        bolt=any(one in names for one in _BOLT_SECTIONS),
        compiler="" if comment is None else _first_text(comment.data()),
    )


def _build_id(section: Any) -> str:
    notes = () if section is None else section.iter_notes()
    return next((str(one["n_desc"]) for one in notes if one["n_type"] == "NT_GNU_BUILD_ID"), "")


def _first_text(data: bytes) -> str:
    return data.split(b"\0")[0].decode(errors="replace")
