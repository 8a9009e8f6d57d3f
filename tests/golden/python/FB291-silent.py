from flowbuilder import flow, task


@task
def find(name: str) -> dict | None:
    return None


@flow
def broken(name: str, limit: int | None = None):
    found = find(name)
    if found is not None:
        find("again")
    if limit is None:
        find("all")
    try:
        return find(name)
    except LookupError:
        return found
