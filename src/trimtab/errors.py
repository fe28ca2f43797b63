"""The exceptions trimtab raises on purpose.

    TrimtabError                    every error a user should see as one line
    ├── UsageError (ValueError)     what was asked cannot be understood       exit code 2
    │   ├── UnknownTuningError      a tuning name or pattern that matches nothing
    │   ├── WorkloadError           a workload, arrival or objective that does not parse
    │   ├── SloError                an SLO expression that does not parse
    │   └── StudyMismatchError      the study folder holds another question
    ├── EngineError                 the engine                                exit code 1
    │   ├── EngineMissingError      no such engine, or not installed
    │   ├── EngineInstallError      an installation step failed
    │   ├── StartFailedError        the server ended or was not ready in time
    │   ├── ServerLostError         the server died or changed under load
    │   ├── EndpointMissingError    the server has no page that can be measured
    │   └── LoadFailedError         the server did not serve a load, or not it alone
    ├── ClientLimitError            the load client has no file or port left  exit code 1
    ├── HostError (OSError)         the machine refused a read or a write     exit code 1
    │   └── SettingRefusedError     a kernel setting did not take the value a plan wants
    ├── LibraryMissingError         a library to preload is not installed     exit code 1
    ├── RunRefusedError             a plan is not for this machine, or not in effect   exit code 78
    ├── InterpreterError            a Python cannot be built, fetched or read exit code 1
    └── StudyError                  a ledger or profile cannot be read or written   exit code 1
        └── BaselineFailedError     the baseline does not start and serve

A message says what must hold, what came instead, and what to do about it, in one line.
"""

from typing import ClassVar


class TrimtabError(Exception):
    """Base of all errors raised on purpose; ``exit_code`` is the process's exit code."""

    exit_code: ClassVar[int] = 1


class UsageError(TrimtabError, ValueError):
    """What the user asked for cannot be understood."""

    exit_code: ClassVar[int] = 2


class UnknownTuningError(UsageError):
    """A tuning name or pattern matches nothing in the catalogue."""


class WorkloadError(UsageError):
    """A workload, an arrival process or an objective does not parse."""


class SloError(UsageError):
    """A service-level objective does not parse."""


class StudyMismatchError(UsageError):
    """The study folder holds the answer to another question."""


class EngineError(TrimtabError):
    """Something about the serving engine."""


class EngineMissingError(EngineError):
    """The engine asked for is unknown or not installed."""


class EngineInstallError(EngineError):
    """A step of an engine's installation failed."""


class StartFailedError(EngineError):
    """The server ended, or did not become ready before its deadline."""


class ServerLostError(EngineError):
    """The server died, or another one answered in its place, while load was running."""


class ClientLimitError(TrimtabError):
    """This process has no file descriptor or local port left: nobody else's fault."""


class EndpointMissingError(EngineError):
    """The server does not complete prompts of token ids, so that no load can be sent to it."""


class LoadFailedError(EngineError):
    """A server that runs already did not serve a load, or works for others too."""


class HostError(TrimtabError, OSError):
    """The machine refused a read or a write."""


class SettingRefusedError(HostError):
    """A kernel setting did not take the value that a plan wants: the candidate cannot run."""


class LibraryMissingError(TrimtabError):
    """A library to preload is not installed; the message names its package."""


class RunRefusedError(TrimtabError):
    """A plan is not for this machine, or is not in effect and must be."""

    exit_code: ClassVar[int] = 78  # EX_CONFIG of sysexits.h: starting it again does not help


class InterpreterError(TrimtabError):
    """A Python could not be built, fetched, or read; the message names the log if there is one."""


class StudyError(TrimtabError):
    """A ledger, profile or study folder cannot be read or written."""


class BaselineFailedError(StudyError):
    """The baseline does not start and serve, so that going on with the study is no use."""
