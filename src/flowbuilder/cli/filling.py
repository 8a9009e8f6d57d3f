"""`flowbuilder backfill`: an engine, some runs at once, a line for each."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.cli import exits
from flowbuilder.cli.commands.schedules_next import moment_of
from flowbuilder.cli.flows import prepare
from flowbuilder.cli.parsing import UsageError, nearest
from flowbuilder.cli.profiles import named, profiles_of
from flowbuilder.cli.results import MARKS, as_json, format_time
from flowbuilder.cli.schedules import schedules_of
from flowbuilder.cli.terminal import data, say
from flowbuilder.cli.workspace import Workspace, workspace_at
from flowbuilder.core.errors import NotFound
from flowbuilder.runtime.plans import SUFFIXES
from flowbuilder.sdk.backfill import Filled, backfill, moments_between, planned
from flowbuilder.sdk.engine import Engine
from flowbuilder.sdk.load import is_python, load
from flowbuilder.sdk.loop import run_loop
from flowbuilder.triggers.armed import Armed
from flowbuilder.triggers.occasions import calendar_of

if TYPE_CHECKING:
    import argparse

_NAME: Final = "backfill"
_MOST: Final = 100_000
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


def fill(arguments: argparse.Namespace) -> int:
    """Start the runs of a range, and see them to their end.

    Raises:
        NotFound, FlowError, UsageError, StoreError.
    """
    workspace, armed = _armed(arguments)
    moments = _moments(arguments, armed)
    if arguments.reverse:
        moments.reverse()
    named(workspace, arguments.profile)
    if arguments.concurrency < 1:
        raise UsageError("--concurrency is 1 or more", _NAME)
    if not moments:
        say(f"{armed.name} has no moment in this range")
        return exits.DONE
    if arguments.dry_run:
        return _show_what_would_be(workspace, armed, moments, arguments)
    filling = _Filling(workspace, armed, moments, arguments)
    with contextlib.redirect_stdout(sys.stderr):
        done = run_loop(workspace.config, filling.run())
    return filling.conclude(done)


def _armed(arguments: argparse.Namespace) -> tuple[Workspace, Armed]:
    """Return the trigger that is meant: of a file, or of the flow with a name."""
    file = Path(arguments.flow)
    if arguments.trigger is None and "/" in arguments.flow and not file.exists():
        arguments.flow, _, arguments.trigger = arguments.flow.partition("/")  # as the other commands name it
    if is_python(arguments.flow):
        workspace, flow = prepare(file, arguments.store)
        of_flow = [Armed(flow.plan, trigger, str(flow.path)) for trigger in flow.plan.triggers]
    elif file.suffix in SUFFIXES or file.is_file():
        if not file.is_file():
            raise NotFound("file", str(file))
        workspace = workspace_at(file.parent, arguments.store)
        plan = load(file, workspace.config.limits.for_compiler()).plan
        of_flow = [Armed(plan, trigger, str(file)) for trigger in plan.triggers]
    else:
        workspace, schedules = schedules_of(arguments)
        listed = schedules.listed()
        of_flow = [one.armed for one in listed if one.armed.plan.name == arguments.flow]
        if not of_flow:
            names = {one.armed.plan.name for one in listed}
            hint = nearest(arguments.flow, names) or "no flow of this name here has triggers; give its file"
            raise NotFound("flow", arguments.flow, hint)
    timed = [one for one in of_flow if calendar_of(one.trigger) is not None]
    if arguments.trigger is not None:
        found = [one for one in of_flow if arguments.trigger in (one.trigger.name, one.name)]
        if not found:
            raise NotFound(
                "trigger", arguments.trigger, nearest(arguments.trigger, [o.trigger.name for o in of_flow])
            )
        return workspace, found[0]
    if not timed:
        raise UsageError(f"the flow '{arguments.flow}' has no trigger of moments (cron or every)", _NAME)
    if len(timed) > 1:
        known = ", ".join(one.trigger.name for one in timed)
        raise UsageError(f"say with --trigger which: several are there: {known}", _NAME)
    return workspace, timed[0]


def _moments(arguments: argparse.Namespace, armed: Armed) -> list[float]:
    zone = armed.trigger.timezone
    first, last = getattr(arguments, "from"), arguments.to
    if first is None:
        raise UsageError("say with --from where to begin", _NAME)
    start = moment_of(first, zone, "--from", _NAME)
    end = time.time()
    if last is not None:
        end = moment_of(last + "T23:59:59.999" if _DAY.fullmatch(last) else last, zone, "--to", _NAME)
    if end < start:
        what = "--to lies before --from" if last is not None else "--from lies in the future"
        raise UsageError(what, _NAME)
    moments = moments_between(armed, start, end)
    if len(moments) > _MOST:
        raise UsageError(f"there are {len(moments):,} moments in this range: more than {_MOST:,}", _NAME)
    return moments


def _show_what_would_be(
    workspace: Workspace, armed: Armed, moments: list[float], arguments: argparse.Namespace
) -> int:
    """Print the moments, those that have a run already with that, and start nothing."""
    found = planned(
        workspace.store,
        profiles_of(workspace),
        armed,
        moments,
        again=arguments.again,
        profile=arguments.profile,
    )
    if arguments.json:
        shown = [
            {"at": one.local, "starts": one.starts, "run_id": one.run, "status": one.status} for one in found
        ]
        data(as_json({"name": armed.name, "moments": shown}))
        return exits.DONE
    for one in found:
        has = (
            f"{MARKS.get(one.status or '', '·')} {one.status}  {one.run}" if one.run is not None else one.why
        )
        data(f"{one.local}  {has}".rstrip())
    if not arguments.quiet:
        start = sum(one.starts for one in found)
        there = sum(one.run is not None for one in found)
        rest = len(found) - sum(one.starts or one.run is not None for one in found)
        out = f", {rest} left out" if rest else ""
        say(f"{start} would be started, {there} have a run already{out}")
    return exits.DONE


class _Filling:
    """One backfill, from its first line to its last."""

    def __init__(
        self, workspace: Workspace, armed: Armed, moments: list[float], arguments: argparse.Namespace
    ) -> None:
        self._workspace = workspace
        self._armed = armed
        self._moments = moments
        self._arguments = arguments
        self._count = 0
        self._signals = 0
        self._stop = asyncio.Event()
        self._began = time.monotonic()

    async def run(self) -> list[Filled]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):  # Windows has no such handlers
                loop.add_signal_handler(number, self._on_signal)
        place, config, profile = self._workspace.store, self._workspace.config, self._arguments.profile
        async with Engine(place, config, recover=False, profile=profile) as engine:
            done = await backfill(
                engine,
                self._armed,
                self._moments,
                concurrency=self._arguments.concurrency,
                again=self._arguments.again,
                on=self._tell,
                stop=self._stop,
            )
            if self._stop.is_set():
                await engine.stop(self._workspace.config.engine.grace)
        return done

    def _on_signal(self) -> None:
        self._signals += 1
        if self._signals > 1:
            os._exit(exits.INTERRUPTED)
        say("stopping: nothing more is started; what runs has its time to end, and the same command goes on")
        self._stop.set()

    def _tell(self, filled: Filled) -> None:
        self._count += 1
        if self._arguments.quiet:
            return
        total = len(self._moments)
        mark = MARKS.get(filled.status or "", "–")
        took = "" if filled.duration is None else f" in {format_time(filled.duration)}"
        status = filled.status or "its condition does not hold"
        what = status if filled.came in ("started", "left out") else f"{filled.came}: {status}"
        count = f"[{self._count:>{len(str(total))}}/{total}]"
        say(f"{count} {filled.local}  {mark} {what}{took}  {filled.run or ''}".rstrip())

    def conclude(self, done: list[Filled]) -> int:
        """Say what came of all, and return the exit code."""
        failed = sum(one.status in ("failed", "cancelled") for one in done)
        new = sum(one.came == "started" for one in done)
        left = len(self._moments) - len(done)
        summary: dict[str, Any] = {
            "name": self._armed.name,
            "moments": len(self._moments),
            "started": new,
            "there": sum(one.came == "there" for one in done),
            "failed": failed,
            "left": left,
        }
        if self._arguments.json:
            runs = [
                {"at": o.local, "came": o.came, "run_id": o.run, "status": o.status}
                for o in sorted(done, key=lambda o: o.at)
            ]
            data(as_json({**summary, "runs": runs}))
        if not self._arguments.quiet:
            took = format_time(time.monotonic() - self._began)
            rest = f", {left} left: the same command goes on" if left else ""
            say(f"{new} runs started, {summary['there']} there before, {failed} failed, in {took}{rest}")
        if left:
            return exits.INTERRUPTED
        return exits.FAILED if failed else exits.DONE
