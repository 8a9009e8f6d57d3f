from flowbuilder import flow, task


class Shop:
    @task
    def fetch(self, day: str) -> str:
        return day


@flow
def broken(day: str):
    return Shop().fetch(day)
