"""What the package is made of. Use `migsim` itself."""

from __future__ import annotations

from os import PathLike
from typing import Any, Callable, Optional, Sequence

Progress = Optional[Callable[[int, int], object]]

class Prediction:
    completed: bool
    total_s: float | None
    downtime_s: float | None
    wire_bytes: int
    p_converge: float | None
    total_interval_s: tuple[float, float] | None
    downtime_interval_s: tuple[float, float] | None
    def verdict(self) -> str: ...
    def explain(self) -> str: ...
    def json(self) -> str: ...
    def left_over_time(self) -> list[tuple[float, float]]: ...
    def svg(self) -> str: ...

def answer(question: str) -> str: ...
def profile(name: str) -> str: ...
def predict(
    asked: dict[str, Any], *, profile: str | None, manager: str | None, intervals: bool, page_seed: int | None, models: bool
) -> Prediction: ...
def predict_many(
    asked: Any,
    base: dict[str, Any],
    *,
    ignore: list[str],
    profile: str | None,
    manager: str | None,
    intervals: bool,
    keep_errors: bool,
    progress: Progress,
) -> tuple[Any, float]: ...
def fleet(
    file: str | PathLike[str],
    *,
    changes: str,
    profile: str | None,
    manager: str | None,
    replications: int,
    seed: int,
    deadline_s: float | None,
    row: str | None,
    progress: Progress,
) -> str: ...
def replications(
    file: str | PathLike[str],
    *,
    changes: str,
    profile: str | None,
    manager: str | None,
    first: int,
    last: int,
    seed: int,
    progress: Progress,
) -> str: ...
def fit(
    files: Sequence[str | PathLike[str]], *, prior: str, name: str | None, date: str, seed: int, refits: int, progress: Progress
) -> str: ...
def validate(files: Sequence[str | PathLike[str]], *, against: str, progress: Progress) -> str: ...
