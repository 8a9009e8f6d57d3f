from flowbuilder import flow, task


@task
def count(day: str) -> int:
    return len(day)


@flow
def broken(day: str):
    n = count(day)
    if n > 3:
        count("x")
