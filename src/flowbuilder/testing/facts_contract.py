"""What a store promises of facts, as tests; part of `StoreContract`."""
# ruff: noqa: D102 - the name of a test is the sentence that would stand there

from __future__ import annotations

import threading

import pytest

from flowbuilder.storage.api import Fact, Forget, Keep
from flowbuilder.testing.store_under_test import NOON, PATIENCE, StoreUnderTest, commit


class FactsContract(StoreUnderTest):
    """What a store promises of facts."""

    def test_a_fact_comes_back_until_it_is_replaced_or_forgotten(self) -> None:
        with self.opened() as store:
            facts = store.facts()
            commit(store, Keep(Fact("cache", "a", b"1", NOON)))
            assert facts.get("cache", "a") == Fact("cache", "a", b"1", NOON)
            assert facts.get("cache", "b") is None
            assert facts.get("limit", "a") is None

            commit(store, Keep(Fact("cache", "a", b"2")))
            assert facts.get("cache", "a") == Fact("cache", "a", b"2")

            commit(store, Forget("cache", "a"), Forget("cache", "never"))
            assert facts.get("cache", "a") is None

    def test_the_last_word_of_a_group_holds(self) -> None:
        with self.opened() as store:
            commit(
                store,
                Keep(Fact("k", "a", b"1")),
                Forget("k", "a"),
                Keep(Fact("k", "b", b"1")),
                Keep(Fact("k", "b", b"2")),
                Forget("k", "c"),
                Keep(Fact("k", "c", b"3")),
            )

            assert [(fact.key, fact.value) for fact in store.facts().list("k")] == [("b", b"2"), ("c", b"3")]

    def test_facts_are_listed_by_prefix_in_pages_in_the_order_of_their_keys(self) -> None:
        keys = ["a/1", "a/2", "a/10", "b/1", "a", "a/\u00e9", "a/\U0001f600", "a/\uffee", "ab"]
        with self.opened() as store:
            commit(store, *[Keep(Fact("k", key, b"")) for key in keys])
            facts = store.facts()
            wanted = sorted((key for key in keys if key.startswith("a/")), key=str.encode)

            assert [fact.key for fact in facts.list("k", prefix="a/")] == wanted
            page = facts.list("k", prefix="a/", limit=2)
            rest = facts.list("k", prefix="a/", after=page[-1].key)
            assert [fact.key for fact in page + rest] == wanted
            assert facts.list("other") == []

    def test_several_facts_change_together_or_not_at_all(self) -> None:
        names = (("k", "a"), ("other", "b"))
        with self.opened() as store:
            facts = store.facts()
            commit(store, Keep(Fact("k", "a", b"1")))
            seen = []

            def change(before: tuple[Fact | None, ...]) -> tuple[Fact | None, ...]:
                seen.append(before)
                return (None, Fact("other", "b", b"2", NOON))

            facts.change_together(names, change)
            assert seen == [(Fact("k", "a", b"1"), None)]
            assert facts.get("k", "a") is None
            assert facts.get("other", "b") == Fact("other", "b", b"2", NOON)

            def refuse(before: tuple[Fact | None, ...]) -> tuple[Fact | None, ...]:
                raise ValueError("no")

            with pytest.raises(ValueError, match="no"):
                facts.change_together(names, refuse)
            assert facts.get("other", "b") == Fact("other", "b", b"2", NOON)

    def test_a_change_sees_what_is_there_and_is_durable(self) -> None:
        store = self.make()
        with self.opened(store) as opened:
            facts = opened.facts()
            made = facts.change("kv", "n", lambda old: Fact("kv", "n", b"0") if old is None else old)
            again = facts.change("kv", "n", lambda old: Fact("kv", "n", b"1" + (old.value if old else b"")))

            assert (made, again) == (Fact("kv", "n", b"0"), Fact("kv", "n", b"10"))
            with self.opened(self.beside(store), None) as other:
                assert other.facts().get("kv", "n") == again
            assert facts.change("kv", "n", lambda _: None) is None
            assert facts.get("kv", "n") is None

    def test_a_change_that_raises_changes_nothing(self) -> None:
        def refuse(_: Fact | None) -> Fact | None:
            raise LookupError("not so")

        with self.opened() as store:
            commit(store, Keep(Fact("kv", "n", b"1")))
            with pytest.raises(LookupError, match="not so"):
                store.facts().change("kv", "n", refuse)
            assert store.facts().get("kv", "n") == Fact("kv", "n", b"1")

    def test_no_change_is_lost_among_stores_that_change_at_once(self) -> None:
        store = self.make()
        with self.opened(store, "a"), self.opened(self.beside(store), "b") as other:

            def count(facts_of: object) -> None:
                for _ in range(25):
                    facts_of.facts().change(  # type: ignore[attr-defined]
                        "kv",
                        "n",
                        lambda old: Fact("kv", "n", str(int(old.value if old else b"0") + 1).encode()),
                    )

            threads = [threading.Thread(target=count, args=(each,)) for each in (store, other, store, other)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

            found = store.facts().get("kv", "n")
            assert found is not None
            assert found.value == b"100"

    def test_expired_facts_are_forgotten_when_that_is_asked_for(self) -> None:
        with self.opened() as store:
            facts = store.facts()
            commit(
                store,
                Keep(Fact("c", "old", b"", NOON)),
                Keep(Fact("c", "new", b"", NOON + 1)),
                Keep(Fact("c", "for good", b"")),
                Keep(Fact("d", "old", b"", NOON)),
            )

            assert facts.forget("c", expired_at=NOON) == 1
            assert [fact.key for fact in facts.list("c")] == ["for good", "new"]
            assert facts.forget("c", prefix="n") == 1
            assert facts.forget("c") == 1
            assert facts.list("c") == []
            assert len(facts.list("d")) == 1

    def test_engines_of_the_store_are_woken_when_that_is_asked_for(self) -> None:
        with self.opened() as store:
            woken = threading.Event()
            store.on_command(woken.set)
            with self.opened(self.beside(store), None) as reader:
                reader.facts().announce()
                assert woken.wait(PATIENCE)
