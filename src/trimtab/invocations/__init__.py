"""Command lines that start a server: their grammar, by family of engines, and what they say."""

from trimtab.invocations.config_file import with_config_file
from trimtab.invocations.grammar import CommandGrammar
from trimtab.invocations.invocation import Endpoint, GivenOption, Invocation, parse, parse_options

__all__ = [
    "CommandGrammar",
    "Endpoint",
    "GivenOption",
    "Invocation",
    "parse",
    "parse_options",
    "with_config_file",
]
