"""The source of a distribution of judges: a sound one, and some that break the contract."""

JUDGE = """
import numpy as np
from pydantic import BaseModel, Field
from routebench import Grade, Grades, State, hookimpl

SEEN = []

class Echo:
    class Options(BaseModel):
        right: float = Field(1.0, ge=0)
    def __init__(self, options):
        self.options = options
    @hookimpl
    def judge(self, questions, references, answers):
        SEEN.append((questions, references, answers))
        score = [self.options.right * (a == r) for a, r in zip(answers, references)]
        grade = [Grade.CORRECT if s else Grade.INCORRECT for s in score]
        if any(a == "unclear" for a in answers):
            state = [State.UNGRADED if a == "unclear" else State.OK for a in answers]
        else:
            state = [State.OK] * len(answers)
        return Grades(np.array(score), np.array(state), np.array(grade))

class Short(Echo):
    @hookimpl
    def judge(self, answers):
        return Grades(np.ones(1), np.zeros(1))

class Wordy(Echo):
    @hookimpl
    def judge(self, answers):
        return ["CORRECT"] * len(answers)

class Plain:
    Options = Echo.Options
    def __init__(self, options):
        pass
    def judge(self, answers):
        pass

class Misnamed(Echo):
    @hookimpl
    def jugde(self, answers):
        pass
"""
