"""What happens with imports, in the past tense; jobs are hung onto these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Step = Literal["check", "write", "undo"]
_STEPS: Final[dict[str, Step]] = {"check": "check", "write": "write", "undo": "undo"}


def step_of(text: str) -> Step:
    """Return the step a job's data names; raises KeyError for none."""
    return _STEPS[text]


@dataclass(frozen=True, slots=True)
class ImportToBeRead:
    """A list was mapped and is to be read and checked; ``turn`` counts what was begun with it."""

    import_uid: str
    turn: int


@dataclass(frozen=True, slots=True)
class StepWanted:
    """Chunks of an import are to be checked, written or undone."""

    import_uid: str
    turn: int
    step: Step


@dataclass(frozen=True, slots=True)
class WelcomesDue:
    """An import of people is final: those it brought are to be welcomed."""

    import_uid: str
