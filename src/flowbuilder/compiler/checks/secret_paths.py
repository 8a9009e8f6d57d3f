"""Secrets stay whole: what is done to one must not show it in parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flowbuilder.compiler.checks.scopes import sites
from flowbuilder.compiler.expressions.references import Reference, mentions_secrets, references
from flowbuilder.compiler.expressions.tree import (
    Binary,
    Call,
    Choice,
    Const,
    Dict,
    Expr,
    Index,
    List,
    Member,
    Name,
    Text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowbuilder.compiler import ir
    from flowbuilder.compiler.checks.subject import Subject
    from flowbuilder.compiler.findings import Findings

_FUNCTIONS: Final = frozenset({"base64_encode", "urlencode", "sha256", "hmac_sha256", "raw"})
"""Functions that a secret may go through: what comes out is masked too, or tells nothing."""


def check_secret_paths(subject: Subject, findings: Findings) -> None:
    """Report secrets that go through anything but text, `+`, encoding and digests."""
    if not subject.flow.secrets:
        return
    tainted = secret_variables(subject.flow)
    for expr, scope in sites(subject.flow, subject.ctx.catalogue):
        if not scope.secrets:  # there it may not stand at all, which another check says
            continue
        for place in _wrong_paths(expr, tainted):
            for reference in references(place):
                if _is_secret(reference, tainted):
                    findings.error(
                        "FB232",
                        "a secret may not be taken apart or compared",
                        reference.span,
                        "it may go through text, `+`, base64_encode, urlencode, sha256 and hmac_sha256",
                    )


def _is_secret(reference: Reference, tainted: frozenset[str]) -> bool:
    """Tell whether one secret is meant; for all of them at once another check has words."""
    if not reference.path:
        return False
    return reference.root == "secrets" or (reference.root == "vars" and reference.path[0] in tainted)


def secret_variables(flow: ir.Flow) -> frozenset[str]:
    """Return the variables that hold secrets, directly or by way of others.

    Cost:
        O(n) in the size of all variables, however long their chains are.
    """
    if not flow.secrets:
        return frozenset()
    readers: dict[str, list[str]] = {}
    found: set[str] = set()
    for var in flow.vars:
        for reference in references(var.value):
            if reference.root == "secrets":
                found.add(var.name)
            elif reference.root == "vars" and reference.path:
                readers.setdefault(reference.path[0], []).append(var.name)
    spreading = list(found)
    while spreading:
        for reader in readers.get(spreading.pop(), ()):
            if reader not in found:
                found.add(reader)
                spreading.append(reader)
    return frozenset(found)


def _is_whole(expr: Member) -> bool:
    """Tell whether a chain of members ends at a secret or before one: `secrets.T`, `vars.login.user`."""
    names = 1
    node = expr.of
    while type(node) is Member:
        names += 1
        node = node.of
    return type(node) is Name and (node.id != "secrets" or names == 1)


def _wrong_paths(expr: Expr, tainted: frozenset[str]) -> Iterator[Expr]:
    """Yield the outermost parts of an expression that do to a secret what may not be done."""
    match expr:
        case Const() | Name():
            return
        case Member():
            if not _is_whole(expr) and mentions_secrets(expr, tainted):
                yield expr
            return
        case Text(parts=parts) | List(items=parts):
            inner = parts
        case Dict(items=pairs):
            for key, _ in pairs:
                if mentions_secrets(key, tainted):
                    yield key
            inner = tuple(value for _, value in pairs)
        case Binary(op="+", left=left, right=right):
            inner = (left, right)
        case Call(function=function, args=args, named=named) if function in _FUNCTIONS:
            inner = (*args, *(value for _, value in named))
        case Choice(condition=condition, then=then, otherwise=otherwise):
            if mentions_secrets(condition, tainted):
                yield condition
            inner = (then, otherwise)
        case Index(of=Name()):  # `secrets[x]`: the name check has words for it
            return
        case _:
            if mentions_secrets(expr, tainted):
                yield expr
            return
    for part in inner:
        yield from _wrong_paths(part, tainted)
