"""The flows that are measured: each depends on an input, so that nothing can be worked out before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.testing.flows import load_text

if TYPE_CHECKING:
    from pathlib import Path

    from flowbuilder import LoadedFlow

CODE = """
import asyncio


def step(value):
    return value + 1


async def later(value):
    await asyncio.sleep(0)
    return value + 1
"""


def pure_chain(folder: Path, length: int = 10, durability: str = "group") -> LoadedFlow:
    """Return a chain of pure tasks; its output is the input plus its length."""
    tasks = ['  t0: {type: set, with: "${{ inputs.n + 1 }}"}']
    tasks += [
        f'  t{i}: {{type: set, with: "${{{{ tasks.t{i - 1}.output + 1 }}}}"}}' for i in range(1, length)
    ]
    return _flow(folder, f"pure-{length}", tasks, f"tasks.t{length - 1}.output", durability)


def call_chain(folder: Path, length: int = 10) -> LoadedFlow:
    """Return a chain of Python functions with effect `write`."""
    (folder / "bench_steps.py").write_text(CODE)
    tasks = []
    for i in range(length):
        value = "inputs.n" if not i else f"tasks.t{i - 1}.output"
        tasks.append(
            f"  t{i}: {{type: python, executor: inline, "
            f'with: {{call: "bench_steps:step", args: {{value: "${{{{ {value} }}}}"}}}}}}'
        )
    return _flow(folder, f"calls-{length}", tasks, f"tasks.t{length - 1}.output")


def looping(folder: Path) -> LoadedFlow:
    """Return a loop that counts to `inputs.n`."""
    tasks = [
        '  count: {type: set, with: "${{ loop.state + 1 }}", '
        "repeat: {until: output >= inputs.n, max: none, state: 0}}"
    ]
    return _flow(folder, "looping", tasks, "tasks.count.output")


def looping_group(folder: Path) -> LoadedFlow:
    """Return a loop over a group of two pure tasks that counts to `inputs.n`."""
    tasks = [
        "  count:",
        "    type: group",
        "    tasks:",
        '      a: {type: set, with: "${{ loop.state.b + 1 }}"}',
        '      b: {type: set, with: "${{ tasks.a.output * 1 }}"}',
        '    outputs: {b: "${{ tasks.b.output }}"}',
        "    repeat: {until: output.b >= inputs.n, max: none, state: {b: 0}}",
    ]
    return _flow(folder, "looping-group", tasks, "tasks.count.output.b")


def async_fan(folder: Path, concurrency: int, durability: str = "group") -> LoadedFlow:
    """Return a fan-out over `inputs.n` elements of a function that suspends, and its join."""
    (folder / "bench_steps.py").write_text(CODE)
    tasks = [
        "  each:",
        '    for_each: "${{ range(inputs.n) }}"',
        f"    concurrency: {concurrency}",
        "    type: python",
        "    effect: read",
        '    with: {call: "bench_steps:later", args: {value: "${{ item }}"}}',
    ]
    return _flow(folder, "fan", tasks, "sum(tasks.each.output)", durability)


def pure_fan(folder: Path) -> LoadedFlow:
    """Return a fan-out over `inputs.n` elements of an expression, and its join."""
    tasks = [
        "  each:",
        '    for_each: "${{ range(inputs.n) }}"',
        "    type: set",
        '    with: "${{ item + 1 }}"',
    ]
    return _flow(folder, "pure-fan", tasks, "sum(tasks.each.output)")


def sleeper(folder: Path, seconds: str = "1s") -> LoadedFlow:
    """Return a flow that sleeps."""
    tasks = [f"  nap: {{type: sleep, with: {{for: {seconds}}}}}"]
    return _flow(folder, "sleeper", tasks, "inputs.n")


def waiter(folder: Path) -> LoadedFlow:
    """Return a flow that waits for an event of its own."""
    tasks = ["  hold: {type: wait, with: {event: tick, filter: event.payload.n == inputs.n}}"]
    return _flow(folder, "waiter", tasks, "tasks.hold.output.n")


def text_of(length: int) -> str:
    """Return the text of a flow of so many tasks, some of each kind."""
    lines = ["flow: large", "inputs: {n: {type: integer}}", "tasks:"]
    for i in range(length):
        before = "inputs.n" if not i else f"tasks.t{i - 1}.output"
        match i % 5:
            case 0 | 1:
                lines.append(f'  t{i}: {{type: set, with: "${{{{ {before} + {i} }}}}"}}')
            case 2:
                lines.append(
                    f'  t{i}: {{type: python, with: {{call: "m:f", args: {{a: "${{{{ {before} }}}}"}}}}, retry: 3}}'
                )
            case 3:
                lines.append(f'  t{i}: {{type: set, with: {{a: "${{{{ {before} }}}}", b: [1, 2, "x"]}}}}')
            case _:
                lines.append(f'  t{i}: {{type: set, if: "inputs.n > {i}", with: "${{{{ {before}.a }}}}"}}')
    lines.append(f'outputs: {{last: "${{{{ tasks.t{length - 1}.output }}}}"}}')
    return "\n".join(lines)


def _flow(folder: Path, name: str, tasks: list[str], output: str, durability: str = "group") -> LoadedFlow:
    lines = [f"flow: {name}", f"durability: {durability}", "inputs: {n: {type: integer}}", "tasks:", *tasks]
    lines.append(f'outputs: {{result: "${{{{ {output} }}}}"}}')
    return load_text("\n".join(lines) + "\n", folder)
