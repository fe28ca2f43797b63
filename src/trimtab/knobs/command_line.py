"""What the words of a ``vllm serve`` command say: the value of an option, the model."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.knobs.server_arg import option_name


def option_value(argv: Sequence[str], *names: str) -> str | None:
    """Return the value of an option: the last one, as the parser takes it.

    ``names`` are its spellings, with dashes. ``None``: it is not given. The value is empty if the
    option is the last word.
    """
    found = None
    for index, word in enumerate(argv):
        if option_name(word) in names:
            value = word.partition("=")[2]
            found = value if "=" in word else "".join(argv[index + 1 : index + 2])
    return found


def model_of(argv: Sequence[str]) -> str | None:
    """Return the model that a ``serve`` command names; ``None`` if the words do not say."""
    words = [*argv]
    if "serve" in words:
        following = words[words.index("serve") + 1 :][:1]
        if following and not following[0].startswith("-"):
            return following[0]
    return option_value(words, "--model") or None
