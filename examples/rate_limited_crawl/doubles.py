"""What stands for commands in the tests of this flow."""


def page(given: dict) -> dict:
    return {"stdout": f"page {given['args'][0]}\n"}
