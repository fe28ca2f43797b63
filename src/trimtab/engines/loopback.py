"""One HTTP request to a server here: no proxy, no redirect, bounded in time and size."""

from __future__ import annotations

import http.client
import json
from urllib.parse import urlsplit

from trimtab.engines.authorization import header

MAX_BYTES = 32 * 1024 * 1024


def get(url: str, path: str, timeout: float, key: str | None = None) -> bytes | None:
    """Return the body of a 200 answer to ``GET url/path``; ``None`` for anything else.

    ``timeout`` is in seconds, for the connection and for each read. ``key`` is the server's API
    key, if it demands one.
    """
    return _ask("GET", url, path, None, timeout, key)


def get_json(url: str, path: str, timeout: float, key: str | None = None) -> object:
    """Return the JSON of a 200 answer; ``None`` for anything else."""
    return _json(get(url, path, timeout, key))


def post_json(
    url: str, path: str, content: object, timeout: float, key: str | None = None
) -> object:
    """Post JSON and return the JSON of a 200 answer; ``None`` for anything else."""
    return _json(_ask("POST", url, path, json.dumps(content).encode(), timeout, key))


def _ask(
    method: str, url: str, path: str, body: bytes | None, timeout: float, key: str | None
) -> bytes | None:
    where = urlsplit(url)
    assert where.hostname is not None
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=timeout)
    kind = {} if body is None else {"Content-Type": "application/json"}
    try:
        connection.request(method, path, body, {"Connection": "close", **kind, **header(key)})
        answer = connection.getresponse()
        found = answer.read(MAX_BYTES)
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return found if answer.status == 200 else None


def _json(body: bytes | None) -> object:
    if body is None:
        return None
    try:
        return json.loads(body)
    except ValueError:
        return None
