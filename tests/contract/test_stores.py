"""Every store keeps every promise of the protocol."""

from pathlib import Path

import pytest

from flowbuilder.storage.api import Store
from flowbuilder.storage.memory import MemoryStore
from flowbuilder.storage.sqlite import SqliteStore
from flowbuilder.testing.crashing_store import CrashingStore
from flowbuilder.testing.store_contract import StoreContract


class TestMemoryStore(StoreContract):
    def make(self) -> Store:
        return MemoryStore()

    def beside(self, store: Store) -> Store:
        assert isinstance(store, MemoryStore)
        return MemoryStore(store.place)

    def kill(self, store: Store) -> None:
        assert isinstance(store, MemoryStore)
        store.abandon()


class TestSqliteStore(StoreContract):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def make(self) -> Store:
        return SqliteStore(self.folder / "store.db")

    def beside(self, store: Store) -> Store:
        assert isinstance(store, SqliteStore)
        return SqliteStore(store.path)

    def kill(self, store: Store) -> None:
        assert isinstance(store, SqliteStore)
        store.abandon()


class TestCrashingStoreInMemory(StoreContract):
    """As long as it does not crash, it is a store like any other."""

    def make(self) -> Store:
        return CrashingStore(MemoryStore())

    def beside(self, store: Store) -> Store:
        assert isinstance(store, CrashingStore)
        assert isinstance(store.store, MemoryStore)
        return CrashingStore(MemoryStore(store.store.place))

    def kill(self, store: Store) -> None:
        assert isinstance(store, CrashingStore)
        store.abandon()


class TestSlowCrashingStoreOverSqlite(StoreContract):
    """Groups that go through a thread of their own keep every promise too."""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def make(self) -> Store:
        return CrashingStore(SqliteStore(self.folder / "store.db"), delay=lambda number: None)

    def beside(self, store: Store) -> Store:
        assert isinstance(store, CrashingStore)
        assert isinstance(store.store, SqliteStore)
        return CrashingStore(SqliteStore(store.store.path), delay=lambda number: None)

    def kill(self, store: Store) -> None:
        assert isinstance(store, CrashingStore)
        store.abandon()
