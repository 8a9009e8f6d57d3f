"""What happens while a project is up, as a line for people and as an object for programs."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.cli.results import MARKS, error_line, format_time
from flowbuilder.cli.tables import STATUS_COLOURS
from flowbuilder.cli.terminal import is_rich
from flowbuilder.core import values
from flowbuilder.runtime.views import iso

if TYPE_CHECKING:
    from flowbuilder.triggers.happenings import Happening

_WORDS: Final = {
    "ready": ("●", "32"),
    "loaded": ("+", "36"),
    "reloaded": ("↻", "36"),
    "removed": ("-", "2"),
    "broken": ("✗", "1;31"),
    "plugin": ("+", "36"),
    "fired": ("▶", "36"),
    "skipped": ("–", "2"),
    "refused": ("✗", "1;31"),
    "paused": ("‖", "35"),
    "resumed": ("▷", "35"),
    "warning": ("!", "33"),
    "stopping": ("■", "33"),
    "stopped": ("■", "33"),
}
"""The mark of each, and its colour."""


def as_object(happening: Happening) -> dict[str, Any]:
    """Return the object that `--json` prints; its shape is stable."""
    more = dict(happening.data)
    shown: dict[str, Any] = {"what": happening.what, "at": iso(happening.at)}
    for name in ("flow", "trigger", "run", "status"):
        if (value := getattr(happening, name)) is not None:
            shown[name] = value
    if happening.message:
        shown["message"] = happening.message
    if happening.what == "ended":
        result = more.pop("result", None)
        decoded = None if result is None else values.decode(result)
        shown["duration"] = round(happening.at - more.pop("started_at", happening.at), 6)
        shown["outputs" if happening.status == "succeeded" else "error"] = values.to_json(decoded)
    return {**shown, **more}


def line_of(happening: Happening) -> str:
    """Return a line, or several, for people."""
    clock = time.strftime("%H:%M:%S", time.localtime(happening.at))
    if happening.what == "ended":
        status = happening.status or ""
        mark, colour, words = MARKS.get(status, "·"), STATUS_COLOURS.get(status, ""), _end(happening)
    else:
        mark, colour = _WORDS.get(happening.what, ("·", ""))
        words = _said(happening)
    return f"{_coloured('2', clock)}  {_coloured(colour, f'{mark} {words}')}"


def _end(happening: Happening) -> str:
    took = format_time(max(happening.at - happening.data.get("started_at", happening.at), 0.0))
    text = f"{happening.flow} {happening.status} in {took}  run {happening.run}"
    result = happening.data.get("result")
    if happening.status != "failed" or result is None:
        return text
    return f"{text}\n            {error_line(values.decode(result))}"


def _said(happening: Happening) -> str:
    name = happening.trigger or happening.flow or ""
    message = happening.message
    match happening.what:
        case "fired":
            return f"{name} starts run {happening.run}"
        case "refused":
            return f"{name} cannot start: {message}  run {happening.run}"
        case "ready":
            return f"up: {message}"
        case "loaded" | "reloaded":
            triggers = happening.data.get("triggers") or ()
            with_them = f", triggers {', '.join(triggers)}" if triggers else ""
            warned = "".join(f"\n            {line}" for line in happening.data.get("warnings") or ())
            return f"{name} {happening.what} from {message}{with_them}{warned}"
        case "plugin":
            return f"plug-in {message}"
        case "broken":
            lines = str(happening.data.get("error", "")).splitlines()
            return f"{message}" + "".join(f"\n            {line}" for line in lines)
        case "stopping":
            return "stopping: nothing more is started; what has not ended soon is left for the next engine"
        case _:
            return " ".join(part for part in (name, happening.what, message and f"({message})") if part)


def _coloured(code: str, text: str) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if code and is_rich(sys.stderr) else text
