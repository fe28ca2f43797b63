"""What any server with OpenAI's API can be asked, whatever its family."""

from __future__ import annotations

from collections.abc import Mapping

from trimtab.errors import ServerLostError
from trimtab.http_client import loopback

_HEALTH_SECONDS = 2.0
_HEALTH_BYTES = 65_536
_ASK_SECONDS = 10.0


def is_healthy(url: str, key: str | None = None) -> bool:
    """Whether ``/health`` answers 200."""
    return loopback.get(url, "/health", _HEALTH_SECONDS, key, _HEALTH_BYTES) is not None


def served_name(url: str, key: str | None = None) -> str:
    """Return the first name of ``/v1/models``.

    Raises:
        ServerLostError: the server does not say.
    """
    answer = loopback.get_json(url, "/v1/models", _ASK_SECONDS, key)
    data = answer.get("data") if isinstance(answer, Mapping) else None
    if isinstance(data, list) and data and isinstance(data[0], Mapping):
        name = data[0].get("id")
        if isinstance(name, str) and name:
            return name
    why = loopback.trouble(url, "/v1/models", _ASK_SECONDS, key) if answer is None else answer
    raise ServerLostError(f"{url}/v1/models must name the served model, but does not: {why}")
