"""Options of a baseline that say where it listens, and those with which it never answers here."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.engines.vllm import config_file
from trimtab.errors import UsageError

_ENDPOINT = frozenset({"--host", "--port", "--uds"})
_TLS = frozenset(
    {"--ssl-keyfile", "--ssl-certfile", "--ssl-ca-certs", "--ssl-cert-reqs", "--ssl-ciphers"}
)
_TLS_SWITCHES = frozenset({"--enable-ssl-refresh", "--no-enable-ssl-refresh"})
_NEVER_READY = {
    "--help": "it prints its help and ends",
    "-h": "it prints its help and ends",
    "--version": "it prints its version and ends",
    "--headless": "it has no API",
    "--grpc": "it speaks gRPC, not HTTP",
    "--data-parallel-rank": "it is one of several servers",
    "--data-parallel-start-rank": "it is one of several hosts",
    "--data-parallel-external-lb": "it is one of several servers",
    "--data-parallel-hybrid-lb": "it is one of several hosts",
    "--node-rank": "it is one of several hosts",
    "--nnodes": "it waits for other hosts",
    "--master-addr": "it waits for other hosts",
}
"""Options with which a server alone on this machine never answers, and why."""

_LOCAL = "--data-parallel-size-local"


def strip_endpoint(args: Sequence[str], where: str) -> tuple[list[str], tuple[str, ...]]:
    """Return the arguments without where the server listens, and what is said about it.

    Raises:
        UsageError: such a server never gets ready here.
    """
    taken: list[str] = []
    tls = False
    skip = False
    for index, word in enumerate(args):
        name = config_file.option(word) if word.startswith("-") else ""
        value = word.partition("=")[2] or "".join(args[index + 1 : index + 2])
        if skip:
            skip = False
        elif name in _NEVER_READY and not _alone(name, value):
            raise UsageError(
                f"{where} has {name}, so that it never answers here, because "
                f"{_NEVER_READY[name]}: give the command of a whole server"
            )
        elif name in _ENDPOINT or name in _TLS or name in _TLS_SWITCHES:
            tls = tls or name in _TLS
            skip = "=" not in word and name not in _TLS_SWITCHES
        else:
            taken.append(word)
    _require_whole(taken, where)
    note = "TLS (--ssl-*) is left out here, because the load comes from this machine"
    return taken, (note,) if tls else ()


def _alone(name: str, value: str) -> bool:
    """Whether an option says no more than that the server is alone."""
    return (name, value) in {
        ("--nnodes", "1"),
        ("--node-rank", "0"),
        ("--data-parallel-rank", "0"),
    }


def _require_whole(args: Sequence[str], where: str) -> None:
    """Refuse a server whose engines run on other hosts too, or that has no API process.

    Raises:
        UsageError: it never gets ready here.
    """
    given = _values(args)
    engines, local = given.get("--data-parallel-size", "1"), given.get(_LOCAL)
    if given.get("--data-parallel-backend") != "ray" and local not in (None, engines):
        raise UsageError(
            f"{where} has {_LOCAL} {local} of {engines}, so that it never answers here, because "
            "it waits for other hosts: give the command of a whole server"
        )
    if given.get("--api-server-count") == "0":
        raise UsageError(
            f"{where} has --api-server-count 0, so that it never answers here, because it has no "
            "API: give the command of a whole server"
        )


def _values(args: Sequence[str]) -> dict[str, str]:
    """Return the value of each option by its long name; the last one counts."""
    found: dict[str, str] = {}
    for index, word in enumerate(args):
        if word.startswith("-"):
            _, equals, value = word.partition("=")
            found[config_file.option(word)] = (
                value if equals else "".join(args[index + 1 : index + 2])
            )
    return found
