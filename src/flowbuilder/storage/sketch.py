"""What is known of a task's executions, small and mergeable.

Durations go into buckets that grow by a tenth: a quantile is right to within
5 %, two sketches merge by adding their counts, and a task whose durations
spread over six orders of magnitude has some 150 buckets.  When the counts
reach `_HORIZON` they are halved, so that what a task does now outweighs what
it did a year ago.
"""

from __future__ import annotations

from math import exp, log
from typing import TYPE_CHECKING

import msgspec

from flowbuilder.storage.api import TaskStatistics

if TYPE_CHECKING:
    from flowbuilder.storage.api import Statistic

_GROWTH = 1.1
_PER_LOG = 1 / log(_GROWTH)
_LOG = log(_GROWTH)
_SHORTEST = 1e-7
"""Seconds; what is shorter counts as this."""
_HORIZON = 20_000
_MAGNITUDE = 10.0
_NOTICEABLE = 1e-4
"""Seconds; no plan is changed by durations below this, however they move."""
_NOTICEABLE_BYTES = 1024.0


class Sketch(msgspec.Struct, array_like=True):
    """Counts of one task.  The encoded form is what the store keeps."""

    executions: int = 0
    failures: int = 0
    weight: float = 0.0
    """Executions that the sums and buckets stand for; halved with them."""
    output_bytes: float = 0.0
    items: float = 0.0
    buckets: dict[int, float] = {}
    basis: tuple[float, float] | None = None
    """(duration, output bytes) when the flow's epoch last changed."""

    def add(self, statistic: Statistic) -> None:
        """Count one execution."""
        self.executions += 1
        self.failures += statistic.failed
        self.weight += 1.0
        self.output_bytes += statistic.output_bytes
        self.items += statistic.items
        duration = statistic.duration
        bucket = int(log(duration) * _PER_LOG) if duration > _SHORTEST else -170
        buckets = self.buckets
        buckets[bucket] = buckets.get(bucket, 0.0) + 1.0

    def merge(self, other: Sketch) -> None:
        """Add the counts of another sketch of the same task."""
        self.executions += other.executions
        self.failures += other.failures
        self.weight += other.weight
        self.output_bytes += other.output_bytes
        self.items += other.items
        for bucket, count in other.buckets.items():
            self.buckets[bucket] = self.buckets.get(bucket, 0.0) + count
        while self.weight > _HORIZON:
            self._halve()

    def quantile(self, part: float) -> float:
        """Return the duration that `part` of the executions did not exceed, in seconds."""
        total = sum(self.buckets.values())
        wanted = part * total
        for bucket in sorted(self.buckets):
            wanted -= self.buckets[bucket]
            if wanted <= 0:
                # truncation rounds towards zero: below a second the bucket ends at its number
                return exp((bucket + (0.5 if bucket > 0 else -0.5 if bucket < 0 else 0.0)) * _LOG)
        return 0.0

    def summary(self) -> TaskStatistics:
        """Return what the planner asks for."""
        weight = self.weight or 1.0
        return TaskStatistics(
            executions=self.executions,
            failures=self.failures,
            duration_p50=self.quantile(0.5),
            duration_p95=self.quantile(0.95),
            output_bytes=self.output_bytes / weight,
            items=self.items / weight,
        )

    def rebase(self) -> bool:
        """Say whether the task differs by an order of magnitude from its basis, and make it the basis then."""
        summary = self.summary()
        now = (max(summary.duration_p50, _NOTICEABLE), max(summary.output_bytes, _NOTICEABLE_BYTES))
        if self.basis is not None and not any(
            new > _MAGNITUDE * old or new * _MAGNITUDE < old for new, old in zip(now, self.basis, strict=True)
        ):
            return False
        self.basis = now
        return True

    def _halve(self) -> None:
        self.weight /= 2
        self.output_bytes /= 2
        self.items /= 2
        self.buckets = {bucket: count / 2 for bucket, count in self.buckets.items() if count >= 0.5}


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Sketch).decode
"""Return the sketch whose encoded form this is."""
