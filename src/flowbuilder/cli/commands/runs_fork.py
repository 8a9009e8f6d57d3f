"""`flowbuilder runs fork`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.cli.command import JSON, PROFILE, QUIET, RUN, STORE, Command, Option

if TYPE_CHECKING:
    import argparse

COMMAND = Command(
    name="runs fork",
    summary="Start a run from where another has come to, with other inputs, outputs or an edited flow",
    description=(
        "The new run takes over the recorded outputs of all that need not be done again, and neither does nor "
        "undoes it. Done again are the tasks that are named, what has not ended well, what was undone, and all "
        "that follows these; without --from what reads the outputs that are set, and with inputs alone "
        "everything. It is a run of its own, with an id and idempotency keys of its own; the other one stays "
        "as it is."
    ),
    arguments=(RUN,),
    options=(
        Option(
            ("--from",),
            "Do this task again: fetch, build.compile inside a group, enrich[3] for one element of a map",
            "TASK",
            takes="task",
            repeated=True,
        ),
        Option(
            ("--set",),
            "inputs.NAME=VALUE or tasks.TASK.output=VALUE, also of a part: tasks.fetch.output.rows[0].id=7",
            "PATH=VALUE",
            repeated=True,
        ),
        Option(
            ("--flow",),
            "An edited version of the flow; what is taken over must have its place there",
            "FILE",
            takes="file",
        ),
        Option(("--key",), "Start at most one such run: the same key gives the same run again", "KEY"),
        Option(("--detach", "-d"), "Leave the run to a background engine as soon as its start is on disk"),
        PROFILE,
        STORE,
        JSON,
        QUIET,
    ),
    examples=(
        (
            "Again from one task on, with another input",
            "flowbuilder runs fork RUN --from report --set inputs.limit=10",
        ),
        (
            "Pass over what cannot be mended",
            "flowbuilder runs fork RUN --set 'tasks.fetch.output={\"rows\": []}'",
        ),
        ("Carry on with a mended flow", "flowbuilder runs fork RUN --flow flows/report.yaml"),
    ),
)


def run(arguments: argparse.Namespace) -> int:
    """Start the new run and drive it to its end, or leave it to a background engine."""
    from flowbuilder.cli.forking import Fork, run_forks, settings_of  # start-up time: help needs no engine
    from flowbuilder.cli.parsing import UsageError

    wanted = vars(arguments)
    if not (wanted["from"] or wanted["set"] or arguments.flow):
        raise UsageError(
            "say what is to be other: --from, --set or --flow", COMMAND.name, "`runs rerun` does all again"
        )
    inputs, outputs = settings_of(wanted["set"], COMMAND.name)
    fork = Fork(
        run=arguments.run,
        from_tasks=wanted["from"],
        inputs=inputs,
        outputs=outputs,
        flow=arguments.flow,
        key=arguments.key,
        profile=arguments.profile,
        is_fork=True,
    )
    return run_forks(arguments, [fork])
