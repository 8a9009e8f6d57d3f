"""What is in a file, as a value of a flow, and the other way round."""

from __future__ import annotations

import csv
import io
from typing import Any, Final

import msgspec

from flowbuilder.core.errors import TaskFailed
from flowbuilder.core.values import to_json
from flowbuilder.tasks.params import kind_of, written

SUFFIXES: Final = {".json": "json"}


def parse(data: bytes, format: str, encoding: str, name: str) -> Any:
    """Return what is in a file.

    Raises:
        TaskFailed: `file.format` if it is not of this format.
    """
    if format == "bytes":
        return data
    try:
        if format == "json":
            return msgspec.json.decode(data)
        text = data.decode(encoding)
        if format == "lines":
            return text.splitlines()
        if format == "csv":
            return _rows(text)
    except UnicodeDecodeError as error:
        raise TaskFailed(
            "file.format", f"'{name}' is no text in {encoding} (byte {error.start}): read it as `bytes`"
        ) from None
    except (msgspec.DecodeError, csv.Error, ValueError) as error:
        raise TaskFailed("file.format", f"'{name}' is no {format}: {error}") from None
    except LookupError:
        raise TaskFailed("input", f"there is no encoding '{encoding[:40]}'") from None
    return text


def _rows(text: str) -> list[dict[str, Any]]:
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    rows = []
    for row in reader:
        if None in row or None in row.values():
            raise ValueError(f"line {reader.line_num} has not as many fields as the first")
        rows.append(row)
    return rows


def render(content: Any, format: str | None, encoding: str) -> bytes:
    """Return the bytes of a file with this content."""
    if format is None:
        format = "bytes" if isinstance(content, bytes) else "text" if isinstance(content, str) else "json"
    try:
        match format:
            case "bytes":
                return content if isinstance(content, bytes) else written(content, "content").encode(encoding)
            case "json":
                return msgspec.json.format(msgspec.json.encode(to_json(content)), indent=2) + b"\n"
            case "lines":
                return "".join(f"{written(line, 'content')}\n" for line in _list(content)).encode(encoding)
            case "csv":
                return _written_rows(_list(content)).encode(encoding)
            case _:
                if isinstance(content, bytes):
                    return content
                return written(content, "content").encode(encoding)
    except UnicodeEncodeError:
        raise TaskFailed("input", f"'content' has characters that {encoding} has not") from None
    except LookupError:
        raise TaskFailed("input", f"there is no encoding '{encoding[:40]}'") from None


def _list(content: Any) -> list[Any]:
    if not isinstance(content, list):
        raise TaskFailed("input", f"'content' is a list, not {kind_of(content)}")
    return content


def _written_rows(rows: list[Any]) -> str:
    names: dict[str, None] = {}
    for row in rows:
        if not isinstance(row, dict):
            raise TaskFailed("input", "'content' is a list of mappings where it is written as csv")
        names.update(dict.fromkeys(row))
    into = io.StringIO(newline="")
    writer = csv.DictWriter(into, list(names), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: "" if value is None else written(value, name) for name, value in row.items()})
    return into.getvalue()
