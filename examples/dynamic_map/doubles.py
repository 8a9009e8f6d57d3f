"""What stands for commands in the tests of this flow."""


def many(given: dict) -> dict:
    return {"stdout": "\n".join(f"file-{number}.txt" for number in range(10_000))}
