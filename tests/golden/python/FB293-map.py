from flowbuilder import flow, map, task


@task
def keep(value):
    return value


@flow
def broken(values: list[int]):
    seen = []

    def each(value):
        seen.append(keep(value))
        return keep(seen[-1])

    map(each, values)
    return keep(seen[0])
