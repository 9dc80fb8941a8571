"""What the tests share: the repository, and the command line to compare with."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Callable

import pytest

ROOT = Path(__file__).resolve().parents[3]
#: One question, as keys and as flags.
FIRST = {"memory": "4GiB", "touched": "3GiB", "workload": "uniform(wss=512MiB, rate=5000p/s)", "link": "1Gbit/s"}


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def migsim_says() -> Callable[..., str]:
    """Runs the command line."""
    built = Path(os.environ.get("MIGSIM", ROOT / "target/debug/migsim"))
    assert built.exists(), f"{built} is not there: `cargo build -p migsim-cli`, or name one in MIGSIM"

    def run(*flags: str) -> str:
        return subprocess.run([built, *flags], cwd=ROOT, capture_output=True, text=True, check=False).stdout

    return run


@pytest.fixture(scope="session")
def migsim_json(migsim_says: Callable[..., str]) -> Callable[..., Any]:
    return lambda *flags: json.loads(migsim_says(*flags, "--format", "json"))


def flags_of(keys: dict[str, str]) -> list[str]:
    return [part for name, value in keys.items() for part in (f"--{name.replace('_', '-')}", value)]
