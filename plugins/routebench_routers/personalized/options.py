"""Options of the `personalized` router."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class Settings(BaseModel):
    """Options of `personalized`, with the source's names; splits and seeds are the run's."""

    embedding_dim: int = Field(64, ge=2, description="width of node states")
    edge_dim: int = Field(8, ge=1, description="width of edge attributes")
    user_num: int | None = Field(
        None, ge=1, description="users the suite must have; any number if unset"
    )
    num_task: int = Field(
        24, ge=1, description="topics per clustering of texts, where tasks are not shown"
    )
    learning_rate: float = Field(1e-3, gt=0, description="of AdamW")
    weight_decay: float = Field(1e-2, ge=0, description="of AdamW")
    train_epoch: int = Field(60, ge=1, description="passes over the training queries at most")
    batch_size: int = Field(1, ge=1, description="masks per gradient step")
    train_mask_rate: float = Field(
        0.3, gt=0, lt=1, description="share of training queries hidden, and predicted, per mask"
    )
    llm_family: dict[str, str] = Field({}, description="model to family; models of one are joined")
    random_state: int | None = Field(None, ge=0, description="seed; the job's own if unset")
    preference: Literal["shown", "hidden"] = Field(
        "shown", description="hidden: learned from rewards of the training interactions alone"
    )
    loss: Literal["regression", "listwise"] = Field(
        "regression", description="of rewards; listwise adds the reward of a soft choice"
    )
    temperature: float = Field(0.2, gt=0, description="of that soft choice")
    residual: bool = Field(
        True, description="start from what edges say: task means and a ridge on the text"
    )
    penalty: float | None = Field(
        None, gt=0, description="of that ridge; tuned on validation if unset"
    )
    prior: float = Field(1.0, ge=0, description="queries' worth of the overall mean in task means")
    clusterings: int = Field(4, ge=1, description="clusterings of texts, without tasks")
    sharpness: float = Field(20.0, gt=0, description="how strictly a text belongs to its topic")
    dropout: float = Field(0.5, ge=0, lt=1, description="in training; half of it on the texts")
    heads: int = Field(2, ge=1, description="of attention; they divide embedding_dim")
    layers: int = Field(2, ge=1, description="of message passing")
    members: int = Field(
        2, ge=0, description="networks whose predictions are averaged; 0: what edges say alone"
    )
    patience: int | None = Field(
        15, ge=1, description="epochs without a better one before it stops; never if unset"
    )
    product: bool = Field(True, description="query times LLM in the head, beside their sum")
    user_sample: int = Field(32, ge=1, description="users per step at most")
    query_sample: int = Field(1024, ge=1, description="hidden queries per step at most")
