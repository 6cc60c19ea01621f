"""What importers without options share."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class NoOptions:
    """A plugin that takes no options."""

    class Options(BaseModel):
        model_config = ConfigDict(extra="forbid")

    def __init__(self, options: Options) -> None:
        self.options = options
