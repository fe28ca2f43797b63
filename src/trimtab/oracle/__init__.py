"""The oracle: the vendors' own code is asked what a setting does.

A child program (``child/``) runs torch_npu and vllm-ascend with the settings in its environment,
over the emulator's stand-in for CANN, one process for each check. What it writes is judged here:
accepted, refused with the vendor's own message, or silently read as something else. Every answer
is about reading and refusing; none is about an NPU.
"""

LABEL = "asked over a stand-in for CANN, no NPU was used"
"""What every output of the oracle says."""

RULE = "oracle"
"""The rule's id of its findings. It is no rule of the catalogue: the vendors' code said it."""
