"""Where parameters are in SQL, where statements end, and whether they change anything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbuilder.core.errors import TaskFailed
from flowbuilder.core.sql import DIALECTS, Dialect, effect_of, split, tokens
from flowbuilder.tasks.databases.parameters import bind


def named(sql: str, dialect: Dialect = "postgres") -> list[str]:
    return [token.text for token in tokens(sql, dialect) if token.kind == "named"]


@pytest.mark.parametrize("dialect", DIALECTS)
@given(st.text(alphabet=st.sampled_from("ab1:?;'\"`[]$/*-#\\ \n%éE"), max_size=40))
def test_tokens_are_the_text_again_whatever_it_is(dialect: Dialect, sql: str) -> None:
    assert "".join(token.text for token in tokens(sql, dialect)) == sql


@pytest.mark.parametrize(
    ("sql", "wanted"),
    [
        ("SELECT :a, ':b', \":c\", -- :d\n :e /* :f /* :g */ :h */ , :i", [":a", ":e", ":i"]),
        ("SELECT x::int, a[1:n], :y::text", [":y"]),
        ("SELECT $$ :a $$, $t$ :b $$ :c $t$, :d", [":d"]),
        ("SELECT E'it\\' :a', :b", [":b"]),
        ("SELECT 'a\\', :b", [":b"]),
        ("SELECT 'it''s :a'':b', :c", [":c"]),
        ("SELECT a$b$ , :c", [":c"]),
        ("SELECT ':open", []),
    ],
)
def test_a_parameter_is_none_inside_of_what_is_quoted(sql: str, wanted: list[str]) -> None:
    assert named(sql) == wanted


def test_dialects_quote_in_ways_of_their_own() -> None:
    assert named("SELECT 'a\\' :x', :y", "mysql") == [":y"]
    assert named("SELECT 1 # :x\n, :y", "mysql") == [":y"]
    assert named("SELECT 1 --:x\n, :y", "mysql") == [":x", ":y"]
    assert named("SELECT 1 --:x\n, :y", "postgres") == [":y"]
    assert named("SELECT [:x], `:y`, :z", "sqlite") == [":z"]
    assert named("SELECT {'a':b}, :z", "duckdb") == [":z"]


def test_statements_end_where_the_database_ends_them() -> None:
    def texts(sql: str, dialect: Dialect = "sqlite") -> list[str]:
        return ["".join(token.text for token in statement) for statement in split(sql, dialect)]

    assert texts(" SELECT ';' ; -- ;\n ; SELECT 2 /* ; */;") == ["SELECT ';'", "SELECT 2"]
    trigger = (
        "CREATE TRIGGER t AFTER INSERT ON a BEGIN UPDATE b SET x = CASE WHEN 1 THEN 2 END; DELETE FROM c; END"
    )
    assert texts(f"{trigger}; SELECT 1") == [trigger, "SELECT 1"]
    body = "CREATE FUNCTION f() RETURNS int AS $$ BEGIN; RETURN 1; END; $$ LANGUAGE plpgsql"
    assert texts(f"{body}; SELECT 1", "postgres") == [body, "SELECT 1"]
    assert texts("BEGIN; SELECT 1; END") == ["BEGIN", "SELECT 1", "END"]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "-- a note\nselect * from t where a = 'DELETE'",
        "WITH a AS (SELECT 1) SELECT * FROM a",
        "(SELECT 1) UNION (SELECT 2)",
        "VALUES (1)",
        "SHOW TABLES",
        "EXPLAIN SELECT 1",
        "PRAGMA table_info(t)",
        "SELECT replace(a, 'x', 'y') FROM t",
        "SELECT 1; SELECT 2",
        'SELECT "update" FROM t',
    ],
)
def test_what_only_reads_is_seen(sql: str) -> None:
    assert effect_of(sql) == "read"


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO t VALUES (1)",
        "SELECT 1; DELETE FROM t",
        "WITH a AS (DELETE FROM t RETURNING *) SELECT * FROM a",
        "SELECT * INTO copy FROM t",
        "SELECT * FROM t FOR UPDATE",
        "EXPLAIN ANALYZE DELETE FROM t",
        "SELECT nextval('s')",
        "SELECT \"nextval\"('s')",
        "SELECT pg_advisory_lock(1)",
        "PRAGMA user_version = 3",
        "PRAGMA user_version(3)",
        "CALL p()",
        "DO $$ BEGIN END $$",
        "SELECT 'a\\'; DELETE FROM t; -- '",
        "SELECT 1 /*! ; DELETE FROM t */",
        "SELECT 1 -- '\n; DROP TABLE t --'",
        "COPY t TO '/tmp/x'",
        "",
        "-- nothing",
    ],
)
def test_what_may_change_something_writes(sql: str) -> None:
    assert effect_of(sql) == "write"


@pytest.mark.parametrize(
    ("query", "params", "says"),
    [
        ("SELECT :nmae", {"name": 1}, "did you mean ':name'?"),
        ("SELECT ?", {"a": 1}, "'params' is no list"),
        ("SELECT :a", [1], "no mapping"),
        ("SELECT ?, ?", [1], "more '?'"),
        ("SELECT 1", {"a": 1}, "does not ask for"),
        ("SELECT ?", [1, 2], "2 values"),
        ("SELECT $1", [1], "in place of '$1'"),
        ("BEGIN; SELECT 1", None, "one transaction already"),
        (" -- nothing ", None, "no statement"),
    ],
)
def test_parameters_that_do_not_fit_are_named(query: str, params: object, says: str) -> None:
    with pytest.raises(TaskFailed, match="input") as caught:
        bind(query, params, "sqlite", "qmark", transaction=True)  # type: ignore[arg-type]

    assert says in caught.value.message


def test_each_style_has_its_places() -> None:
    query = "SELECT :a, '100%', :b, :a"
    params = {"a": 1, "b": [2, 3]}

    assert bind(query, params, "postgres", "numeric", transaction=True)[0].text == "SELECT $1, '100%', $2, $1"
    assert bind(query, params, "mysql", "pyformat", transaction=True)[0].text == "SELECT %s, '100%%', %s, %s"
    found = bind("SELECT 1 IN (:b)", {"b": [2, 3]}, "sqlite", "qmark", transaction=True)[0]
    assert (found.text, list(found.values)) == ("SELECT 1 IN (?, ?)", [2, 3])
    assert bind("SELECT '%'", None, "mysql", "pyformat", transaction=True)[0].text == "SELECT '%'"
