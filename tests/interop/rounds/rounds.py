#!/usr/bin/env python3
"""Round trips: zvecctl writes, zvec opens, asks, writes on, zvecctl reads and writes on, and so forth.

    rounds.py --list                    the names
    rounds.py NAME ZVECCTL FOLDER       makes the round trip NAME in FOLDER; what is wrong is printed, one line each, and the exit code is 1

Run with a Python that has zvec 0.8.0. A step of zvec runs in a process of its own, on a copy that is put back when it fails: zvec can
crash, and a query can wait for ever. Each is tried three times, and a line on stderr says so.
"""

import faulthandler
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

from both import FIXTURES, Zvec, Zvecctl, differences  # noqa: E402
from maker import boot, copy_sparse  # noqa: E402
from plans import ARCHIVES, PLANS, made  # noqa: E402

ATTEMPTS = 3
PATIENCE = 150
MOST = 12


def zvec_step(name, number, folder):
    """What the process of a step of zvec does."""
    import ask

    number, folder = int(number), Path(folder)
    faulthandler.enable()
    zvec = boot()
    plan = made(name, folder)
    step, before = plan.steps[number], plan.steps[number - 1]
    wrong = []

    def look(state, built, stage):
        found = subject.documents(state["ids"])
        right = {**state, "live": twin.documents(state["ids"])} if plan.as_twin else state
        faults = differences(plan, right, found)
        faults += ask.check_all(zvec, plan, state, subject.collection, twin and twin.collection, built)
        wrong.extend(f"step {number}, {stage}: {fault}" for fault in faults)

    subject = Zvec(zvec, folder / "collection", plan)
    twin = None
    if plan.twin:
        first = not (folder / "twin").exists()
        if first:
            Zvec(zvec, folder / "new", plan, create=True).close()
        twin = Zvec(zvec, folder / "twin", plan, create=first)
        for done in plan.steps[number - 1 : number]:
            twin.apply(done["operations"])
    built = any(verb == "optimize" for done in plan.steps[:number] for verb, _ in done["operations"])
    look(before, built, "as zvecctl left it")
    if not wrong:
        for writer in filter(None, (subject, twin)):
            writer.apply(step["operations"])
        built = built or any(verb == "optimize" for verb, _ in step["operations"])
        look(step, built, "written on by zvec")
    for writer in filter(None, (twin, None if step.get("kill") else subject)):
        writer.close()
    (folder / "wrong.json").write_text(json.dumps(wrong), encoding="utf-8")
    if step.get("kill"):
        os.kill(os.getpid(), signal.SIGKILL)
    sys.stdout.flush()
    os._exit(0)


def copy(source, target):
    shutil.rmtree(target, ignore_errors=True)
    if source.exists():
        shutil.copytree(source, target, copy_function=copy_sparse)


def in_process(arguments, expected):
    """None, or how it ended."""
    command = [sys.executable, __file__, *map(str, arguments)]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return f"no end after {PATIENCE} s"
    if done.returncode == expected:
        return None
    said = " | ".join(line.strip() for line in done.stdout.decode(errors="replace").splitlines() if line.strip("^ "))
    # A crash tells where at the beginning, an exception at the end.
    return f"ended with {done.returncode}: {said if len(said) < 1500 else said[:700] + ' … ' + said[-700:]}"


def try_zvec(name, number, folder, kill):
    """What is wrong after a step of zvec."""
    parts = ("collection", "twin")
    for part in parts:
        copy(folder / part, folder / "saved" / part)
    for attempt in range(1, ATTEMPTS + 1):
        shutil.rmtree(folder / "new", ignore_errors=True)
        (folder / "wrong.json").unlink(missing_ok=True)
        ended = in_process(["--zvec-step", name, number, folder], -signal.SIGKILL if kill else 0)
        if ended is None:
            return json.loads((folder / "wrong.json").read_text(encoding="utf-8"))
        print(f"{name}: attempt {attempt} at step {number} failed: {ended}", file=sys.stderr)
        for part in parts:
            shutil.rmtree(folder / part, ignore_errors=True)
            copy(folder / "saved" / part, folder / part)
    return [f"step {number}: zvec failed {ATTEMPTS} times: {ended}"]


def zvecctl_step(plan, number, ours):
    step = plan.steps[number]
    wrong = []

    def look(state, stage):
        faults = differences(plan, state, ours.documents(plan))
        # A killed process has made files of the block that it was writing.
        faults += [] if plan.old else ours.strangers(*(["writing"] if state.get("kill") else []))
        wrong.extend(f"step {number}, {stage}: {fault}" for fault in faults)

    if number:
        look(plan.steps[number - 1], "as zvec left it")
    ours.apply(plan, step["operations"])
    look(step, "written on by zvecctl")
    return wrong


def beside_new(plan, program, folder):
    """How an empty collection of ours differs from one of zvec."""
    ours, own = Zvecctl(program, folder / "ours", folder), Zvecctl(program, folder / "new", folder)
    ours.create(plan)
    found = json.loads(ours.run("manifest", "diff", own.path, ours.path, expect=(0, 1)))["data"]
    size = plan.schema["max_doc_count_per_segment"]
    # zvec's Python cannot set it.
    wrong = [str(change) for change in found["changes"] if not (size < 1000 and "max_doc_count_per_segment" in str(change))]
    if ours.roles() != own.roles():
        wrong.append(f"files {ours.roles()}, zvec has {own.roles()}")
    return [f"a new collection, beside zvec's: {fault}" for fault in wrong]


def unpack(archive, folder, ours):
    """An archived collection and its schema file."""
    with tarfile.open(FIXTURES / f"{archive}.tar.gz") as tar:
        tar.extractall(folder, filter="data")
    schema = json.loads(ours.run("schema", "show", ours.path, expect=(0, 1)))
    (folder / "schema.json").write_text(json.dumps(schema["data"]), encoding="utf-8")


def run(name, program, folder):
    folder = Path(folder).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    ours = Zvecctl(program, folder / "collection", folder)
    if name in ARCHIVES:
        unpack(ARCHIVES[name], folder, ours)
    plan = made(name, folder)
    for number, step in enumerate(plan.steps):
        if step["by"] == "zvecctl":
            wrong = zvecctl_step(plan, number, ours)
        else:
            wrong = try_zvec(name, number, folder, step.get("kill"))
            if plan.twin and number == 1:
                wrong += beside_new(plan, program, folder)
        if wrong:
            print(*wrong[:MOST], f"({len(wrong)} in all)" if len(wrong) > MOST else "", sep="\n")
            sys.exit(1)


def main():
    if sys.argv[1] == "--list":
        print(json.dumps(list(PLANS)))
    elif sys.argv[1] == "--zvec-step":
        zvec_step(*sys.argv[2:])
    else:
        run(*sys.argv[1:])


if __name__ == "__main__":
    main()
