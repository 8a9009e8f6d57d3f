from flowbuilder import flow, task


@task
def fetch(day: str) -> str:
    return day


@flow
def broken(day: str):
    yield fetch(day)
