"""Shows on each page of a mistake what FlowBuilder says of the flow there: the message of this very release."""

from __future__ import annotations

import re
from typing import Any

from flowbuilder.compiler.limits import Limits
from flowbuilder.compiler.pipeline import compile_text
from flowbuilder.compiler.render import render_text
from flowbuilder.core.errors import FlowError
from flowbuilder.tasks.catalogue import CATALOGUE
from flowbuilder.tasks.registry import broken

PAGE = re.compile(r"^# FB\d{3}: ")
BLOCK = re.compile(r'```yaml(?: title="(.*)")?\n(.*?)```', re.DOTALL)
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
LIMITS = re.compile(r"# limits: (.*)\n")
BEHIND = "## How to put it right"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the message in front of how the mistake is put right."""
    return with_message(markdown) if PAGE.match(markdown) else markdown


def with_message(markdown: str) -> str:
    """Return a page of a mistake with the message that its flow gets."""
    texts = {title or "flow.yaml": text for title, text in BLOCK.findall(markdown)}
    python = PYTHON.search(markdown)
    said = message_in_python(python[1]) if python and "flow.yaml" not in texts else message(texts)
    shown = f"`flowbuilder validate` says:\n\n```text\n{said}```\n\n"
    return markdown.replace(BEHIND, shown + BEHIND)


def message(texts: dict[str, str]) -> str:
    """Return what is found in `flow.yaml` of some files, as a terminal shows it."""
    flow = texts["flow.yaml"]
    given = LIMITS.match(flow)
    limits = dict(pair.split("=") for pair in given[1].split()) if given else {}

    def resolve(path: str, _from_file: str) -> str:
        if path not in texts:
            raise FileNotFoundError(path)
        return texts[path]

    try:
        bounds = Limits(**{name: _bound(value) for name, value in limits.items()})
        found = compile_text(
            flow, "flow.yaml", catalogue=_catalogue(flow), resolve=resolve, limits=bounds
        ).diagnostics
    except FlowError as error:
        found = error.diagnostics
    return render_text(found, texts)


def _catalogue(flow: str) -> Any:
    """Return the task types, with one that cannot be used where the first line says so: `# broken: name: why`."""
    found = re.match(r"# broken: ([\w-]+): (.*)\n", flow)
    return CATALOGUE if found is None else {**CATALOGUE, found[1]: broken(found[1], found[2])}


def _bound(value: str) -> Any:
    return int(value) if value.isdecimal() else frozenset(value.split(","))


def message_in_python(code: str) -> str:
    """Return what is found in the flow `report` of a Python file, as a terminal shows it."""
    import importlib
    import os
    import tempfile

    from flowbuilder.sdk.load import load

    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            name = f"flows_{abs(hash(code))}"  # each page's module is another one
            with open(f"{name}.py", "w", encoding="utf-8") as file:
                file.write(code)
            importlib.invalidate_caches()
            try:
                found = load(f"{name}.py:report").diagnostics
            except FlowError as error:
                found = error.diagnostics
            texts = {each.at.file: code for each in found}
            return render_text(found, texts).replace(name, "flows")
        finally:
            os.chdir(before)
