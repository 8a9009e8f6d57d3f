from flowbuilder import flow, task


@task
def keep(value: int, more: int) -> int:
    return value + more


@flow
def broken():
    return keep(1)
