from flowbuilder import flow, task


@task(retry=3, tiemout="10s", effect="read")
def fetch(day: str) -> str:
    return day


@flow
def broken(day: str):
    return fetch(day, id="first")
