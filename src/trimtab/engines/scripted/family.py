"""The family of the scripted server: to all that looks at it, it is a vLLM."""

from __future__ import annotations

from dataclasses import replace

from trimtab.engines.vllm.family import FAMILY as VLLM

GRAMMAR = replace(VLLM.grammar, scripts=("scripted/server.py",))

FAMILY = replace(VLLM, engines=("scripted",), grammar=GRAMMAR)
