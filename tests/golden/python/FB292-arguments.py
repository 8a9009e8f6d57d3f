from flowbuilder import flow, task


@task
def keep(value: int, *, more: int = 0) -> int:
    return value + more


@flow
def broken():
    return keep(1, mroe=2)
