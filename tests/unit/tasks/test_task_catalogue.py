import subprocess
import sys

import jsonschema_rs
import pytest

from flowbuilder.core.catalogue import TaskSpec
from flowbuilder.tasks.catalogue import CATALOGUE

VALID = {
    "switch": {"cases": [{"when": True, "value": 1}], "default": None},
    "shell": {"command": "true", "cwd": "x", "stdin": "y", "ok_codes": [0, 1]},
    "script": {"language": "python", "code": "return 1", "args": {"a": 1}},
    "python": {"call": "module.sub:function", "args": [1]},
    "http": {"url": "http://h/", "auth": {"basic": {"username": "u"}}, "ok_statuses": [404, "2xx"]},
    "sleep": {"for": "10s"},
    "flow": {"path": "child.yaml", "inputs": {}, "wait": False},
    "group": {},
    "fail": {"message": "no", "kind": "order.invalid"},
    "log": {"message": "m", "level": "warning"},
    "assert": {"that": True, "message": "m"},
    "wait": {"event": "order.paid", "filter": True, "count": 2, "timeout": "1d", "window": "1h"},
    "emit": {"event": "order.paid", "payload": {"a": [1]}, "key": "k"},
    "approval": {
        "message": "m",
        "form": {},
        "assignees": ["a"],
        "escalation": {"after": "1h", "assignees": ["b"]},
    },
    "sql": {"connection": "shop", "query": "SELECT :a", "params": {"a": 1}, "fetch": "one"},
    "kv": {"set": "a", "value": 1, "ttl": "1h"},
    "file": {"write": "a.json", "content": {"a": 1}, "as": "json"},
    "email": {"connection": "mail", "to": ["a@b.c"], "attachments": ["a.pdf", {"content": "x", "name": "y"}]},
}
INVALID = {
    "switch": {"cases": []},
    "shell": {"command": "true", "shell": "zsh"},
    "script": {"language": "python"},
    "python": {"call": "a:b:c"},
    "http": {"url": "http://h/", "auth": {"basic": {"username": "u"}, "bearer": "t"}},
    "sleep": {"for": "1s", "until": "2026-01-01T00:00:00Z"},
    "flow": {"path": "x", "name": "y"},
    "group": {"tasks": {}},
    "fail": {"kind": "x"},
    "log": {"message": "m", "level": "loud"},
    "assert": {"message": "m"},
    "wait": {"event": "a", "signal": "b"},
    "emit": {"event": "a b"},
    "approval": {"message": "m", "quorum": 0},
    "sql": {"connection": "shop", "query": "SELECT 1", "fetch": "some"},
    "kv": {"get": "a", "set": "b"},
    "file": {"read": "a", "write": "b"},
    "email": {"connection": "mail", "to": "a@b.c", "subjct": "x"},
}


def test_the_catalogue_has_every_type_of_the_language() -> None:
    assert set(CATALOGUE) == {"set", *VALID}
    assert all(name == spec.name for name, spec in CATALOGUE.items())


@pytest.mark.parametrize("name", sorted(VALID))
def test_schemas_take_what_is_right_and_refuse_what_is_not(name: str) -> None:
    validator = jsonschema_rs.validator_for(dict(CATALOGUE[name].params))
    assert validator.is_valid(VALID[name])
    assert not validator.is_valid(INVALID[name])


@pytest.mark.parametrize("spec", CATALOGUE.values(), ids=lambda spec: spec.name)
def test_roles_and_effects_speak_of_parameters_that_exist(spec: TaskSpec) -> None:
    names = set(spec.params.get("properties", {}))
    assert set(spec.roles) <= names
    if spec.effect_by is not None:
        assert spec.effect_by[0] in names


def test_importing_the_catalogue_loads_no_implementation() -> None:
    code = (
        "import sys, flowbuilder.tasks.catalogue;"
        "print(sorted({'aiohttp', 'asyncio', 'pebble', 'subprocess'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
