"""`vllm`: models run by vLLM in this process."""
