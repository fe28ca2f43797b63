"""One HTTP request to a server here: no proxy, no redirect, bounded in time and size."""

from __future__ import annotations

import http
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


def version(url: str, key: str | None = None) -> str:
    """Return the version that a server says it has, "of unknown version" if it does not say."""
    answer = get_json(url, "/version", 5.0, key)
    told = answer.get("version") if isinstance(answer, dict) else None
    return told if isinstance(told, str) and told.isprintable() else "of unknown version"


def trouble(url: str, path: str, timeout: float, key: str | None = None) -> str:
    """Return why ``GET url/path`` gets no JSON, in a few words; "" if it does."""
    try:
        status, body = _exchange("GET", url, path, None, timeout, key)
    except OSError as error:
        return (error.strerror or str(error) or type(error).__name__).lower()
    except http.client.HTTPException as error:
        return f"what answers speaks no HTTP ({type(error).__name__})"
    if status != http.HTTPStatus.OK:
        return f"{path} answers HTTP {status}"
    return "" if _json(body) is not None else f"the answer of {path} is no JSON"


def _ask(
    method: str, url: str, path: str, body: bytes | None, timeout: float, key: str | None
) -> bytes | None:
    try:
        status, found = _exchange(method, url, path, body, timeout, key)
    except (OSError, http.client.HTTPException):
        return None
    return found if status == http.HTTPStatus.OK else None


def _exchange(
    method: str, url: str, path: str, body: bytes | None, timeout: float, key: str | None
) -> tuple[int, bytes]:
    where = urlsplit(url)
    assert where.hostname is not None
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=timeout)
    kind = {} if body is None else {"Content-Type": "application/json"}
    try:
        connection.request(method, path, body, {"Connection": "close", **kind, **header(key)})
        answer = connection.getresponse()
        return answer.status, answer.read(MAX_BYTES)
    finally:
        connection.close()


def _json(body: bytes | None) -> object:
    if body is None:
        return None
    try:
        return json.loads(body)
    except ValueError:
        return None
