"""Ctrl-C, a second Ctrl-C, SIGTERM, SIGKILL: and what is left to carry on."""

import json
import signal

from command_line import PATIENCE, Cli

SLOW = """
    flow: slow
    tasks:
      first: {run: echo first >> effects.txt}
      second:
        needs: [first]
        run: |
          trap 'echo ended >> effects.txt; exit 143' TERM
          echo started > began
          sleep 300 & wait
    finally:
      last: {run: echo finally >> effects.txt}
"""
STUBBORN = """
    flow: stubborn
    tasks:
      deaf:
        run: |
          trap '' TERM
          echo started > began
          while true; do sleep 1; done
    finally:
      last: {run: echo finally >> effects.txt}
"""


def began(cli: Cli) -> None:
    """Wait until the flow says that it has come to where it stays."""
    assert (cli.folder / "began").read_text() == "started\n"


def killed_run(cli: Cli) -> str:
    """Start a run, kill its engine half-way, and return the run's id."""
    cli.fifo("began")
    process = cli.start("run", cli.flow(SLOW))
    began(cli)
    process.kill()
    process.communicate(timeout=PATIENCE)
    run: str = cli.json("runs", "list", "--json")["runs"][0]["run_id"]
    return run


def test_the_first_interrupt_cancels_in_order(cli: Cli) -> None:
    cli.fifo("began")
    process = cli.start("run", cli.flow(SLOW), "--json")
    began(cli)

    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=PATIENCE)

    assert process.returncode == 130, stderr
    found = json.loads(stdout)
    assert found["status"] == "cancelled"
    assert found["tasks"]["second"]["status"] == "cancelled"
    assert (cli.folder / "effects.txt").read_text() == "first\nended\nfinally\n"


def test_the_second_interrupt_leaves_and_the_next_engine_completes_the_cancel(cli: Cli) -> None:
    cli.fifo("began")
    process = cli.start("run", cli.flow(STUBBORN))
    began(cli)

    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert "cancelling" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    resumed = cli("runs", "resume", "--all")

    assert process.returncode == 130
    assert resumed.returncode == 9, resumed.stderr
    assert cli.json("runs", "list", "--json")["runs"][0]["status"] == "cancelled"
    assert (cli.folder / "effects.txt").read_text() == "finally\n"


def test_a_killed_run_is_carried_on(cli: Cli) -> None:
    cli.fifo("began")
    flow = cli.flow(
        """
        flow: killed
        tasks:
          first: {run: echo first >> effects.txt}
          second:
            needs: [first]
            run: |
              if [ -e began ]; then echo started > began; sleep 300; fi
              echo second >> effects.txt
        """
    )
    process = cli.start("run", flow)
    began(cli)
    process.kill()
    process.communicate(timeout=PATIENCE)
    (cli.folder / "began").unlink()

    waiting = cli.json("runs", "list", "--json")["runs"][0]
    resumed = cli("runs", "resume", waiting["run_id"][:20])

    assert waiting["status"] == "running"
    assert resumed.returncode == 0, resumed.stderr
    assert (cli.folder / "effects.txt").read_text() == "first\nsecond\n"


def test_another_run_names_what_waits_and_leaves_it_alone(cli: Cli) -> None:
    left = killed_run(cli)

    done = cli("run", cli.flow("flow: other\ntasks:\n  a: {type: set, with: 1}\n", "other.yaml"))

    assert done.returncode == 0
    assert left in done.stderr
    assert "flowbuilder runs resume --all" in done.stderr
    assert "finally" not in (cli.folder / "effects.txt").read_text()


def test_a_cancel_by_somebody_else_exits_with_9(cli: Cli) -> None:
    cli.fifo("began")
    process = cli.start("run", cli.flow(SLOW), "--quiet")
    began(cli)
    run = cli.json("runs", "list", "--json")["runs"][0]["run_id"]

    asked = cli("runs", "cancel", run, "--reason", "wrong day")
    process.communicate(timeout=PATIENCE)

    assert asked.returncode == 0, asked.stderr
    assert process.returncode == 9
    assert cli.json("runs", "show", run, "--json")["error"]["message"] == "wrong day"


def test_a_cancel_of_a_run_that_nobody_drives_is_completed_at_once(cli: Cli) -> None:
    run = killed_run(cli)

    done = cli("runs", "cancel", run)

    assert f"run {run} is cancelled" in done.stderr
    assert (cli.folder / "effects.txt").read_text().endswith("finally\n")


def test_sigterm_leaves_what_does_not_end_for_recovery(cli: Cli) -> None:
    cli.fifo("began")
    (cli.folder / "flowbuilder.toml").write_text('[engine]\ngrace = "100ms"\n')
    process = cli.start("run", cli.flow(SLOW))
    began(cli)

    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=PATIENCE)

    assert process.returncode == 130, stderr
    assert cli.json("runs", "list", "--json")["runs"][0]["status"] == "running"
    assert "finally" not in (cli.folder / "effects.txt").read_text()
    assert "flowbuilder runs resume" in stderr


def test_an_interrupt_cancels_in_order_though_nobody_reads_what_is_said(cli: Cli) -> None:
    cli.fifo("began")
    process = cli.start("run", cli.flow(SLOW))
    began(cli)
    assert process.stderr is not None
    assert process.stdout is not None
    process.stderr.close()  # as of `2>&1 | tee`, which Ctrl-C ends too
    process.stdout.close()

    process.send_signal(signal.SIGINT)
    code = process.wait(timeout=PATIENCE)

    assert code == 130
    assert (cli.folder / "effects.txt").read_text() == "first\nended\nfinally\n"
