from flowbuilder import flow, task


@task
def fetch(day: str) -> list:
    return [day]


@flow
def broken(day: str):
    return [fetch(each) for each in fetch(day)]
