"""The family of the scripted server: to all that looks at it, it is a vLLM."""

from __future__ import annotations

from dataclasses import replace

from trimtab.engines.vllm.family import FAMILY as VLLM

FAMILY = replace(VLLM, engines=("scripted",))
