export PYTORCH_NPU_ALLOC_CONF=expandable_segments:True
vllm serve m --enable-sleep-mode
