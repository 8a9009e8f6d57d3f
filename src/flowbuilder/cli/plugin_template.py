"""What `flowbuilder plugins new` writes: a package that can be tested and published as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

FILES: Final[Mapping[str, str]] = {
    "pyproject.toml": """\
[build-system]
requires = ["setuptools>=61"]
build-backend = "setuptools.build_meta"

[project]
name = "@package@"
version = "0.1.0"
description = "The task type '@type@' for FlowBuilder."
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["flowbuilder"]

[project.optional-dependencies]
dev = ["pytest", "pytest-asyncio"]

[project.entry-points."flowbuilder.tasks"]
"@type@" = "@module@:@class@"

[tool.setuptools.packages.find]
where = ["src"]

[tool.setuptools.package-data]
@module@ = ["*.md", "*.yaml", "py.typed"]

[tool.pytest.ini_options]
testpaths = ["tests"]
asyncio_mode = "auto"
""",
    "README.md": """\
# @package@

The task type `@type@` for [FlowBuilder](src/@module@/@module_type@.md).

```sh
pip install -e '.[dev]'
pytest
flowbuilder plugins check @type@
flowbuilder run src/@module@/@module_type@.yaml
```

To publish it: put your name and a licence into `pyproject.toml`, then `python -m build` and `twine upload dist/*`.
""",
    "src/@module@/__init__.py": '''\
"""The task type `@type@` for FlowBuilder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbuilder import TaskFailed
from flowbuilder.core.catalogue import TaskSpec

if TYPE_CHECKING:
    from flowbuilder.tasks.api import Call

HERE = Path(__file__).parent


class @class@:
    """Counts the words of a text; put here what your task type does."""

    spec = TaskSpec(
        name="@type@",
        summary="Counts the words of a text.",
        params={
            "type": "object",
            "properties": {
                "text": {"type": "string", "description": "The text."},
                "at_least": {
                    "type": "integer",
                    "minimum": 0,
                    "default": 0,
                    "description": "Fail with the kind `@type@.short` below so many words.",
                },
            },
            "required": ["text"],
            "additionalProperties": False,
        },
        output={
            "type": "object",
            "properties": {
                "words": {"type": "integer", "description": "How many there are."},
                "longest": {"type": "string", "description": "The longest, the first of several."},
            },
            "required": ["words", "longest"],
        },
        effect="pure",
        icon="box",
    )
    docs = HERE / "@module_type@.md"
    example = HERE / "@module_type@.yaml"

    async def run(self, call: Call) -> dict[str, Any]:
        """Do one attempt.

        Raises:
            TaskFailed: with a kind of its own, when it cannot do what it was asked.
        """
        words = call.params["text"].split()
        if len(words) < call.params.get("at_least", 0):
            raise TaskFailed("@type@.short", f"the text has {len(words)} words", {"words": len(words)})
        call.log("info", f"{len(words)} words", None)
        return {"words": len(words), "longest": max(words, key=len, default="")}
''',
    "src/@module@/py.typed": "",
    "src/@module@/@module_type@.md": """\
# `@type@`

Counts the words of a text.

| parameter | meaning |
| --- | --- |
| `text` | the text |
| `at_least` | fail with the kind `@type@.short` below so many words; 0 unless given |

Its output is `{words, longest}`. Its effect is `pure`: it changes nothing, and may be repeated.

```yaml
tasks:
  count:
    type: @type@
    with: {text: "${{ inputs.text }}", at_least: 1}
```
""",
    "src/@module@/@module_type@.yaml": """\
# An example of the task type; `flowbuilder plugins check @type@` runs it.
flow: example-of-@flow@
inputs:
  text: {type: string, default: the quick brown fox}
tasks:
  count:
    type: @type@
    with: {text: "${{ inputs.text }}", at_least: 1}
outputs:
  words: ${{ tasks.count.output.words }}
  longest: ${{ tasks.count.output.longest }}
""",
    "tests/test_@module_type@.py": '''\
"""The task type `@type@` in flows that really run, in memory."""

from pathlib import Path

from flowbuilder.testing import check_task_type, run_flow

from @module@ import @class@

FLOW = """
flow: counting
inputs: {text: {type: string}, at_least: {type: integer, default: 0}}
tasks:
  count:
    type: @type@
    with: {text: "${{ inputs.text }}", at_least: "${{ inputs.at_least }}"}
outputs:
  words: ${{ tasks.count.output.words }}
  longest: ${{ tasks.count.output.longest }}
"""


async def test_words_are_counted() -> None:
    run = await run_flow(FLOW, {"text": "the quick brown fox"})

    assert run.outputs == {"words": 4, "longest": "quick"}


async def test_a_text_that_is_too_short_fails_with_a_kind_of_its_own() -> None:
    run = await run_flow(FLOW, {"text": "short", "at_least": 2})

    assert run.status == "failed"
    assert run.error is not None
    assert run.error["kind"] == "@type@.short"


async def test_it_is_described_and_its_example_runs() -> None:
    assert await check_task_type(@class@()) == []
    assert Path(@class@.docs).is_file()
''',
}
"""Files by path; `@…@` is filled in."""


def files_of(name: str) -> dict[str, str]:
    """Return the files of a package with one task type.

    Args:
        name: the type's: lower case letters, digits, `-` and `_`.
    """
    word = name.replace("-", "_")
    values = {
        "package": f"flowbuilder-{name.replace('_', '-')}",
        "module": f"flowbuilder_{word}",
        "module_type": word,
        "type": name,
        "flow": name,
        "class": "".join(part.capitalize() for part in word.split("_")),
    }
    return {_filled(path, values): _filled(text, values) for path, text in FILES.items()}


def _filled(text: str, values: Mapping[str, str]) -> str:
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text
