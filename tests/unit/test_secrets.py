import os
import pickle
from pathlib import Path

import pytest

from flowbuilder.runtime.secrets import Secrets, SecretsMissing, SecretsUnreadable, pick


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "secrets.toml"
    path.touch(mode=0o600)
    return path


def test_the_environment_comes_before_the_file(file: Path) -> None:
    file.write_text('A = "from file"\nB = "b"\n')
    secrets = Secrets(file, {"FLOWBUILDER_SECRET_A": "from environment", "A": "not this"})
    assert dict(secrets) == {"A": "from environment", "B": "b"}
    assert len(secrets) == 2


def test_a_file_need_not_be_there(tmp_path: Path) -> None:
    assert dict(Secrets(tmp_path / "none.toml", {})) == {}
    assert dict(Secrets(None, {})) == {}


def test_all_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(SecretsMissing) as caught:
        pick({"A": "a", "EMPTY": ""}, ("A", "B", "EMPTY", "C"))
    assert caught.value.names == ("B", "EMPTY", "C")
    assert "FLOWBUILDER_SECRET_B" in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_what_is_there_is_picked_and_nothing_else() -> None:
    assert pick({"A": "a", "B": "b"}, ("B",)) == {"B": "b"}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_file_that_others_can_use_is_refused_when_it_is_needed(file: Path, mode: int) -> None:
    file.write_text('A = "a"\n')
    file.chmod(mode)
    secrets = Secrets(file, {"FLOWBUILDER_SECRET_B": "b"})
    assert pick(secrets, ("B",)) == {"B": "b"}
    with pytest.raises(SecretsUnreadable, match="chmod 600"):
        pick(secrets, ("A",))
    file.chmod(0o600)
    assert pick(secrets, ("A",)) == {"A": "a"}


@pytest.mark.parametrize("content", ['A = "hidden', "A = 12345678", "hidden", "[table]\nA = 'x'"])
def test_a_wrong_file_is_said_without_showing_what_is_in_it(file: Path, content: str) -> None:
    file.write_text(content)
    with pytest.raises(SecretsUnreadable) as caught:
        pick(Secrets(file, {}), ("A",))
    assert "hidden" not in str(caught.value)
    assert "12345678" not in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_file_that_is_no_text_is_said(file: Path) -> None:
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(SecretsUnreadable, match="UTF-8"):
        pick(Secrets(file, {}), ("A",))
    file.unlink()
    file.mkdir(mode=0o700)
    with pytest.raises(SecretsUnreadable, match="cannot be read"):
        pick(Secrets(file, {}), ("A",))


def test_a_value_that_was_replaced_holds_from_the_next_look(file: Path) -> None:
    secrets = Secrets(file, {})
    file.write_text('A = "old"\n')
    assert secrets["A"] == "old"
    file.write_text('A = "new"\n')
    os.utime(file, ns=(1, 1))
    assert secrets["A"] == "new"


def test_nothing_shows_a_value(file: Path) -> None:
    file.write_text('A = "hidden"\n')
    secrets = Secrets(file, {"FLOWBUILDER_SECRET_B": "hidden"})
    assert secrets["A"] == "hidden"
    assert "hidden" not in repr(secrets)
    with pytest.raises(KeyError) as caught:
        secrets["C"]
    assert "hidden" not in repr(caught.value)
