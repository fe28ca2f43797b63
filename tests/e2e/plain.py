"""Runs trimtab as on a CPU without arithmetic for bfloat16 or float16, whatever this machine has.

Which tunings apply follows the CPU's flags, and the planted machines plant a gain of ``dtype``.
"""

import re

from trimtab.cli import main
from trimtab.facts import cpu

NATIVE = re.compile(r"amx.*|avx512_(bf16|fp16)|bf16|fphp|asimdhp")
real = cpu.parse_flags


def plain(text: str) -> frozenset[str] | None:
    """Return the flags without those that mean arithmetic on two bytes."""
    flags = real(text)
    return None if flags is None else frozenset(f for f in flags if not NATIVE.fullmatch(f))


if __name__ == "__main__":
    cpu.parse_flags = plain
    main()
