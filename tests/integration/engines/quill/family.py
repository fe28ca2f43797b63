"""The family of Quill: other program, options, variables, metrics and image than vLLM."""

from __future__ import annotations

from trimtab.families import ChipImage, Family, MetricSeries, VariablePrefix
from trimtab.invocations.grammar import CommandGrammar

FAMILY = Family(
    name="quill",
    title="Quill",
    engines=("quill",),
    grammar=CommandGrammar(programs=("quill",), subcommand="launch", aliases={"-b": "--batch"}),
    distributions=("quill-server",),
    options=("--model", "--batch", "--page-size", "--host", "--port", "--api-key"),
    variables=("QUILL_PAGES", "QUILL_LOG_LEVEL"),
    prefixes=(VariablePrefix("QUILL_"),),
    series=MetricSeries(
        running="quill_requests_running",
        waiting="quill_requests_waiting",
        prompt_tokens="quill_prompt_tokens",
        output_tokens="quill_output_tokens",
    ),
    images=(ChipImage("cpu", "cpu", "", "quill/quill-server", "", "quill-server", True),),
    causes=((r"quill: unknown option (?P<what>\S+)", "this Quill has no option {what}"),),
)
