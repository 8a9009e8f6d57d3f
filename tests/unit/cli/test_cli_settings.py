"""Settings: three sources, one structure, and what is said about a wrong one."""

from pathlib import Path

import pytest

from flowbuilder.runtime.config import DEFAULT, SECTIONS, Config
from flowbuilder.runtime.project import find_project, secrets_path, store_path
from flowbuilder.runtime.settings import ConfigError, read_settings, setting_names, variable_of, written


def problems(project: Path, environ: dict[str, str] | None = None, **flags: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read_settings(project, environ or {}, flags)
    return [str(problem) for problem in caught.value.problems]


def test_without_sources_the_defaults_hold(tmp_path: Path) -> None:
    settings = read_settings(tmp_path, {})

    assert settings.config == DEFAULT
    assert settings.sources == {}


def test_variables_win_over_the_file_and_flags_over_both(tmp_path: Path) -> None:
    file = tmp_path / "flowbuilder.toml"
    file.write_text("[limits]\ntasks = 1\nlog_bytes = '1MB'\n[executors]\nhttp = 3\n")

    settings = read_settings(
        tmp_path,
        {"FLOWBUILDER_LIMITS__TASKS": "2", "FLOWBUILDER_EXECUTORS__HTTP": "4"},
        {"executors.http": 5},
    )

    limits, executors = settings.config.limits, settings.config.executors
    assert (limits.log_bytes, limits.tasks, executors.http) == (1_000_000, 2, 5)
    assert settings.sources == {
        "limits.log_bytes": str(file),
        "limits.tasks": "FLOWBUILDER_LIMITS__TASKS",
        "executors.http": "flag",
    }


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        ("FLOWBUILDER_STORE__RETENTION", "2d", 172_800.0),
        ("FLOWBUILDER_STORE__KEEP", "0", 0),
        ("FLOWBUILDER_LIMITS__OUTPUT_BYTES", "1GiB", 2**30),
        ("FLOWBUILDER_LIMITS__SOURCE_BYTES", "4096", 4096),
        ("FLOWBUILDER_ENGINE__UVLOOP", "false", False),
        ("FLOWBUILDER_STORE__PATH", "runs.db", "runs.db"),
    ],
)
def test_text_is_read_as_the_setting_wants_it(
    tmp_path: Path, variable: str, text: str, value: object
) -> None:
    config = read_settings(tmp_path, {variable: text}).config

    section, _, field = variable.removeprefix("FLOWBUILDER_").lower().partition("__")
    assert getattr(getattr(config, section), field) == value


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("[stor]\npath = 'x'", "there is no section 'stor'; did you mean 'store'?"),
        ("[zebra]", "sections are 'store', 'limits', 'executors', 'engine', 'secrets'"),
        ("store = 1", "'store' is a section: write '[store]'"),
        ("[limits]\ntask = 1", "there is no setting 'limits.task'; did you mean 'tasks'?"),
        ("[limits]\ntasks = 0", "'limits.tasks' cannot be 0: expected `int` >= 1"),
        ("[limits]\ntasks = 'many'", "'limits.tasks' cannot be 'many'"),
        ("[store]\nretention = 30", "a duration is a text with a unit"),
        ("[store]\nretention = '30'", "'30' has no unit: write '30s', '30m' or '30h'"),
        ("[limits]\nlog_bytes = '3 bushels'", "is no size"),
        ("[store\n", "it is no TOML"),
    ],
)
def test_a_wrong_file_is_told_what_to_write(tmp_path: Path, toml: str, message: str) -> None:
    (tmp_path / "flowbuilder.toml").write_text(toml)

    assert message in "\n".join(problems(tmp_path))


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ("FLOWBUILDER_LIMITS_TASKS", "did you mean 'FLOWBUILDER_LIMITS__TASKS'?"),
        ("FLOWBUILDER_LIMITS__TASK", "did you mean 'FLOWBUILDER_LIMITS__TASKS'?"),
        ("FLOWBUILDER_ZEBRA__X", "it is no setting"),
    ],
)
def test_a_variable_that_is_no_setting_is_refused(tmp_path: Path, variable: str, message: str) -> None:
    assert message in problems(tmp_path, {variable: "1"})[0]


def test_variables_that_mean_something_else_are_left_alone(tmp_path: Path) -> None:
    others = {"FLOWBUILDER_HOME": "x", "FLOWBUILDER_SECRET_A__B": "y", "FLOWBUILDER_IDEMPOTENCY_KEY": "z"}

    assert read_settings(tmp_path, others).sources == {}


def test_every_problem_of_every_source_is_reported_at_once(tmp_path: Path) -> None:
    (tmp_path / "flowbuilder.toml").write_text("[limits]\ntasks = 0\nsteps = 1\n")

    found = problems(tmp_path, {"FLOWBUILDER_STORE__RETENTION": "soon"})

    assert len(found) == 3


def test_every_setting_has_a_variable_and_a_docstring_with_its_default() -> None:
    import ast
    import inspect

    names = list(setting_names())
    assert len(names) == len({variable_of(name) for name in names})
    for kind in SECTIONS.values():
        body = ast.parse(inspect.getsource(kind)).body[0]
        assert isinstance(body, ast.ClassDef)
        texts = [node.value.value for node in body.body if isinstance(node, ast.Expr)]  # type: ignore[attr-defined]
        assert len(texts) == 1 + len(kind.__struct_fields__)
        assert all("Default: " in text for text in texts[1:])


def test_a_project_is_the_nearest_folder_with_a_mark(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "flowbuilder.toml").touch()
    assert find_project(inner) == tmp_path

    (tmp_path / "a" / ".flowbuilder").mkdir()
    assert find_project(inner) == tmp_path / "a"


def test_the_store_is_where_it_was_set_then_at_home_then_in_the_project(tmp_path: Path) -> None:
    home = tmp_path / "home"
    set_here = read_settings(tmp_path, {"FLOWBUILDER_STORE__PATH": "runs.db"}).config

    assert store_path(tmp_path, set_here, {"FLOWBUILDER_HOME": str(home)}) == tmp_path / "runs.db"
    assert store_path(tmp_path, Config(), {"FLOWBUILDER_HOME": str(home)}) == home / "flowbuilder.db"
    assert store_path(tmp_path, Config(), {}) == tmp_path / ".flowbuilder" / "flowbuilder.db"
    assert secrets_path(tmp_path, Config()) == tmp_path / ".flowbuilder" / "secrets.toml"


def test_every_value_is_shown_as_it_may_be_written() -> None:
    names = list(setting_names())
    shown = {
        name: written(name, getattr(getattr(DEFAULT, name.split(".")[0]), name.split(".")[1]))
        for name in names
    }
    flags = {name: text.strip('"') for name, text in shown.items()}

    assert read_settings(Path("nowhere"), {}, flags).config == DEFAULT
    assert (shown["limits.source_bytes"], shown["limits.log_bytes"], shown["store.path"]) == (
        "1MiB",
        "10MB",
        '""',
    )
