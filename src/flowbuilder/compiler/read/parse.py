"""From text to nodes, in one pass over libyaml's events.

Nodes are composed here and not by PyYAML: keys stay the text that was
written, the same key twice is an error, aliases share the node they name and
what they would expand to is counted, and no nesting, however deep, recurses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from yaml.cyaml import CParser  # type: ignore[attr-defined]  # the stubs leave it out
from yaml.error import MarkedYAMLError, YAMLError
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from yaml.reader import ReaderError

from flowbuilder.compiler.findings import Findings
from flowbuilder.compiler.nodes import Broken, Mapping, Node, Scalar, Sequence
from flowbuilder.compiler.read.merge import merge_into
from flowbuilder.compiler.read.quoting import mark_braces
from flowbuilder.compiler.read.trouble import explain, explain_character

if TYPE_CHECKING:
    from flowbuilder.compiler.limits import Limits
    from flowbuilder.compiler.read.source import Source

_TAG = "tag:yaml.org,2002:"
_TEXT_TAGS: Final = frozenset({"!", _TAG + "str"})
_PLAIN_TAGS: Final = frozenset({_TAG + name for name in ("int", "float", "bool", "null")})
_MOST_REREAD: Final = 8 * 1024 * 1024
"""Characters that are read again, in all, to find what is wrong behind lines that were put right."""
_CONTAINER_TAGS: Final = frozenset({_TAG + "map", _TAG + "seq", "!"})


def parse(source: Source, findings: Findings, limits: Limits) -> Node | None:
    """Return the node of the file's one document, or None with what is wrong in `findings`.

    Cost:
        O(n) in the text's length; about 2 µs a scalar.
    """
    if not _readable(source, findings, limits):
        return None
    rest = _MOST_REREAD
    while True:
        attempt = Findings()
        root, again = _read_once(source, attempt, limits)
        rest -= len(source.text)
        if not again or rest < 0:
            findings.extend(attempt.found)
            return root
        # what was found before the repaired line is found again
        findings.extend(attempt.found[-1:])


def _read_once(source: Source, findings: Findings, limits: Limits) -> tuple[Node | None, bool]:
    """Return the node, or None and whether a line was put right and reading again may find more."""
    root: Node | None = None
    try:
        root = _Reader(source, findings, limits).read(CParser(source.text))
    except _Stop:
        return None, False
    except MarkedYAMLError as error:
        return None, explain(error, source, findings)
    except ReaderError as error:
        explain_character(error, source, findings)
        return None, False
    except YAMLError as error:
        findings.error("FB101", f"this is no YAML: {error}"[:200], source.span(0, 1))
        return None, False
    if root is None:
        begin = "tests:" if source.file.endswith((".test.yaml", ".test.yml")) else "flow: my-flow"
        findings.error("FB112", "the file is empty", source.span(0, 1), f"begin with `{begin}`")
    return root, False


def _readable(source: Source, findings: Findings, limits: Limits) -> bool:
    text = source.text
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        findings.error("FB101", "half a surrogate pair is no character", source.span(error.start, error.end))
        return False
    if size > limits.source_bytes:
        findings.error(
            "FB109",
            f"the file has {size:,} bytes, more than {limits.source_bytes:,}",
            source.span(0, 1),
            "split it into sub-flows, or raise `limits.source_bytes`",
        )
        return False
    return True


class _Stop(Exception):
    """What is wrong was reported, and reading on would lead nowhere."""


class _Reader:
    """Composes the nodes of one file."""

    def __init__(self, source: Source, findings: Findings, limits: Limits) -> None:
        self.source = source
        self.findings = findings
        self.limits = limits
        self.anchors: dict[str, Node] = {}
        self.open: set[int] = set()
        """Identities of the containers that are not yet complete."""

    def read(self, parser: CParser) -> Node | None:
        """Return the first document's node; a second document is an error."""
        root: Node | None = None
        documents = 0
        while True:
            event: Any = parser.get_event()
            kind = type(event)
            if kind is DocumentStartEvent:
                documents += 1
                if documents > 1:
                    self._second_document(event)
                root = self._compose(parser)
            elif kind is StreamEndEvent:
                return root

    def _compose(self, parser: CParser) -> Node:
        """Return the document's node.  One loop with a stack of its own: depth costs no recursion."""
        next_event: Any = parser.get_event
        stack: list[tuple[Any, Scalar | None, bool]] = []
        inside: Any = None  # a mapping or list, or None at the root
        key: Scalar | None = None
        broken = False
        node: Node
        while True:
            event = next_event()
            kind = type(event)
            if kind is ScalarEvent:
                node = self._scalar(event)
            elif kind is MappingStartEvent or kind is SequenceStartEvent:
                stack.append((inside, key, broken))
                inside = self._start(event, kind is MappingStartEvent, len(stack))
                key, broken = None, False
                continue
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                node = self._end(inside, event, broken)
                inside, key, broken = stack.pop()
            elif kind is AliasEvent:
                node = self._alias(event)
            else:  # the end of a document that holds nothing
                return Scalar("", "", 0, 0)
            if inside is None:
                return node
            if type(inside) is Sequence:
                inside.items.append(node)
                inside.size += node.size
            elif key is None:
                if type(node) is Scalar:
                    key = node
                else:
                    self._no_key(node, event, inside)
                    key, broken = Scalar("", "", node.start, node.end), True
            else:
                self._pair(inside, key, node)
                key = None

    def _pair(self, mapping: Mapping, key: Scalar, value: Node) -> None:
        name = key.text
        mapping.size += value.size
        if name == "<<" and not key.style:
            merge_into(mapping, key, value, self.source, self.findings)
            self._count(mapping)
            return
        earlier = mapping.pairs.get(name)
        # a key that came in by a merge gives way to the one that is written
        if earlier is not None and earlier[0].start >= mapping.start and earlier[0] is not key:
            line = self.source.position(earlier[0].start)[0]
            self.findings.error(
                "FB105",
                f"the key '{name[:80]}' stands here a second time",
                self.source.span(key.start, key.end),
                f"it is first on line {line}; keep one of them",
            )
        elif "${{" in name:
            self.findings.error(
                "FB115",
                "a key takes no expression",
                self.source.span(key.start, key.end),
                'build the mapping in an expression: "${{ {inputs.name: 1} }}"',
            )
        mapping.pairs[name] = (key, value)

    def _scalar(self, event: Any) -> Node:
        node = Scalar(event.value, event.style or "", event.start_mark.index, event.end_mark.index)
        if event.tag is not None:
            if event.tag in _TEXT_TAGS:
                node.style = node.style or '"'
            elif event.tag in _PLAIN_TAGS:
                node.style = ""
            else:
                self._tag(event)
                return self._anchor(event, Broken(node.start, node.end))
        return self._anchor(event, node) if event.anchor is not None else node

    def _start(self, event: Any, mapping: bool, depth: int) -> Mapping | Sequence:
        start = event.start_mark.index
        if depth > self.limits.depth:
            self.findings.error(
                "FB109",
                f"lists and mappings are more than {self.limits.depth} deep",
                self.source.span(start, start + 1),
                "raise `limits.depth` if this is meant",
            )
            raise _Stop
        node = Mapping(start) if mapping else Sequence(start)
        if event.tag is not None and event.tag not in _CONTAINER_TAGS:
            self._tag(event)
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        self.open.add(id(node))
        return node

    def _end(self, node: Mapping | Sequence, event: Any, broken: bool) -> Node:
        self.open.discard(id(node))
        node.end = event.end_mark.index
        self._count(node)
        return Broken(node.start, node.end) if broken else node

    def _count(self, node: Mapping | Sequence) -> None:
        if node.size > self.limits.nodes:
            self.findings.error(
                "FB109",
                f"with its aliases written out this has more than {self.limits.nodes:,} nodes",
                self.source.span(node.start, node.start + 1),
                "raise `limits.nodes` if this is meant",
            )
            raise _Stop

    def _anchor(self, event: Any, node: Node) -> Node:
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        return node

    def _alias(self, event: Any) -> Node:
        start, end = event.start_mark.index, event.end_mark.index
        node = self.anchors.get(event.anchor)
        if node is None:
            self.findings.error(
                "FB108",
                f"there is no anchor '&{event.anchor}' before this alias",
                self.source.span(start, end),
                "a text that begins with `*` needs quotes",
            )
            return Broken(start, end)
        if id(node) in self.open:
            self.findings.error(
                "FB108",
                f"the alias '*{event.anchor}' stands inside of what it names",
                self.source.span(start, end),
            )
            return Broken(start, end)
        return node

    def _no_key(self, node: Node, event: Any, parent: Mapping) -> None:
        """Report a mapping or list where a key is due; `{{ x }}` is what people bring from other tools."""
        text, start = self.source.text, node.start
        at = self.source.span(start, node.end)
        if node.end < event.start_mark.index:  # an alias: the node stands elsewhere
            at = self.source.span(event.start_mark.index, event.end_mark.index)
        if text[start : start + 1] == "{" and start == parent.start + 1:
            whole = self.source.span(parent.start, node.end + 1)
            line, column = self.source.line(whole.line), whole.column - 1
            better = mark_braces(line, column)
            self.findings.error(
                "FB102",
                "'{{ … }}' is a mapping to YAML, not an expression",
                whole,
                f"did you mean: {better}" if better else "",
            )
        elif type(node) is not Broken:
            self.findings.error("FB106", "a key must be a text", at, "quote it if it is meant as a text")

    def _tag(self, event: Any) -> None:
        start = event.start_mark.index
        shown = self.source.text[start : start + 40].split()[0] if event.start_mark else ""
        self.findings.error(
            "FB107",
            f"tags such as '{shown}' have no meaning here",
            self.source.span(start, start + max(1, len(shown))),
            "write `not x` to negate; quote a text that begins with `!`",
        )

    def _second_document(self, event: Any) -> None:
        start = event.start_mark.index
        self.findings.error(
            "FB113",
            "a file holds one flow, and here a second document begins",
            self.source.span(start, start + 3),
            "put it into a file of its own",
        )
        raise _Stop
