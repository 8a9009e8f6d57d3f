"""`kv`: small values that outlive runs, shared by all engines of a store.

They are facts of the kind `kv`, under `<namespace>/<key>`.  Beside the sum
that `add` makes it keeps, for a week, what it came to for this idempotency
key: an attempt that is made again after a crash finds it and adds nothing.
"""

from __future__ import annotations

import functools
import hashlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from flowbuilder.core import values
from flowbuilder.core.durations import parse_duration
from flowbuilder.core.errors import OutputError, TaskFailed
from flowbuilder.tasks.params import mapping, refuse
from flowbuilder.tasks.specs.kv import ADDED, KIND, KV, OPERATIONS

if TYPE_CHECKING:
    from flowbuilder.tasks.api import Call

REMEMBERED: Final = 7 * 86400.0
MOST_BYTES: Final = 1024 * 1024
"""A value beyond this belongs into a file or a database."""


class Fact(msgspec.Struct, frozen=True):
    """As `storage.api.Fact`: task types know the store only by its shape."""

    kind: str
    key: str
    value: bytes
    expires_at: float | None = None


class Kv:
    """Does one thing to one key; what it changed is on disk when `run` returns."""

    spec = KV

    async def run(self, call: Call) -> Any:
        """Do one attempt.

        Raises:
            TaskFailed: `kv.type` if `add` meets what is no number, `kv.size`, `input`.
        """
        params = mapping(call.params)
        asked = [name for name in OPERATIONS if name in params]
        if len(asked) != 1:
            raise TaskFailed("input", "a 'kv' task has one of " + ", ".join(OPERATIONS))
        operation = asked[0]
        key = params[operation]
        if not isinstance(key, str) or (not key and operation != "list"):
            refuse(operation, "a key", key)
        space = params.get("namespace") or call.namespace
        if not isinstance(space, str) or "/" in space:
            raise TaskFailed("input", "'namespace' is a text without '/'")
        work = functools.partial(getattr(_Kept(call, params), operation), f"{space}/{key}")
        return await call.services.in_thread(work)


class _Kept:
    """One call's view of what is kept; its methods block."""

    def __init__(self, call: Call, params: dict[str, Any]) -> None:
        self._call = call
        self._params = params
        self._facts = call.services.facts()
        self._now = call.services.clock.now()

    def get(self, key: str) -> Any:
        fact = self._facts.get(KIND, key)
        return self._value(fact) if self._holds(fact) else self._params.get("default")

    def list(self, prefix: str) -> dict[str, Any]:
        limit = self._params.get("limit", 1000)
        if type(limit) is not int or not 1 <= limit <= 10_000:
            refuse("limit", "a number from 1 to 10000", limit)
        space = len(prefix.partition("/")[0]) + 1
        found: dict[str, Any] = {}
        after = ""
        while len(found) < limit:
            page = self._facts.list(KIND, prefix=prefix, after=after, limit=1000)
            for fact in page:
                if self._holds(fact) and len(found) < limit:
                    found[fact.key[space:]] = self._value(fact)
            if len(page) < 1000:
                break
            after = page[-1].key
        return found

    def set(self, key: str) -> Any:
        value = self._params.get("value")
        fact = Fact(KIND, key, self._kept(key, value), self._expiry())
        self._facts.change(KIND, key, lambda _: fact)
        return value

    def delete(self, key: str) -> bool:
        had = False

        def change(before: Any) -> None:
            nonlocal had
            had = self._holds(before)

        self._facts.change(KIND, key, change)
        return had

    def add(self, key: str) -> Any:
        by = self._params.get("value", 1)
        if type(by) not in (int, float):
            refuse("value", "a number", by)
        once = hashlib.sha256(f"{key}\0{self._call.idempotency_key}".encode()).hexdigest()
        total: Any = None

        def change(before: Any) -> Any:
            nonlocal total
            kept, done = before
            if self._holds(done):
                total = self._value(done)
                return before
            old = self._value(kept) if self._holds(kept) else 0
            if type(old) not in (int, float):
                raise TaskFailed("kv.type", "'add' needs a number, and what is kept there is none")
            total = old + by
            expires = self._expiry()
            if expires is None and self._holds(kept):
                expires = kept.expires_at
            hidden = self._holds(kept) and values.is_sealed(kept.value)
            done = Fact(ADDED, once, self._kept(once, total, hidden), self._now + REMEMBERED)
            return (Fact(KIND, key, self._kept(key, total, hidden), expires), done)

        self._facts.change_together(((KIND, key), (ADDED, once)), change)
        return total

    def _kept(self, key: str, value: Any, hidden: bool = False) -> bytes:
        """Return a value as it is kept: encrypted by a sensitive task, or where it has been so."""
        encoded = self._encoded(value)
        if not (self._call.sensitive or hidden):
            return encoded
        sealed: bytes = self._call.services.seal(f"{KIND} {key}", encoded)
        return sealed

    def _value(self, fact: Any) -> Any:
        if not values.is_sealed(fact.value):
            return values.decode(fact.value)
        return values.decode(self._call.services.unseal(f"{KIND} {fact.key}", fact.value))

    def _holds(self, fact: Any) -> bool:
        return fact is not None and (fact.expires_at is None or fact.expires_at > self._now)

    def _expiry(self) -> float | None:
        ttl = self._params.get("ttl")
        if ttl is None:
            return None
        if isinstance(ttl, str):
            try:
                ttl = parse_duration(ttl)
            except ValueError as error:
                raise TaskFailed("input", f"'ttl': {error}") from None
        ttl = ttl.total_seconds() if hasattr(ttl, "total_seconds") else ttl
        if type(ttl) not in (int, float) or ttl <= 0:
            refuse("ttl", "a duration longer than nothing", ttl)
        return float(self._now + ttl)

    def _encoded(self, value: Any) -> bytes:
        try:
            encoded = values.encode(value)
        except OutputError as error:
            raise TaskFailed("kv.type", f"the value cannot be kept: {error}") from None
        if len(encoded) > MOST_BYTES:
            raise TaskFailed(
                "kv.size", f"a value of more than {MOST_BYTES:,} bytes belongs into a file or a database"
            )
        return encoded
