"""What each setting means: the docstrings of `runtime.config`, read from its source.

Python keeps no docstrings of fields; the source is the one place where they
stand, and `flowbuilder config`, the reference and a test all read them here.
"""

from __future__ import annotations

import ast
import functools
import inspect

from flowbuilder.runtime import config


@functools.cache
def _all() -> dict[str, str]:
    tree = ast.parse(inspect.getsource(config))
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    found: dict[str, str] = {}
    sections = {**config.SECTIONS, **{f"{name}.*": kind for name, kind in config.OPEN_SECTIONS.items()}}
    for section, kind in sections.items():
        field = ""
        for node in classes[kind.__name__].body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                field = node.target.id
            elif field and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                found[f"{section}.{field}"] = " ".join(str(node.value.value).split())
                field = ""
    return found


def describe(setting: str) -> str:
    """Return what a setting means: unit, default and consequence.

    Raises:
        KeyError: if there is no such setting.
    """
    section, _, rest = setting.partition(".")
    if section in config.OPEN_SECTIONS:
        setting = f"{section}.*.{rest.rpartition('.')[2]}"
    return _all()[setting]


def describe_section(section: str) -> str:
    """Return what a section is about, in one sentence."""
    kind = config.SECTIONS.get(section) or config.OPEN_SECTIONS[section]
    return (kind.__doc__ or "").strip()
