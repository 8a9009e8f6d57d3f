"""From what a flow's function has stated to a plan; what is wrong is told at the Python line."""

from __future__ import annotations

import linecache
import os
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import msgspec

from flowbuilder.compiler.read.source import WrittenFrom
from flowbuilder.core.errors import FlowError
from flowbuilder.sdk.load import LoadedFlow
from flowbuilder.sdk.pyflows.problems import as_error

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowbuilder.core.diagnostics import Diagnostic
    from flowbuilder.runtime.plans import Plans
    from flowbuilder.sdk.pyflows.building import Built


def version_of(built: Built) -> tuple[Any, ...]:
    """Return what two builds have in common that are the same flow: their texts."""
    return (built.path, built.text, tuple((path, each.text) for path, each in built.sub_flows.items()))


def compile_built(built: Built, plans: Plans) -> LoadedFlow:
    """Return the flow, checked and planned.

    Raises:
        FlowError: with every finding, each at its place in Python.
    """
    texts = Texts(built)
    try:
        checked = plans.compile_text(built.text, built.path, texts.resolve, texts.written_from())
    except FlowError as error:
        raise as_error(_with(built.problems, texts.placed(error.diagnostics))) from None
    if built.problems:
        raise as_error(_with(built.problems, ()))
    found = texts.placed(checked.diagnostics)
    return LoadedFlow(
        Path(built.path),
        checked.flow,
        plans.of_checked(checked),
        found,
        texts_in_python(found) | dict(checked.sources),
    )


def _with(problems: Iterable[Diagnostic], found: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Return all findings in order; what follows from a problem, on the same line, is left out."""
    lines = {(each.at.file, each.at.line) for each in problems}
    further = [each for each in found if (each.at.file, each.at.line) not in lines]
    return sorted(
        dict.fromkeys([*problems, *further]), key=lambda each: (each.at.file, each.at.line, each.at.column)
    )


class Texts:
    """The texts of a flow and of those that it calls, and where each of their parts comes from."""

    def __init__(self, built: Built) -> None:
        self._built = {os.path.normpath(path): each for path, each in built.sub_flows.items()}
        self._built[os.path.normpath(built.path)] = built

    def resolve(self, path: str, from_file: str) -> str:
        """Return the text of a flow that another one calls."""
        file = os.path.normpath(str(PurePath(from_file).parent / path))
        built = self._built.get(file)
        if built is not None:
            return built.text
        from flowbuilder.runtime.plans import read_beside

        return read_beside(path, from_file)

    def written_from(self) -> dict[str, list[WrittenFrom]]:
        """Return where the parts of each text come from, by the name that a sub-flow is looked for by too."""
        return {
            path: [WrittenFrom(part.start, part.end, part.place.span()) for part in built.yaml.regions]
            for path, built in self._built.items()
        }

    def placed(self, found: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
        """Return findings at the places in Python that the text was made from."""
        return tuple(self._placed(each) for each in found)

    def _placed(self, found: Diagnostic) -> Diagnostic:
        built = self._built.get(os.path.normpath(found.at.file))
        if built is None:
            return found
        place = built.yaml.place_of(found.at.line, found.at.column) or built.flow.place
        return msgspec.structs.replace(found, at=place.span())


def texts_in_python(found: Iterable[Diagnostic]) -> dict[str, str]:
    """Return the sources that findings are about, by the file that they name."""
    return {each.at.file: "".join(linecache.getlines(each.at.file)) for each in found}
