"""Source of a router, as a distribution or a file of one's own holds it."""

from __future__ import annotations

ROUTER = """
from pathlib import Path
Path(__file__).with_suffix(".imported").touch()
import numpy as np
from pydantic import BaseModel
from routebench import Decisions, hookimpl

class Alpha:
    '''Always the first model.'''
    class Options(BaseModel):
        pass
    def __init__(self, options):
        self.options = options
    @hookimpl
    def fit(self, train):
        pass
    @hookimpl
    def route(self, queries):
        return Decisions(np.zeros(len(queries), dtype=int))
    def save(self, folder):
        folder.mkdir(exist_ok=True)
    def load(self, folder):
        pass
"""
