"""What the documents show is what happens."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest


def programs(document: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", document.read_text(encoding="utf-8"), re.S)


@pytest.mark.parametrize("name", ["sim/python/README.md", "docs/scale.md"])
def test_programs_in_the_documents_run(root: Path, name: str, tmp_path: Path) -> None:
    found = programs(root / name)
    assert found
    for number, text in enumerate(found):
        if "import ray" in text:
            continue
        program = tmp_path / f"{number}.py"
        # A plot needs a library of its own.
        program.write_text(re.sub(r"\.plot\(.*?\)", "", text), encoding="utf-8")
        done = subprocess.run([sys.executable, program], cwd=root, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr


def test_the_doctest_of_the_package_is_right() -> None:
    import doctest

    import migsim

    assert doctest.testmod(migsim).failed == 0
