#!/usr/bin/env python3
"""The real zvec, for benches/full_disk. Run with a Python that has it.

    full_disk_side.py fill COLLECTION FREE    300 documents, flushed; then fills the file system up to FREE bytes, inserts up to 600 more, flushes, optimizes, flushes.
                                              Prints the numbers of the documents that zvec said it had inserted, and what failed; ends as if killed
    full_disk_side.py look COLLECTION N...    opens it: how many of these documents are there, and as they were
    full_disk_side.py extend COLLECTION N...  the same, then inserts, flushes, optimizes

Opening rewrites files: give it a copy.
"""

import json
import os
import random
import sys

import zvec

FLUSHED, MORE, DIMENSION = 300, 600, 64


def schema():
    vector = zvec.HnswIndexParam(metric_type=zvec.MetricType.L2, m=8, ef_construction=40)
    return zvec.CollectionSchema(
        "full",
        fields=[zvec.FieldSchema("n", zvec.DataType.INT32, index_param=zvec.InvertIndexParam()), zvec.FieldSchema("title", zvec.DataType.STRING, nullable=True)],
        vectors=[zvec.VectorSchema("v", zvec.DataType.VECTOR_FP32, DIMENSION, vector)],
    )


def document(number):
    rng = random.Random(number)
    vector = [round(rng.uniform(-1, 1), 4) for _ in range(DIMENSION)]
    return zvec.Doc(id=f"doc_{number:05}", fields={"n": number, "title": f"text {number} " * 5}, vectors={"v": vector})


def fill(path, free):
    top = os.path.dirname(path)
    collection = zvec.create_and_open(path, schema())
    inserted = [number for number in range(FLUSHED) if collection.insert(document(number)).ok()]
    collection.flush()
    state = os.statvfs(top)
    with open(os.path.join(top, "filler"), "wb") as filler:
        filler.write(bytes(max(0, state.f_bavail * state.f_frsize - int(free))))
    failed = []
    for number in range(FLUSHED, FLUSHED + MORE):
        if collection.insert(document(number)).ok():
            inserted.append(number)
            continue
        failed.append("insert")
        if failed.count("insert") == 4:
            break
    for step in ("flush", "optimize", "flush"):
        try:
            getattr(collection, step)()
        except Exception:
            failed.append(step)
    return {"inserted": inserted, "failed": sorted(set(failed))}


def look(path, *numbers):
    collection = zvec.open(path, zvec.CollectionOption())
    numbers = [int(number) for number in numbers]
    right = 0
    for start in range(0, len(numbers), 100):
        wanted = {f"doc_{number:05}": number for number in numbers[start : start + 100]}
        for key, doc in collection.fetch(list(wanted)).items():
            near = zip(doc.vectors["v"], document(wanted[key]).vectors["v"])
            right += doc.fields["n"] == wanted[key] and all(abs(one - other) < 1e-5 for one, other in near)
    return collection, {"right": right, "of": len(numbers)}


def extend(path, *numbers):
    collection, found = look(path, *numbers)
    new = all(collection.insert(document(number)).ok() for number in range(2000, 2020))
    collection.flush()
    collection.optimize()
    return {**found, "extended": new}


if __name__ == "__main__":
    verbs = {"fill": fill, "look": lambda *arguments: look(*arguments)[1], "extend": extend}
    try:
        print(json.dumps(verbs[sys.argv[1]](*sys.argv[2:])))
    except Exception as error:
        print(json.dumps({"refused": str(error)}))
    sys.stdout.flush()
    # As if killed: nothing is closed.
    os._exit(0)
