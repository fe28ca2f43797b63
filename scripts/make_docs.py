#!/usr/bin/env python3
"""Write the docs pages that are made from data: metrics, tunings, rules and exit codes.

``tests/unit/test_docs.py`` fails when a page differs from what this writes.
"""

from pathlib import Path

from trimtab.catalog import CATALOG
from trimtab.cli import conventions
from trimtab.cli.catalog import entry, explanation, sort_by_layer
from trimtab.metrics.table import METRICS
from trimtab.rules import all_rules

DOCS = Path(__file__).parents[1] / "docs"


def metrics_page() -> str:
    """Return the table of metrics with their formulas."""
    rows = [
        f"| `{metric.name}` | {metric.unit} | "
        f"{'higher' if metric.higher_is_better else 'lower'} | {_cell(metric.formula)} |"
        for metric in METRICS.values()
    ]
    return "\n".join(
        [
            "# Metrics",
            "",
            "Made by `scripts/make_docs.py` from `trimtab.metrics.table`. The definitions are",
            "those of vLLM's own benchmark, with two differences: latencies count from the",
            "*intended* send time, and throughput counts inside a window of continuous load. A",
            "metric without data is absent, never 0.",
            "",
            "| metric | unit | better | formula |",
            "|---|---|---|---|",
            *rows,
            "",
            *_TOKENS.splitlines(),
            "",
        ]
    )


_TOKENS = """## What counts as a token

Counts come from the server's usage report: `usage.completion_tokens` and `usage.prompt_tokens`, as
last reported. An answer without them fails, and so does one whose tokens no event holds. A *chunk*
above is an event that stands for at least one token, and its instant is that of the event's last
needed byte. The first rule that applies to an event decides; of several choices in an event, the
one that shows most:

1. `choices` is empty or absent (the usage report, a ping): no chunk.
2. It has `token_ids`: a chunk if they are not empty.
3. It has text (`text`; in a chat `content`, `reasoning_content`, `reasoning`, `refusal`,
   `tool_calls` or `function_call` of the `delta`): a chunk.
4. The server reports usage from its first event on: a chunk if `completion_tokens` rose.
5. It has `logprobs`: a chunk if they name a token.
6. It is the first of its choice in a chat and names a `role`: no chunk.
7. It is empty: a special token, an incomplete character, or nothing. The usage decides, once the
   answer is whole. Let the usage have *n* tokens, and the answer *t* chunks by the rules above and
   *e* empty events.
   - *n* = *t* + *e*: each empty event is a chunk.
   - *n* < *t* + *e*: *n* - *t* of them are. Those after the first text come first, then the one
     with the finish reason, then those before the first text.
   - *n* > *t* + *e*: chunks hold several tokens. No empty event is a chunk, unless the answer has
     no text at all. Those before the first text are chunks if some other answer of the load opens
     with text: a server that greets does so every time.

TPOT divides by the tokens of the usage, so it is right where chunks hold several tokens. ITL is
the gap between chunks and says nothing of tokens within one. An answer in a single chunk has no
ITL, and a TPOT of 0. [stream-shapes.md](stream-shapes.md) has an exact example of each case.

An answer is whole when its HTTP framing says so. A body that ends with the connection (HTTP/1.0,
or `Connection: close` without a length) is whole if its `[DONE]` came. An event that reports an
error fails the answer, and so does a compressed body: requests ask for none."""


def tunings_page() -> str:
    """Return one section for each entry of the catalogue."""
    lines = [
        "# Tunings",
        "",
        "Made by `scripts/make_docs.py` from the catalogue (`src/trimtab/catalog/`), which",
        "`trimtab catalog` prints too. Whether one applies on a machine is what `trimtab doctor`",
        "tells, and why a study leaves one out what `trimtab tune --dry-run` tells. Numbers below",
        "are what others published: priors, never results of trimtab.",
    ]
    layer = ""
    for tuning in sort_by_layer(CATALOG.values()):
        if tuning.layer != layer:
            layer = tuning.layer
            lines += ["", f"## {layer}"]
        lines += ["", f"### {tuning.name}", "", tuning.summary, ""]
        told = list(explanation(entry(tuning)))
        lines += [f"- {name}: {_told(name, text)}" for name, text in told if name != "what"]
        if tuning.details:
            lines += ["", tuning.details]
    return "\n".join([*lines, ""])


def _told(name: str, text: str) -> str:
    return f"`{text}`" if name == "set by" else text.replace("<", "&lt;").replace("*", "\\*")


def rules_page() -> str:
    """Return the table of the rules, and that of the guide's traps."""
    rows = [
        f'| <a id="{rule.id}"></a>`{rule.id}` | {rule.severity.value} | '
        f"{f'`{owner}`' if owner else ''} | {_cell(rule.summary)} | {', '.join(rule.traps)} |"
        for rule, owner in all_rules().values()
    ]
    return "\n".join(
        [
            "# Rules",
            "",
            "Made by `scripts/make_docs.py` from the catalogue and `src/trimtab/rules/`. Severity",
            "is that of a finding without condition: one that holds only under a condition the",
            "file does not tell is an info. The last column names the traps of the vllm-ascend",
            "guide that a rule shows; [lint.md](lint.md) lists them.",
            "",
            "| rule | severity | tuning | what it finds | traps |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def exit_codes_page() -> str:
    """Return the exit codes of every command."""
    rows = [
        f"| `trimtab {name}` | {code} | {_cell(text)} |"
        for name, own in conventions.CODES.items()
        for code, text in own.items()
    ]
    return "\n".join(
        [
            "# Exit codes",
            "",
            "Made by `scripts/make_docs.py` from `trimtab.cli.conventions`.",
            "Each command's `--help` lists its own.",
            "",
            "| code | of every command |",
            "|---|---|",
            "| 0 | done, or answered |",
            "| 1 | something failed, such as a server that does not serve; or the answer is no |",
            f"| 2 | {_cell(conventions.USAGE)} |",
            f"| 130 | {_cell(conventions.INTERRUPTED)} |",
            "",
            *_EXIT_CODES.splitlines(),
            "",
            "## By command",
            "",
            "| command | code | meaning |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


_EXIT_CODES = """A command that fails prints one line on standard error. It begins with
`trimtab:` and says what to type next. With `--json`, `tune`, `bench`, `compare` and `capacity`
print it as the event `error` instead, which has the exit code ([JSON](json.md)). `-v` prints the
traceback too.

`lint`, `doctor`, `diff`, `host`, `prepare`, `oracle` and `python verify` use 1 for their answer:
something was found, differs or is missing. So a script can tell that from 2, which means that
nothing was looked at. `trimtab run` ends with the code of the server that it ran. 2 and 78 are its
own, and a restart does not cure them."""


PAGES = {
    "metrics.md": metrics_page,
    "tunings.md": tunings_page,
    "rules.md": rules_page,
    "exit-codes.md": exit_codes_page,
}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")
