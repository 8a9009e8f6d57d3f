"""The merge key of YAML: `<<: *defaults`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.compiler.nodes import Mapping, Node, Scalar, Sequence

if TYPE_CHECKING:
    from flowbuilder.compiler.findings import Findings
    from flowbuilder.compiler.read.source import Source


def merge_into(mapping: Mapping, key: Scalar, value: Node, source: Source, findings: Findings) -> None:
    """Add the pairs of one mapping, or of a list of them, that `mapping` does not have yet.

    Of several the first wins, and a key that is written beside `<<` wins over all,
    wherever it stands.
    """
    for each in value.items if type(value) is Sequence else [value]:
        if type(each) is Mapping:
            for name, pair in each.pairs.items():
                mapping.pairs.setdefault(name, pair)
        else:
            findings.error(
                "FB108",
                "'<<' merges a mapping, or a list of mappings",
                source.span(key.start, key.end),
                "write `<<: *name` with an anchor `&name` on a mapping; a key named so needs quotes",
            )
