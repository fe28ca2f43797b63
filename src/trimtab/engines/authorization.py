"""The key that a server demands of its clients. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from trimtab.model import Settings

_OPTION = "--api-key"
_VARIABLE = "VLLM_API_KEY"


def api_key(settings: Settings, inherited: Mapping[str, str]) -> str | None:
    """Return a key that the server of these settings accepts; ``None`` if it demands none.

    ``inherited`` is the environment that the launch starts from. A key of the command line hides
    the variable's; of several, each is as good (vLLM 0.32
    entrypoints/serve/middleware/register.py). Clients send it as "Authorization: Bearer KEY"; it
    is asked for under ``/v1`` only, not at ``/health``, ``/metrics`` and ``/server_info``.
    """
    keys: list[str] = []
    for given in _occurrences(settings.argv):
        keys = given  # the last occurrence wins
    if not keys:
        env = {name: text for name, text in inherited.items() if name not in settings.unset}
        keys = [{**env, **dict(settings.env)}.get(_VARIABLE, "")]
    return next((key for key in keys if key), None)


def header(key: str | None) -> dict[str, str]:
    """Return the header that shows the key to the server; none without a key."""
    return {} if key is None else {"Authorization": f"Bearer {key}"}


def _occurrences(argv: Sequence[str]) -> Iterator[list[str]]:
    """Yield the values of each ``--api-key``, which takes one or several."""
    for index, word in enumerate(argv):
        name, equals, value = word.partition("=")
        if name.replace("_", "-") != _OPTION:
            continue
        values = [value] if equals else []
        for following in argv[index + 1 :] if not equals else ():
            if following.startswith("-"):
                break
            values.append(following)
        yield values
