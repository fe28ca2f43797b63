"""The exit codes of every command: one table, for the help texts and for docs/exit-codes.md."""

from __future__ import annotations

from collections.abc import Mapping

USAGE = "what was typed: an option, a name, a value or a file that cannot be taken"
INTERRUPTED = "stopped by Ctrl-C, SIGTERM or SIGHUP"
_FAILED = "the engine is missing, a server does not serve, or a file cannot be written"
_MEASURED = {0: "measured", 1: _FAILED}

CODES: Mapping[str, Mapping[int, str]] = {
    "tune": {0: "answered, whatever the answer", 1: _FAILED},
    "show": {0: "printed", 1: "a file of the study is damaged, or its engine is missing"},
    "compare": {0: "answered, whatever the answer", 1: _FAILED},
    "bench": _MEASURED,
    "capacity": _MEASURED,
    "workload list": {0: "printed"},
    "workload show": {0: "printed"},
    "workload from-metrics": {0: "written", 1: "the server does not answer"},
    "lint": {
        0: "no error and no warning",
        1: "an error or a warning",
        2: f"{USAGE}; or the oracle cannot be asked",
    },
    "doctor": {
        0: "nothing is wrong; with --profile: the profile is in effect",
        1: "something is wrong; with --profile: something of it is not in effect",
        2: f"{USAGE}; or the oracle cannot be asked",
    },
    "diff": {0: "alike", 1: "different"},
    "catalog": {0: "printed"},
    "oracle check": {
        0: "nothing is refused, misread or ignored",
        1: "something is",
        2: f"{USAGE}; or the vendors' software or a compiler is missing",
    },
    "oracle table": {0: "they agree", 1: "they differ, or the vendors' code does not run"},
    "oracle binding": {0: "there is a plan", 1: "vllm-ascend makes none"},
    "export": {
        0: "written",
        1: "a file of the format cannot carry the plan, or cannot be written",
    },
    "run": {
        0: "the server's own code; with --verify-only: the profile is in effect",
        1: "the server's own code; with --verify-only: something is not in effect",
        78: "refused: another machine than the study's, or --strict and not in effect",
        128: "128 + N: signal N ended the server",
    },
    "host plan": {0: "apply would start", 1: "apply would not start, or part of it is refused"},
    "host apply": {0: "in effect", 1: "not made, or not whole"},
    "host status": {0: "printed", 1: "the journal is damaged"},
    "host verify": {0: "all of it is in effect", 1: "something is not, or nothing is applied"},
    "host rollback": {0: "put back", 1: "something was not put back"},
    "prepare": {
        0: "all is satisfied, or done",
        1: "something is missing, or a step failed",
        3: "nothing is missing, but something cannot be read",
    },
    "engine install": {0: "ready", 1: "a step of the installation failed"},
    "engine list": {0: "printed; a row says why an engine cannot be used"},
    "python build": {0: "built", 1: "a step failed"},
    "python fetch": {0: "fetched", 1: "it cannot be had"},
    "python list": {0: "printed", 1: "a record is damaged"},
    "python verify": {0: "nothing speaks against it", 1: "something does"},
}
"""Command → exit code → meaning, less what every command has (`of`)."""


def codes_of(command: str) -> Mapping[int, str]:
    """Return the exit codes of a command ("host plan"), in ascending order."""
    return dict(sorted({2: USAGE, 130: INTERRUPTED, **CODES[command]}.items()))
