"""Tables from and to whatever the caller has: pandas, polars, pyarrow, or lists of dictionaries."""

from __future__ import annotations

import json
from typing import Any, Iterable

KINDS = ("pandas", "polars", "arrow", "list")


def kind_of(table: Any) -> str:
    """Which library a table belongs to."""
    root = type(table).__module__.partition(".")[0]
    return {"pandas": "pandas", "polars": "polars", "pyarrow": "arrow"}.get(root, "arrow")


def as_arrow(table: Any) -> Any:
    """A table as Arrow hands it on, without its index."""
    if kind_of(table) == "pandas":
        import pyarrow

        return pyarrow.Table.from_pandas(table, preserve_index=False)
    if hasattr(table, "__arrow_c_stream__"):
        return table
    if isinstance(table, dict) or (isinstance(table, (list, tuple)) and all(isinstance(row, dict) for row in table)):
        import pyarrow

        return pyarrow.table(table) if isinstance(table, dict) else pyarrow.Table.from_pylist(list(table))
    raise TypeError(f"it takes a DataFrame of pandas or polars, an Arrow table or a list of dictionaries, not {type(table).__name__}")


def from_arrow(table: Any, kind: str, like: Any = None) -> Any:
    """An Arrow table as a table of that library; of pandas with the index of `like`."""
    if kind == "polars":
        import polars

        return polars.DataFrame(table)
    import pyarrow

    found = pyarrow.table(table)
    if kind == "arrow":
        return found
    if kind == "list":
        return found.to_pylist()
    frame = found.to_pandas()
    if like is not None:
        frame.index = like.index
    return frame


def default_kind() -> str:
    """pandas if it is there, or polars, or lists."""
    for name in ("pandas", "polars"):
        try:
            __import__(name)
        except ImportError:
            continue
        return name
    return "list"


def flat(row: dict[str, Any], before: str = "") -> dict[str, Any]:
    """Nested objects as columns with dots, as CSV has them; lists as JSON."""
    out: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, dict):
            out.update(flat(value, f"{before}{name}."))
        else:
            out[before + name] = json.dumps(value) if isinstance(value, list) else value
    return out


def from_rows(rows: Iterable[dict[str, Any]], kind: str | None = None) -> Any:
    """Rows as a table."""
    kind = kind or default_kind()
    rows = [flat(row) for row in rows]
    if kind == "pandas":
        import pandas

        return pandas.DataFrame(rows)
    if kind == "polars":
        import polars

        return polars.DataFrame(rows, infer_schema_length=None)
    if kind == "arrow":
        import pyarrow

        return pyarrow.Table.from_pylist(rows)
    if kind == "list":
        return rows
    raise ValueError(f"there is no kind of table `{kind}`; there are {', '.join(KINDS)}")
