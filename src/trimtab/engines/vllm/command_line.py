"""The grammar of vLLM's command lines; its options are those of the releases in the catalogue."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from trimtab.catalog.releases import vllm
from trimtab.invocations.grammar import CommandGrammar, Nargs

_BY_RELEASE: Final = frozenset({"-O", "-v"})
"""Short options that mean something else from release to release, or behind an image."""

_SHORT: Final[dict[str, Nargs]] = {"-O": "1", "-h": "0", "-v": "0"}
_NO_WORD: Final = frozenset({"flag", "switch"})
_PERHAPS: Final = frozenset({"bool", "maybe"})


def _nargs(kinds: Iterable[str]) -> Nargs:
    """Return how many words an option takes that releases read in these ways."""
    bases = {kind.partition(" ")[0] for kind in kinds}
    if any(base.rstrip("?").endswith("+") for base in bases):
        return "+"
    if bases <= _NO_WORD:
        return "0"
    return "?" if bases <= _NO_WORD | _PERHAPS else "1"


def _grammar() -> CommandGrammar:
    releases = vllm()
    kinds = {
        name: {kind for _, _, kind in stretches}
        for name, stretches in releases.parts["options"].items()
    }
    aliases = {short: name for short, name in releases.aliases.items() if short not in _BY_RELEASE}
    return CommandGrammar(
        programs=("vllm",),
        subcommand="serve",
        modules=r"vllm(?:_ascend)?\.entrypoints\.(?!cli\.main$)\S+",
        main_modules=r"vllm(?:\.scripts|(?:\.entrypoints)?\.cli(?:\.main)?)?",
        scripts=("api_server.py",),
        aliases=aliases,
        attached=("-O",),
        nargs={**_SHORT, **{name: _nargs(those) for name, those in kinds.items()}},
        flags=frozenset(name for name, those in kinds.items() if "switch" not in those),
    )


GRAMMAR: Final = _grammar()
"""That of ``vllm serve`` and of the modules behind it (vLLM 0.32, argparse_utils.py)."""
