"""Tuning a causal LM on examples: supervised (SFT), then on preferences (DPO), with TRL and peft.

`python -m routebench_routers.language.tune PLAN.json` tunes by itself, which is how
`accelerate launch` starts it once per GPU.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from routebench_routers.language import bases
from routebench_routers.language.adjustments import positions
from routebench_routers.language.options import EMBEDDED, LanguageOptions

Told = Callable[[float, str], None]
Curve = list[dict[str, float]]
_NEVER = 10**9
_WEIGHTS = "adapter_model.safetensors"


class Plan(BaseModel):
    """One stage of tuning, with the files it reads and writes."""

    stage: Literal["sft", "dpo"]
    data: Path
    """JSON lines: prompt and completion, or prompt, chosen and rejected."""
    held_out: Path | None = None
    """Examples of the validation part: the pass with the lowest loss on them is kept."""
    base: Path
    """Folder with the tokenizer that knows the labels, and with the embedded model."""
    adapter: Path | None = None
    """Folder with the result of an earlier stage."""
    out: Path
    work: Path
    """Folder of checkpoints to resume from, kept when a run is killed."""
    options: LanguageOptions
    passes: int
    """Number of passes in `data`, of equal length and one after the other."""
    learning_rate: float
    beta: float = 0.1
    """Strength with which DPO keeps close to the model it starts from."""
    seed: int
    device: str = "cpu"

    @property
    def source(self) -> str:
        """Return the location of the base model's weights."""
        return source(self.options, self.base)


def source(options: LanguageOptions, base: Path) -> str:
    """Return the location of a base model's weights: its folder `base`, or as the options say."""
    return str(base) if options.base_model == EMBEDDED else options.base_model


def tune(plan: Plan, told: Told) -> Curve:
    """Run a stage, in this process or in several; return the loss by step."""
    if plan.options.processes > 1:
        return _launched(plan)
    return run(plan, told)


def run(plan: Plan, told: Told) -> Curve:
    """Run a stage in this process, resuming from its last checkpoint; return the loss by step."""
    import torch
    import transformers

    transformers.set_seed(plan.seed)
    with _quiet(), _only_answers_scored():
        tokenizer = bases.load_tokenizer(plan.base)
        model = bases.load_model(plan.source, tokenizer, plan.options, _device(plan), plan.base)
        trainer = _trainer(plan, model, tokenizer, told)
        last = _last_checkpoint(plan.work)
        if last:
            told(0.0, f"going on from step {last.name.rpartition('-')[2]}")
        trainer.train(resume_from_checkpoint=str(last) if last else None)
        curve = [p for entry in trainer.state.log_history if len(p := _point(entry)) > 1]
        if trainer.is_world_process_zero():
            _save(trainer, plan)
            # Written last and atomically, as it marks the stage as done.
            (plan.work / "curve.json").write_text(json.dumps(curve))
            (plan.work / "curve.json").rename(plan.out / "curve.json")
    del trainer, model
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return curve


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hide the libraries' progress bars and their warnings about each other."""
    import datasets
    import transformers

    said: Any = transformers.utils.logging
    said.set_verbosity_error()
    said.disable_progress_bar()
    bars: Any = datasets
    bars.disable_progress_bars()
    with bases.old_names():
        yield


@contextlib.contextmanager
def _only_answers_scored() -> Iterator[None]:
    """Restrict TRL's losses to the answers' tokens on a CPU as well.

    Without Triton, TRL scores every token of the prompts and discards most, which suits devices
    that compile each shape; on a CPU that took half of the time.
    """
    from trl.trainer import utils

    place, name = vars(utils), "_use_triton"
    own = place.get(name)
    if own is not None:
        place[name] = lambda device: True
    try:
        yield
    finally:
        if own is not None:
            place[name] = own


def _last_checkpoint(work: Path) -> Path | None:
    """Return the last complete checkpoint; remove incomplete ones of a killed run."""
    whole = {}
    for folder in work.glob("checkpoint-*"):
        try:
            json.loads((folder / "trainer_state.json").read_text())
        except (OSError, ValueError):
            shutil.rmtree(folder)
            continue
        whole[int(folder.name.rpartition("-")[2])] = folder
    return whole[max(whole)] if whole else None


def finish(plan: Plan, place: Path) -> None:
    """Write the tuned model into the folder `place`: merged, or base and adapters side by side."""
    if plan.options.use_lora and not plan.options.merge_lora:
        shutil.copytree(plan.base, place, dirs_exist_ok=True)
        adapter = place / bases.ADAPTER
        adapter.mkdir(exist_ok=True)
        shutil.copyfile(plan.out / _WEIGHTS, adapter / _WEIGHTS)
        config = json.loads((plan.out / "adapter_config.json").read_text())
        # The name as given in the options, not a folder of this machine.
        config["base_model_name_or_path"] = plan.options.base_model
        (adapter / "adapter_config.json").write_text(json.dumps(config, indent=2))
        return
    with _quiet():
        model, tokenizer = _merged(plan)
        model.save_pretrained(place)
        tokenizer.save_pretrained(place)


def _merged(plan: Plan) -> tuple[Any, Any]:
    """Return the tuned model with its adapters merged into the weights, and its tokenizer."""
    from peft import PeftModel

    tokenizer = bases.load_tokenizer(plan.base)
    if not plan.options.use_lora:
        return bases.load_model(plan.out, tokenizer, plan.options, "cpu"), tokenizer
    whole = plan.options.model_copy(update={"quantization": "none"})
    model = bases.load_model(plan.source, tokenizer, whole, "cpu", plan.base)
    model = PeftModel.from_pretrained(model, str(plan.out)).merge_and_unload()
    return model, tokenizer


def _trainer(plan: Plan, model: Any, tokenizer: Any, told: Told) -> Any:
    import trl
    from datasets import Dataset

    methods: Any = trl
    options = plan.options
    rows = _read(plan.data)
    checked = _read(plan.held_out) if plan.held_out else []
    # An embedded model is made with positions for all that it is tuned on.
    limit = None if options.base_model == EMBEDDED else positions(model.config)
    if plan.stage == "sft":
        rows, checked = _encoded(rows, tokenizer, limit), _encoded(checked, tokenizer, limit)
    per_step = options.batch_size * options.gradient_accumulation_steps * options.processes
    steps = -(-len(rows) // plan.passes // per_step)
    best = bool(checked) and plan.passes > 1
    shared: dict[str, Any] = {
        "output_dir": str(plan.work),
        "num_train_epochs": 1,
        "per_device_train_batch_size": options.batch_size,
        "per_device_eval_batch_size": 64,
        "gradient_accumulation_steps": options.gradient_accumulation_steps,
        "learning_rate": plan.learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 0.05,
        "max_length": None if plan.stage == "sft" else limit,
        "train_sampling_strategy": "sequential",
        "seed": plan.seed,
        "data_seed": plan.seed,
        "use_cpu": not plan.device.startswith("cuda"),
        "bf16": plan.device.startswith("cuda"),
        "fp16": False,
        **_saving_memory(plan),
        "dataloader_pin_memory": False,
        "logging_steps": max(1, steps // 5),
        # At the steps that the callback of `_progress` sets.
        "eval_strategy": "steps" if best else "no",
        "eval_steps": _NEVER,
        "save_strategy": "steps",
        "save_steps": _NEVER,
        "save_total_limit": 2,
        "load_best_model_at_end": best,
        "metric_for_best_model": "eval_loss" if best else None,
        "report_to": "none",
        "disable_tqdm": True,
    }
    given: dict[str, Any] = {
        "train_dataset": Dataset.from_list(rows),
        "eval_dataset": Dataset.from_list(checked) if best else None,
        "processing_class": tokenizer,
        "callbacks": [_progress(told, plan, best)],
    }
    if plan.stage == "dpo":
        if options.use_lora:
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, str(plan.adapter), is_trainable=True)
        else:
            model = bases.load_model(str(plan.adapter), tokenizer, options, _device(plan))
        return _settled(
            methods.DPOTrainer(model, args=methods.DPOConfig(beta=plan.beta, **shared), **given)
        )
    lora = _lora(options) if options.use_lora else None
    config = methods.SFTConfig(completion_only_loss=True, packing=False, **shared)
    return _settled(methods.SFTTrainer(model, args=config, peft_config=lora, **given))


def _settled(trainer: Any) -> Any:
    """Remove the callback that prints the log, and the adapters' base model name.

    With that name, peft detects that labels were added, and saves the whole vocabulary.
    """
    from transformers import PrinterCallback

    trainer.remove_callback(PrinterCallback)
    for adapter in getattr(trainer.model, "peft_config", {}).values():
        adapter.base_model_name_or_path = ""
    return trainer


def _encoded(
    rows: Sequence[Mapping[str, str]], tokenizer: Any, limit: int | None = None
) -> list[dict[str, Any]]:
    """Encode prompt, completion and end token, with the completion's tokens as labels.

    The result is that of TRL, but all rows are encoded at once. A completion ends where the
    model's positions do, of which there are `limit`.
    """
    if not rows:
        return []
    whole = [row["prompt"] + row["completion"] + tokenizer.eos_token for row in rows]
    prompts = tokenizer([row["prompt"] for row in rows])["input_ids"]
    found = []
    for ids, prompt in zip(tokenizer(whole)["input_ids"], prompts, strict=True):
        start = bases.common([ids, prompt])
        labels = [-100] * start + ids[start:]
        found.append({"input_ids": ids[:limit], "labels": labels[:limit]})
    return found


def _saving_memory(plan: Plan) -> dict[str, Any]:
    """Return the setting that recomputes activations, for large models on a GPU."""
    import dataclasses

    from transformers import TrainingArguments

    large = plan.device.startswith("cuda") and plan.options.base_model != EMBEDDED
    names = {f.name for f in dataclasses.fields(TrainingArguments)}
    name = "activation_checkpointing"  # as transformers 5.2x calls gradient_checkpointing
    return {name if name in names else "gradient_checkpointing": large}


def _lora(options: LanguageOptions) -> Any:
    """Return the configuration of adapters on all linear layers.

    The vocabulary is not adapted: the labels' rows are fixed.
    """
    from peft import LoraConfig

    return LoraConfig(
        task_type="CAUSAL_LM",
        r=options.lora_r,
        lora_alpha=options.lora_alpha,
        lora_dropout=options.lora_dropout,
        target_modules="all-linear",
    )


def _progress(told: Told, plan: Plan, best: bool) -> Any:
    from transformers import TrainerCallback

    class Progress(TrainerCallback):
        """A callback that reports progress and sets when to save and to evaluate."""

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if logs and "loss" in logs:
                told(state.global_step / state.max_steps, f"loss {float(logs['loss']):.3f}")

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            passes = {round(state.max_steps * (i + 1) / plan.passes) for i in range(plan.passes)}
            if best and state.global_step in passes:
                control.should_evaluate = control.should_save = True
            if state.global_step % plan.options.save_steps == 0:
                control.should_save = True

    return Progress()


def _point(entry: dict[str, Any]) -> dict[str, float]:
    """Return the step and the recorded metrics of an entry of the trainer's log."""
    kept = {"loss", "eval_loss", "rewards/margins", "rewards/accuracies"}
    return {"step": int(entry["step"])} | {k: float(v) for k, v in entry.items() if k in kept}


def _save(trainer: Any, plan: Plan) -> None:
    trainer.save_model(str(plan.out))
    # The frozen copy of DPO's starting point is not needed any more.
    shutil.rmtree(plan.out / "ref", ignore_errors=True)
    (plan.out / "training_args.bin").unlink(missing_ok=True)


def _launched(plan: Plan) -> Curve:
    """Run a stage through `accelerate launch`, one process per GPU (or several on a CPU)."""
    import subprocess

    from routebench.errors import RoutebenchError

    file = plan.work.with_suffix(".json")
    file.write_text(plan.model_dump_json())
    command = [sys.executable, "-m", "accelerate.commands.launch"]
    command += ["--num_processes", str(plan.options.processes), "--num_machines", "1"]
    command += ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    # Also on a CPU, as `--cpu` starts one process only, whatever the number. The plan holds the
    # device.
    command += ["--multi_gpu"]
    command += ["-m", __spec__.name, str(file)]
    done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise RoutebenchError(f"accelerate launch ended with exit code {done.returncode}")
    curve: Curve = json.loads((plan.out / "curve.json").read_text())
    return curve


def _device(plan: Plan) -> str:
    """Return the device of this process: on a GPU, the one of its local rank."""
    local = os.environ.get("LOCAL_RANK")
    return f"cuda:{local}" if local and plan.device.startswith("cuda") else plan.device


def _read(path: Path) -> list[dict[str, str]]:
    keys = ("prompt", "completion", "chosen", "rejected")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [{key: row[key] for key in keys if key in row} for row in rows]


if __name__ == "__main__":
    run(Plan.model_validate_json(Path(sys.argv[1]).read_text()), lambda done, note: None)
