"""migsim: how long moving a virtual machine takes, and how long it is down.

>>> import migsim
>>> one = migsim.predict(memory="4GiB", touched="3GiB", link="1Gbit/s", workload="uniform(wss=512MiB, rate=5000p/s)")
>>> one.completed, round(one.total_s, 1)
(True, 29.4)

Keys are those of a scenario (`migsim.keys()`): text as it stands there (`"4GiB"`, `"10GbE"`, `"300ms"`), or numbers in bytes,
bit/s and seconds. Who has a table asks `predict_many`; who has a file of the command line gives its path.
"""

from __future__ import annotations

import datetime
import html
import json
import os
from pathlib import Path
from typing import Any, Iterable, Mapping, Sequence, Union, overload

from . import _frames, _native, _work

__all__ = [
    "Fleet",
    "Prediction",
    "applications",
    "fit",
    "fleet",
    "keys",
    "models",
    "predict",
    "predict_many",
    "profile",
    "profiles",
    "records",
    "replications",
    "sweep",
    "validate",
    "what_if",
]

File = Union[str, "os.PathLike[str]"]

# So many rows are asked for at a time.
_EACH = 256


class Prediction:
    """What comes of one migration. In a notebook it shows itself, with its picture."""

    __slots__ = ("_all", "_native")

    def __init__(self, native: _native.Prediction) -> None:
        self._native = native
        self._all: dict[str, Any] | None = None

    @property
    def completed(self) -> bool:
        """Whether it completes (converges)."""
        return self._native.completed

    @property
    def total_s(self) -> float | None:
        """Total migration time (TMT), s; `None`: it does not complete."""
        return self._native.total_s

    @property
    def downtime_s(self) -> float | None:
        """Downtime (TDT), s; `None`: it does not complete."""
        return self._native.downtime_s

    @property
    def wire_bytes(self) -> int:
        """Bytes on the wire."""
        return self._native.wire_bytes

    @property
    def p_converge(self) -> float | None:
        """The probability of completing; `None`: nothing is known of the profile's errors."""
        return self._native.p_converge

    @property
    def total_interval_s(self) -> tuple[float, float] | None:
        """Nine of ten migrations take so long, s."""
        return self._native.total_interval_s

    @property
    def downtime_interval_s(self) -> tuple[float, float] | None:
        """Nine of ten are down for so long, s."""
        return self._native.downtime_interval_s

    def to_dict(self) -> dict[str, Any]:
        """All of it, as `migsim predict --format json` prints it (schema `prediction`)."""
        if self._all is None:
            self._all = json.loads(self._native.json())
        return self._all

    def iterations(self, frame: str | None = None) -> Any:
        """The iterations over memory, as a table."""
        return _frames.from_rows(self.to_dict()["rounds"], frame)

    def left_over_time(self) -> list[tuple[float, float]]:
        """What is left to send: moments in s, and pages of 4 KiB."""
        return self._native.left_over_time()

    def verdict(self) -> str:
        """The answer in sentences."""
        return self._native.verdict()

    def explain(self) -> str:
        """Which rule QEMU applied after each iteration, and with what figures."""
        return self._native.explain()

    def svg(self) -> str:
        """The picture of the iterations over time."""
        return self._native.svg()

    def __repr__(self) -> str:
        return self.verdict().rstrip()

    def _repr_html_(self) -> str:
        shown = [
            ("total", self.total_s, self.total_interval_s),
            ("downtime", self.downtime_s, self.downtime_interval_s),
        ]
        rows = "".join(
            f"<tr><th>{name}</th><td>{_seconds(value)}</td><td>{_seconds(span[0])} to {_seconds(span[1])}</td></tr>"
            if span
            else f"<tr><th>{name}</th><td>{_seconds(value)}</td><td></td></tr>"
            for name, value, span in shown
        )
        table = f"<table><tr><th></th><th>expected</th><th>90 % interval</th></tr>{rows}</table>"
        return f"<pre>{html.escape(self.verdict().rstrip())}</pre>{table}{self.svg()}"


def _seconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value * 1e3:.0f} ms" if value < 1 else f"{value:.1f} s"


def _profile(given: File | None) -> str | None:
    """A profile by name, as TOML, or of a file."""
    if given is None:
        return None
    text = os.fspath(given)
    if "\n" in text or not text.endswith(".toml"):
        return text
    return Path(text).read_text(encoding="utf-8")


def _keys(given: Mapping[str, Any]) -> dict[str, Any]:
    """Keys that are set; tables as their JSON."""
    return {
        name: json.dumps(value) if isinstance(value, (list, tuple, dict)) else value
        for name, value in given.items()
        if value is not None
    }


def _questions(file: File) -> list[dict[str, Any]]:
    """What a scenario's file asks, a question for each of its guests."""
    found = _work.ask({"ask": "scenario", "name": os.fspath(file), "toml": Path(file).read_text(encoding="utf-8")})
    return list(found["guests"])


def _one(file: File | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """The one question of a file and of keys that go over it, as JSON reads it."""
    questions = _questions(file) if file is not None else [{}]
    if len(questions) != 1:
        raise ValueError(f"{os.fspath(file or '')}: it takes one guest here, and the file has {len(questions)}")
    return {**questions[0], **{name: _json(value) for name, value in given.items() if value is not None}}


def _json(value: Any) -> Any:
    # NumPy's numbers and switches are Python's.
    return value.item() if hasattr(value, "item") else value


@overload
def predict(
    *,
    profile: File | None = None,
    manager: str | None = None,
    intervals: bool = True,
    page_seed: int | None = None,
    models: bool = False,
    **keys: Any,
) -> Prediction: ...


@overload
def predict(
    file: File | None,
    *,
    profile: File | None = None,
    manager: str | None = None,
    intervals: bool = True,
    page_seed: int | None = None,
    models: bool = False,
    **keys: Any,
) -> Any: ...


def predict(
    file: File | None = None,
    *,
    profile: File | None = None,
    manager: str | None = None,
    intervals: bool = True,
    page_seed: int | None = None,
    models: bool = False,
    **keys: Any,
) -> Any:
    """What comes of one migration; of a file with several guests, a list.

    `profile` is a shipped one's name (`migsim.profiles()`), a file or TOML, by default that of servers of the link's class; `manager`
    who runs it (libvirt, kubevirt, nova, proxmox). Without `intervals` it is some sixty times as fast. With `page_seed` every page and
    every write is followed. `models` puts the published ones beside it, in `to_dict()["models"]`.
    """
    questions = _questions(file) if file is not None else [{}]
    found = [
        Prediction(
            _native.predict(
                _keys({**question, **keys}),
                profile=_profile(profile),
                manager=manager,
                intervals=intervals,
                page_seed=page_seed,
                models=models,
            )
        )
        for question in questions
    ]
    return found[0] if len(found) == 1 else found


def predict_many(
    table: Any,
    *,
    profile: File | None = None,
    manager: str | None = None,
    intervals: bool = False,
    errors: str = "raise",
    ignore: Iterable[str] = (),
    progress: bool = True,
    **keys: Any,
) -> Any:
    """What comes of a migration for each row: a table of the same kind and length, of pandas with the same index.

    A column is a key of a scenario, as `predict` takes them; `keys` hold for all rows that say nothing else. Columns to be left alone
    are named by `ignore`. A row that cannot be is raised, or with `errors="keep"` told in the column `error`. The columns of the
    result are those of `migsim sweep --format csv`. Of Dask, each partition is a task.
    """
    if errors not in ("raise", "keep"):
        raise ValueError(f"errors: it takes raise or keep, not `{errors}`")
    if hasattr(table, "map_partitions"):
        given: dict[str, Any] = dict(profile=_profile(profile), manager=manager, intervals=intervals, errors=errors, ignore=tuple(ignore), **keys)
        meta = _many(table._meta, progress=False, **given)
        return table.map_partitions(_many, progress=False, meta=meta, **given)
    return _many(
        table, profile=profile, manager=manager, intervals=intervals, errors=errors, ignore=ignore, progress=progress, **keys
    )


def _many(
    table: Any,
    *,
    profile: File | None,
    manager: str | None,
    intervals: bool,
    errors: str,
    ignore: Iterable[str],
    progress: bool,
    **keys: Any,
) -> Any:
    kind = _frames.kind_of(table)
    asked = _frames.as_arrow(table)
    with _work.bar(progress, "migrations") as told:
        found, _ = _native.predict_many(
            asked,
            _keys(keys),
            ignore=list(ignore),
            profile=_profile(profile),
            manager=manager,
            intervals=intervals,
            keep_errors=errors == "keep",
            progress=told,
        )
    return _frames.from_arrow(found, kind, table if kind == "pandas" else None)


def sweep(
    vary: Union[str, Sequence[str], Mapping[str, Any]],
    file: File | None = None,
    *,
    profile: File | None = None,
    manager: str | None = None,
    intervals: bool = False,
    frame: str | None = None,
    progress: bool = True,
    **keys: Any,
) -> Any:
    """The same migration over ranges, as a table with a row for each point.

    `vary` is what `migsim sweep --vary` takes (`"rate=2000p/s..90000p/s:45"`, or several), or a mapping of keys to lists of values.
    """
    if isinstance(vary, Mapping):
        ranges = [f"{key}={','.join(str(value) for value in values)}" for key, values in vary.items()]
    else:
        ranges = [vary] if isinstance(vary, str) else list(vary)
    question = {"ask": "sweep", "question": _one(file, keys), "vary": ranges, "intervals": intervals}
    _, found = _work.parts({**question, **_hosts(profile, manager)}, _EACH, progress, "points")
    return _frames.from_rows((_point(row) for part in found for row in part["results"]), frame)


def _point(row: dict[str, Any]) -> dict[str, Any]:
    # What is varied has columns of its own.
    varied = row.pop("varied", {})
    return {**varied, **row}


def _hosts(profile: File | None, manager: str | None) -> dict[str, Any]:
    return {"profile": _profile(profile), "manager": manager}


def records(
    file: File,
    *,
    profile: File | None = "lab",
    manager: str | None = None,
    frame: str | None = None,
    progress: bool = True,
) -> Any:
    """Recorded runs, what was measured beside what is predicted (`pred_...`), as a table."""
    question = {"ask": "records", "name": os.fspath(file), "csv": Path(file).read_text(encoding="utf-8")}
    first, found = _work.parts({**question, **_hosts(profile, manager)}, _EACH, progress, "runs")
    if first["errors"]:
        raise ValueError("\n".join(first["errors"]))
    return _frames.from_rows((row for part in found for row in part["rows"]), frame)


def models(file: File | None = None, *, frame: str | None = None, **keys: Any) -> Any:
    """What published models say of a migration, as a table; without one, which models there are."""
    if file is None and not keys:
        return _frames.from_rows(_work.ask({"ask": "catalog"})["models"], frame)
    found = predict(file, models=True, intervals=False, **keys)
    if isinstance(found, list):
        raise ValueError(f"{os.fspath(file or '')}: it takes one guest here, and the file has {len(found)}")
    ours = {"model": "migsim", "converges": found.completed, "tmt_s": found.total_s, "downtime_s": found.downtime_s}
    theirs = ({"model": name, **one} for name, one in (found.to_dict()["models"] or {}).items())
    return _frames.from_rows([ours, *theirs], frame)


def keys(frame: str | None = None) -> Any:
    """The keys of a scenario: names, kinds and what they mean."""
    return _frames.from_rows(_work.ask({"ask": "catalog"})["keys"], frame)


def applications(frame: str | None = None) -> Any:
    """The applications that `app:NAME` stands for."""
    return _frames.from_rows(_work.ask({"ask": "catalog"})["applications"], frame)


def profiles(frame: str | None = None) -> Any:
    """The profiles that are shipped."""
    return _frames.from_rows(_work.ask({"ask": "catalog"})["profiles"], frame)


def profile(name: str) -> str:
    """A shipped profile, as TOML."""
    return _native.profile(name)


def fit(
    runs: Union[File, Sequence[File]],
    *,
    prior: File = "lab",
    name: str | None = None,
    seed: int = 1,
    refits: int = 31,
    progress: bool = True,
) -> str:
    """A profile fitted to recorded runs, as TOML: for `profile=`, or to be written to a file. It takes minutes."""
    files = [runs] if isinstance(runs, (str, os.PathLike)) else list(runs)
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    with _work.bar(progress, "fitting") as told:
        return _native.fit(
            files, prior=_profile(prior) or "lab", name=name, date=today, seed=seed, refits=refits, progress=told
        )


def validate(runs: Union[File, Sequence[File]], *, profile: File = "lab") -> dict[str, Any]:
    """How far a profile is off from recorded runs, as `migcal validate --format json` says it."""
    files = [runs] if isinstance(runs, (str, os.PathLike)) else list(runs)
    found: dict[str, Any] = json.loads(_native.validate(files, against=_profile(profile) or "lab", progress=None))
    return found


class Fleet:
    """What comes of moving a fleet."""

    def __init__(self, found: dict[str, Any]) -> None:
        self._found = found

    @property
    def totals(self) -> dict[str, Any]:
        """When the last guest arrives (`makespan_s`), downtimes, bytes, and who does not arrive."""
        return {name: value for name, value in self._found["answer"].items() if isinstance(value, (int, float))}

    @property
    def makespan_s(self) -> float:
        """When the last guest that arrives has arrived, s."""
        return float(self.totals["makespan_s"])

    @property
    def p_all_arrived(self) -> float | None:
        """The probability that all have arrived by the deadline; `None`: there is none."""
        deadline = self._found["answer"].get("deadline")
        return deadline and float(deadline["p_all_arrived"])

    @property
    def warnings(self) -> list[str]:
        """What was assumed, and what lies outside of the runs behind the profile."""
        return list(self._found["answer"]["warnings"])

    def moves(self, frame: str | None = None) -> Any:
        """Each guest's move, as a table."""
        return _frames.from_rows(self._found["answer"]["moves"], frame)

    def not_arrived(self, frame: str | None = None) -> Any:
        """Guests that do not arrive: why, and what would help."""
        return _frames.from_rows(self._found["answer"]["not_arrived_guests"], frame)

    def to_dict(self) -> dict[str, Any]:
        """All of it, as `migsim fleet --format json` prints it (schema `fleet`)."""
        answer: dict[str, Any] = self._found["answer"]
        return answer

    def __repr__(self) -> str:
        t = self.totals
        lost = f"; {t['not_arrived']} do not arrive" if t["not_arrived"] else ""
        sure = "" if self.p_all_arrived is None else f"; all by the deadline with {self.p_all_arrived:.0%}"
        name = self._found["answer"]["name"]
        return f"{name}: {t['arrived']} guests arrive within {_seconds(t['makespan_s'])}, down for {_seconds(t['downtime_s'])} in all{lost}{sure}"


def fleet(
    file: File,
    *,
    changes: str = "",
    profile: File | None = None,
    manager: str | None = None,
    replications: int = 0,
    deadline_s: float | None = None,
    seed: int = 1,
    progress: bool = True,
) -> Fleet:
    """Moves a fleet's guests as `migsim fleet` does. `changes` are what `--what-if` takes; a deadline is in seconds from the start."""
    if deadline_s is not None and not replications:
        replications = 200
    return Fleet(
        json.loads(_moved(file, changes, profile, manager, replications, deadline_s, seed, None, progress))
    )


def _moved(
    file: File,
    changes: str,
    profile: File | None,
    manager: str | None,
    replications: int,
    deadline_s: float | None,
    seed: int,
    row: str | None,
    progress: bool,
) -> str:
    with _work.bar(progress and replications > 0, "replications") as told:
        return _native.fleet(
            file,
            changes=changes,
            profile=_profile(profile),
            manager=manager,
            replications=replications,
            seed=seed,
            deadline_s=deadline_s,
            row=row,
            progress=told,
        )


def what_if(
    file: File,
    changes: Sequence[str],
    *,
    profile: File | None = None,
    manager: str | None = None,
    replications: int = 0,
    deadline_s: float | None = None,
    seed: int = 1,
    frame: str | None = None,
    progress: bool = True,
) -> Any:
    """A fleet as it is and with each change alone (`"at_once=4"`, `"mode=postcopy,order=largest"`), a row each."""
    rows = [
        json.loads(_moved(file, one, profile, manager, replications, deadline_s, seed, one or "as it is", progress))["row"]
        for one in ["", *changes]
    ]
    return _frames.from_rows(rows, frame)


def replications(
    file: File,
    which: Union[int, range],
    *,
    changes: str = "",
    profile: File | None = None,
    manager: str | None = None,
    seed: int = 1,
    frame: str | None = None,
    progress: bool = True,
) -> Any:
    """The totals of each replication, as a table.

    `which` are so many from the first on, or a range of them: put together, parts of a study are what one run gives, whatever machine
    has made which.
    """
    which = range(which) if isinstance(which, int) else which
    if which.step != 1:
        raise ValueError("which: it takes a range without steps")
    with _work.bar(progress, "replications") as told:
        found = _native.replications(
            file,
            changes=changes,
            profile=_profile(profile),
            manager=manager,
            first=which.start,
            last=which.stop,
            seed=seed,
            progress=told,
        )
    rows = [{"replication": number, **row} for number, row in zip(which, json.loads(found))]
    return _frames.from_rows(rows, frame)
