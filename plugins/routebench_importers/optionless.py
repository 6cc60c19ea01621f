"""The base of importers that take no options."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class OptionlessImporter:
    """A plugin that takes no options."""

    class Options(BaseModel):
        model_config = ConfigDict(extra="forbid")

    def __init__(self, options: Options) -> None:
        self.options = options
