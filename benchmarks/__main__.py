"""Measure, print the table, and say what was not reached: `python -m benchmarks [NAME…] [--readme]`.

Each name is a module of this folder; without any, all are measured in turn,
each in a process of its own, so that none inherits the memory of another.
`--readme` puts the table into the README.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pickle
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.figure import Figure, shown

QUESTIONS = (
    "pure_tasks",
    "calls",
    "async_tasks",
    "rounds",
    "sleeping",
    "waiting",
    "compiling",
    "command",
    "idle",
    "schedules",
    "store",
    "growth",
    "limits",
)
"""The modules in the order of the table."""
_README = Path(__file__).resolve().parent.parent / "README.md"
_BEGIN, _END = "<!-- speed table: begin -->", "<!-- speed table: end -->"
_HEAD = "| what | measured | reach | aim | floor here | of the floor |\n| --- | --- | --- | --- | --- | --- |"


def main() -> int:
    """Measure what the command line asks for; 1 if a figure was not reached."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("questions", nargs="*", metavar="NAME", help=", ".join(QUESTIONS))
    parser.add_argument("--readme", action="store_true", help="put the table into the README")
    parser.add_argument("--folder", help="where to write; the disk there is what is measured")
    parser.add_argument("--into", help=argparse.SUPPRESS)
    args = parser.parse_args()
    unknown = [name for name in args.questions if name not in QUESTIONS]
    if unknown:
        parser.error(f"no such measurement: {', '.join(unknown)}; there are {', '.join(QUESTIONS)}")
    with tempfile.TemporaryDirectory(dir=args.folder or os.getcwd(), prefix=".benchmark-") as folder:
        if args.into:
            _measure_here(args.questions[0], Path(folder), args.into)
            return 0
        figures = [figure for name in args.questions or QUESTIONS for figure in _measure(name, folder)]
    table = "\n".join([_HEAD, *map(_line, figures)])
    print(f"\n{table}\n\n{_machine()}")
    missed = [figure for figure in figures if not figure.reached]
    for figure in missed:
        print(f"not reached: {figure.what}")
    if args.readme:
        _put_into_readme(f"{table}\n\n{_machine()}")
    return 1 if missed else 0


def _measure(name: str, folder: str) -> list[Figure]:
    """Measure one module in a process of its own."""
    print(f"{name} …", file=sys.stderr, flush=True)
    into = os.path.join(folder, "figures")
    command = [sys.executable, "-m", "benchmarks", name, "--into", into, "--folder", folder]
    subprocess.run(command, check=True)
    with open(into, "rb") as file:
        return pickle.load(file)  # type: ignore[no-any-return]


def _measure_here(name: str, folder: Path, into: str) -> None:
    figures = []
    for figure in importlib.import_module(f"benchmarks.{name}").measure(folder):
        print(
            f"  {figure.what}: {shown(figure.value, figure.unit)} {figure.note}", file=sys.stderr, flush=True
        )
        figures.append(figure)
    with open(into, "wb") as file:
        pickle.dump(figures, file)


def _line(figure: Figure) -> str:
    floor = "–" if not figure.floor else f"{shown(figure.floor, figure.unit)} ({figure.floor_name})"
    cells = (
        figure.what,
        f"**{shown(figure.value, figure.unit)}**",
        shown(figure.reach, figure.unit),
        shown(figure.aim, figure.unit),
        floor,
        figure.ratio(),
    )
    return f"| {' | '.join(cells)} |"


def _machine() -> str:
    cores = os.cpu_count()
    return (
        f"Measured by `make bench` on {cores} cores ({platform.machine()}, {platform.system()}), "
        f"Python {platform.python_version()}."
    )


def _put_into_readme(text: str) -> None:
    readme = _README.read_text()
    before, _, rest = readme.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    _README.write_text(f"{before}{_BEGIN}\n{text}\n{_END}{after}")


if __name__ == "__main__":
    sys.exit(main())
