"""Each execution of an effect carries a key: the same for all attempts of a task, another for each other task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder import Engine, load
from flowbuilder.testing.flows import finish

if TYPE_CHECKING:
    from pathlib import Path

    from flowbuilder.testing.fake_clock import FakeClock

FLOW = """
flow: keys
tasks:
  plain: {run: 'printf %s "$FLOWBUILDER_IDEMPOTENCY_KEY"'}
  own: {idempotency_key: "order-${{ 6 * 7 }}", run: 'printf %s "$FLOWBUILDER_IDEMPOTENCY_KEY"'}
  each: {for_each: {a: 1}, run: 'printf %s "$FLOWBUILDER_IDEMPOTENCY_KEY"'}
  listed: {for_each: [1, 2], run: 'printf %s "$FLOWBUILDER_IDEMPOTENCY_KEY"'}
  tried:
    retry: {attempts: 2, delay: 1s}
    run: 'printf "%s\\n" "$FLOWBUILDER_IDEMPOTENCY_KEY" >> tried; [ "$(wc -l < tried)" -eq 2 ]'
  group:
    type: group
    retry: {attempts: 2, delay: 1s}
    tasks:
      inner: {run: 'printf "%s\\n" "$FLOWBUILDER_IDEMPOTENCY_KEY" >> inner; [ "$(wc -l < inner)" -eq 2 ]'}
"""


async def test_it_is_made_of_the_run_and_the_path(tmp_path: Path, engine: Engine, clock: FakeClock) -> None:
    (tmp_path / "keys.yaml").write_text(FLOW)
    run = await engine.start(load(tmp_path / "keys.yaml"))
    await finish(engine, run, clock)
    view = await engine.show(run.id)
    assert view.status == "succeeded", view.error

    def key(path: str) -> str:
        return {**view.tasks, **view.elements}[path].output["stdout"]

    assert key("plain") == f"{run.id}/plain"
    assert key("own") == "order-42"
    assert key('each["a"]') == f'{run.id}/each["a"]'
    assert [key("listed[0]"), key("listed[1]")] == [f"{run.id}/listed[0]", f"{run.id}/listed[1]"]
    assert (tmp_path / "tried").read_text().splitlines() == [f"{run.id}/tried"] * 2
    assert (tmp_path / "inner").read_text().splitlines() == [
        f"{run.id}/group.inner",
        f"{run.id}/group#2.inner",
    ]


async def test_http_sends_it_as_a_header(engine: Engine, clock: FakeClock) -> None:
    from aiohttp import web

    from flowbuilder.testing.flows import load_text

    seen: list[str | None] = []

    async def take(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Idempotency-Key"))
        return web.Response(status=503 if len(seen) == 1 else 200)

    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        port = runner.addresses[0][1]
        flow = load_text(
            "flow: t\ntasks:\n  a: {type: http, retry: {attempts: 2, delay: 1s}, "
            f'with: {{method: POST, url: "http://127.0.0.1:{port}/"}}}}\n'
        )
        run = await engine.start(flow)
        await finish(engine, run, clock)
    finally:
        await runner.cleanup()

    assert seen == [f"{run.id}/a"] * 2
