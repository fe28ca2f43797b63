"""The family of the emulator: it serves with the genuine vLLM."""

from __future__ import annotations

from dataclasses import replace

from trimtab.engines.vllm.family import FAMILY as VLLM

FAMILY = replace(VLLM, engines=("ascend-emulator",))
