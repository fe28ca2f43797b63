"""The Ascend emulator: the vendors' real software on a machine without an NPU.

The wheels of vLLM, vllm-ascend and torch_npu run on any x86_64 CPU over a small stand-in for the
CANN runtime. Three things become real by it: asking the vendors' code what a setting does
(:mod:`trimtab.oracle`), a genuine process tree to verify tunings on, and the host's
share of a decode step. It says nothing about an NPU's speed, memory or numerics, and everything
that comes out of it carries :data:`LABEL`.
"""

LABEL = "host overhead over a stand-in device; says nothing about NPU speed"
"""What every output, profile and report of the emulator says."""
