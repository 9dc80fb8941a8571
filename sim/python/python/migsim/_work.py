"""Long work: in parts, on all processors, with a bar where somebody looks."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Callable, Iterator

from . import _native


@contextmanager
def bar(wanted: bool, what: str) -> Iterator[Callable[[int, int], None] | None]:
    """Tells how far something is, by tqdm if it is there; nothing is shown where nobody looks."""
    if not wanted:
        yield None
        return
    try:
        from tqdm.auto import tqdm
    except ImportError:
        yield None
        return
    with tqdm(desc=what, disable=None, leave=False) as shown:

        def told(done: int, all_: int) -> None:
            shown.total = all_
            shown.update(done - shown.n)

        yield told


def ask(question: dict[str, Any]) -> dict[str, Any]:
    """The answer to a question; what is wrong with it is raised."""
    found: dict[str, Any] = json.loads(_native.answer(json.dumps(question)))
    if "error" in found:
        raise ValueError(found["error"])
    return found


def parts(question: dict[str, Any], each: int, progress: bool, what: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A long answer, asked for in parts of so many rows or more: the first part, and all of them."""
    first = ask({**question, "from": 0, "until": each})
    count = first["count"]
    # Each part reads the whole question anew, a file of records too: of the rest a few for each processor.
    more = max(each, count // (4 * (os.cpu_count() or 1)))
    rest = range(each, count, more)
    with bar(progress and bool(rest), what) as told, ThreadPoolExecutor(os.cpu_count()) as pool:
        waiting = [pool.submit(ask, {**question, "from": at, "until": min(at + more, count)}) for at in rest]
        found = [first]
        try:
            for at, one in zip(rest, waiting):
                found.append(one.result())
                if told:
                    told(min(at + more, count), count)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return first, found
