#!/usr/bin/env bash
# Every router that uses torch on CUDA beside the CPU, and language models in bfloat16, with LoRA,
# in 4-bit and by vLLM where they are installed. Meant to take under eight minutes on one large GPU;
# downloads nothing.
# Without CUDA the CPU part runs. Arguments go to gpu.py: --out FOLDER keeps the runs.
set -euo pipefail
cd "$(dirname "$0")"
export HF_HUB_OFFLINE=1
command -v nvidia-smi >/dev/null && nvidia-smi --query-gpu=name,memory.total --format=csv,noheader || true
exec "${PYTHON:-python}" gpu.py "$@"
