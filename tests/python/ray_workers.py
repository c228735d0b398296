"""Workers of one shared run under a real Ray with one node, with what the documentation says of restarts, signals and secrets.

Arguments: the address of the run, whose 200 jobs are pending; the folder of the images; a folder for Ray; the address of the API. The
environment has the token. Prints what each worker came to. Any broken promise ends it with an error.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import ray

import promptbatch
from promptbatch.ray import Worker, exit_code, work

LEDGER, OUT, RAY_FOLDER, API = sys.argv[1:]
FLAGS = ["-o", OUT, "--base-url", API, "-j", "8", "--in-doubt", "resubmit", "--resubmits", "20"]
TOKEN = os.environ["MODELSCOPE_API_KEY"]
# Workers that die are taken over after three seconds, and not after thirty.
ENV = {"PROMPTBATCH_TEST_SILENCE_MS": "3000"}


def status():
    """Returns the state of the run, as the server has it."""
    shown = subprocess.run(
        [promptbatch.find_program(), "status", LEDGER, "--json"], env={**os.environ, **ENV}, check=True, capture_output=True
    )
    return json.loads(shown.stdout)


def wait_until(what, is_true, seconds=60):
    """Waits until a condition holds. Returns what it returned."""
    end = time.monotonic() + seconds
    while not (value := is_true()):
        assert time.monotonic() < end, f"{seconds} s went by without: {what}: {status()}"
        time.sleep(0.1)
    return value


def when(is_true, act):
    """Acts on another thread as soon as a condition on the state of the run holds. Its failure fails the test, at `join`."""
    failures = []

    def wait_and_act():
        try:
            act(wait_until("the moment to act", lambda: (now := status()) and is_true(now) and now))
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=wait_and_act, daemon=True)
    thread.start()

    def join():
        thread.join(90)
        assert not thread.is_alive() and not failures, failures

    return join


def n_ended(state):
    return state["jobs"] - state["pending"] - state["running"]


def check_useless_restarts():
    """Goal: a worker that cannot work is not started again. Method: a run that is not there, which is exit code 2."""
    results = work(LEDGER + "_elsewhere", num_workers=2, args=FLAGS, env=ENV, num_cpus=0.5)
    assert [(result.returncode, result.n_restarts) for result in results] == [(2, 0)] * 2, results
    assert "error: " in "\n".join(results[0].last_lines), results
    assert exit_code(results) == 2


def check_secrets():
    """Goal: no secret gets into Ray by mistake."""
    with_password = LEDGER.replace("@", ":hunter2@", 1)
    for ledger, env in [(with_password, {}), (LEDGER + "&password=hunter2", {}), (LEDGER, {"MODELSCOPE_API_KEY": "hunter2"})]:
        try:
            work(ledger, num_workers=1, env=env)
        except ValueError as error:
            assert "hunter2" not in str(error), error
        else:
            raise AssertionError("a secret was taken")


def check_early_stop():
    """Goal: a worker that is stopped while its program starts does not work. Method: without Ray, a stop in that moment; a program that
    goes on finds no run, which is exit code 2."""

    async def stop_early():
        worker = Worker(["--ledger", LEDGER + "_elsewhere", *FLAGS], ENV, 0)
        run = asyncio.create_task(worker.run())
        await asyncio.sleep(0)
        await worker.stop()
        return await run

    assert asyncio.run(stop_early()).returncode == 137


def check_interrupt():
    """Goal: Ctrl-C lets all workers leave well. Method: SIGINT while two work and a third one finds no place; afterwards the server knows
    no worker."""
    join = when(lambda now: len(now["workers"]) == 2 and n_ended(now) >= 8, lambda _: os.kill(os.getpid(), signal.SIGINT))
    try:
        work(LEDGER, num_workers=3, args=FLAGS, env=ENV)
    except KeyboardInterrupt:
        pass
    else:
        raise AssertionError("the interrupt was lost")
    join()
    left = status()
    assert left["workers"] == [] and left["pending"] > 0, left


def fields(pid):
    """Returns the state of a process and the number of its parent; neither if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[:2]
    except FileNotFoundError:
        return "Z", None


def parent(pid):
    return int(fields(pid)[1])


def check_lost_actor(kill):
    """Goal: a worker leaves well although its actor is killed. Method: its process is gone, and the server knows no worker, as one that
    is silent stays on its list until another one takes it over."""
    actor = ray.remote(Worker).options(num_cpus=0.5).remote(["--ledger", LEDGER, *FLAGS], ENV, 0)
    actor.run.remote()
    before = n_ended(status())
    state = wait_until("jobs end", lambda: (now := status()) and now["workers"] and n_ended(now) > before and now)
    pid = state["workers"][0]["pid"]
    kill(actor, pid)
    wait_until("the program ends", lambda: fields(pid)[0] == "Z")
    assert status()["workers"] == [], status()


def check_restart():
    """Goal: a killed worker is started again, and the run ends. Method: kill -9 of one program, with tasks in flight."""
    before = n_ended(status())

    def kill(now):
        os.kill(max(now["workers"], key=lambda worker: worker["ended"])["pid"], signal.SIGKILL)

    join = when(lambda now: len(now["workers"]) == 2 and n_ended(now) >= before + 20, kill)
    results = work(LEDGER, num_workers=2, args=FLAGS, env=ENV, num_cpus=0.5, max_restarts=2)
    join()
    assert [result.returncode for result in results] == [0, 0], results
    assert sorted(result.n_restarts for result in results) == [0, 1], results
    assert exit_code(results) == 0
    state = status()
    assert (state["succeeded"], state["workers"]) == (200, []), state
    return results


def check_example():
    """Goal: the program in the documentation runs. Method: it joins the run, which is over, with the places of this test."""
    page = (Path(__file__).parents[2] / "docs/many-machines.md").read_text()
    example = page.split("## Ray", 1)[1].split("```python\n", 1)[1].split("```", 1)[0]
    places = {
        '"postgres://me@db.example/images?run=cats"': repr(LEDGER),
        "num_workers=8": "num_workers=2",
        'images="s3://bucket/cats"': f"out={OUT!r}",
        '["--rate", "60/m"]': repr(["--rate", "60/m", "--base-url", API]),
    }
    for shown, here in places.items():
        assert shown in example, shown
        example = example.replace(shown, here)
    try:
        exec(compile(example, "example", "exec"), {})
    except SystemExit as ended:
        assert ended.code == 0, ended.code
    else:
        raise AssertionError("the example has no exit code")


def check_logs():
    """Goal: the token is in no file of Ray. Method: look for it in all that Ray wrote."""
    files = [path for path in Path(RAY_FOLDER).rglob("*") if path.is_file()]
    assert len(files) > 5, files
    for path in files:
        assert TOKEN.encode() not in path.read_bytes(), path


os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
ray.init(num_cpus=2, include_dashboard=False, _temp_dir=RAY_FOLDER)
check_secrets()
check_early_stop()
check_useless_restarts()
check_interrupt()
check_lost_actor(lambda actor, _: ray.kill(actor))
check_lost_actor(lambda _, pid: os.kill(parent(parent(pid)), signal.SIGKILL))
for result in check_restart():
    print(result)
check_example()
ray.shutdown()
check_logs()
