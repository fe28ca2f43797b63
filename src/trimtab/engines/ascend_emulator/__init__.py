"""The Ascend emulator as an engine: genuine vLLM with vllm-ascend over a stand-in device."""
