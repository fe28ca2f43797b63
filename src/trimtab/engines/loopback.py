"""One HTTP GET to a server on this machine: no proxy, no redirect, bounded in time and size."""

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
    where = urlsplit(url)
    assert where.hostname is not None
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=timeout)
    try:
        connection.request("GET", path, headers={"Connection": "close", **header(key)})
        answer = connection.getresponse()
        body = answer.read(MAX_BYTES)
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return body if answer.status == 200 else None


def get_json(url: str, path: str, timeout: float, key: str | None = None) -> object:
    """Return the JSON of a 200 answer; ``None`` for anything else."""
    body = get(url, path, timeout, key)
    if body is None:
        return None
    try:
        return json.loads(body)
    except ValueError:
        return None
