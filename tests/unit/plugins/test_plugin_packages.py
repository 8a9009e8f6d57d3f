"""`flowbuilder plugins new`: a stranger installs, tests, checks and runs what it makes, without any network."""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from flowbuilder.cli.main import main
from flowbuilder.cli.plugin_template import files_of


def run(*words: str | Path, cwd: Path) -> str:
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("FLOWBUILDER", "PYTEST"))
    }
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env=environ,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stranger")
    run(sys.executable, "-m", "flowbuilder.cli.main", "plugins", "new", "word-count", cwd=folder)
    return folder / "flowbuilder-word-count"


def has_bdist_wheel(python: Path, folder: Path) -> bool:
    """Tell whether packages can be built: an old setuptools needs the package `wheel` for it, which is not installed."""
    code = (
        "import importlib.util as u; "
        "print(any(u.find_spec(name) for name in ('wheel', 'setuptools.command.bdist_wheel')))"
    )
    return run(python, "-c", code, cwd=folder).strip() == "True"


@pytest.fixture(scope="module")
def python(package: Path) -> Path:
    """Return the Python of a fresh environment that sees what is installed here, and has the package."""
    home = package.parent / "env"
    run(sys.executable, "-m", "venv", home, cwd=package.parent)
    found = home / "bin" / "python"
    site = run(found, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=package).strip()
    (Path(site) / "here.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    if has_bdist_wheel(found, package):
        pip = ("-m", "pip", "install", "-q", "--no-build-isolation", "--no-deps", "--no-index", "-e", ".")
        run(found, *pip, cwd=package)
    else:  # what pip does without that, by setuptools alone
        run(
            found,
            "-W",
            "ignore",
            "-c",
            "import setuptools; setuptools.setup()",
            "-q",
            "develop",
            "--no-deps",
            cwd=package,
        )
    return found


def test_the_package_is_installed_tested_and_checked_as_it_is(package: Path, python: Path) -> None:
    assert "3 passed" in run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=package)

    flowbuilder = (python, "-m", "flowbuilder.cli.main")
    assert run(*flowbuilder, "plugins", "check", "word-count", cwd=package) == "word-count: fine\n"
    listed = json.loads(run(*flowbuilder, "plugins", "list", "--json", cwd=package))["plugins"]
    assert [(each["name"], each["from"]) for each in listed] == [
        ("word-count", "flowbuilder-word-count 0.1.0")
    ]
    example = package / "src" / "flowbuilder_word_count" / "word_count.yaml"
    done = json.loads(run(*flowbuilder, "run", example, "--json", "-q", cwd=package.parent))
    assert done["outputs"] == {"words": 4, "longest": "quick"}


def test_what_it_makes_is_in_order(package: Path) -> None:
    run(sys.executable, "-m", "ruff", "check", "--isolated", ".", cwd=package)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("http", "comes with the engine"),
        ("My Type!", "write 'my-type'"),
        ("word-count", "is there already"),
        ("1st", "write 'st'"),
    ],
)
def test_a_name_that_will_not_do_is_refused(
    name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flowbuilder-word-count").mkdir()
    (tmp_path / "flowbuilder-word-count" / "mine.txt").touch()

    assert main(["plugins", "new", name]) == 2
    assert said in capsys.readouterr().err


def test_every_placeholder_is_filled_in() -> None:
    assert not [path for path, text in files_of("some_type-2").items() if "@" in path or "@type" in text]
