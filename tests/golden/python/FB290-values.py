import math

from flowbuilder import flow, task


@task
def keep(value, more=None):
    return value


@flow
def broken(day: str, factor: float = math.nan):
    return keep(day, more=[1, {"at": keep.fn}])
