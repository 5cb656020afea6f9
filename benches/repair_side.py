#!/usr/bin/env python3
"""The real zvec, for benches/repair, besides what benches/detection_side.py does. Run with a Python that has it.

    repair_side.py extend COLLECTION         inserts, deletes, flushes, optimizes, reopens: prints {"extended": true} if all that was there is still there
    repair_side.py archive COLLECTION TRUTH  what has become of the documents of a file of fixtures/: {"right": …, "changed": [ids], "missing": [ids]}
    repair_side.py merge COLLECTION TRUTH    deletes one of them, flushes, optimizes, reopens: {"extended": true} if the others are still there

Opening rewrites files: give it a copy.
"""

import json
import math
import os
import sys

import detection_side as side
import zvec

KIND = "mapped"
held = []


def fetch(collection, ids):
    found = {}
    for start in range(0, len(ids), 200):
        found.update(collection.fetch(ids[start : start + 200]))
    return found


def reopened(collection, path, option):
    """Flushed, optimized, closed and opened again."""
    collection.flush()
    collection.optimize()
    held.remove(collection)
    del collection
    held.append(zvec.open(path, option))
    return held[-1]


def extend(path):
    option = side.options(KIND)
    held.append(zvec.open(path, option))
    ids = [f"doc_{number:05}" for number in range(side.DOCUMENTS + 100)]
    documents = lambda: {key: [side.plain(doc.fields or {}), side.plain(doc.vectors or {})] for key, doc in fetch(held[-1], ids).items()}
    before = documents()
    new = [side.document(KIND, number, 3) for number in range(900, 930)]
    side.insert(held[-1], new)
    victim = sorted(before)[7]
    held[-1].delete(victim)
    reopened(held[-1], path, option)
    after = documents()
    del before[victim]
    gone = [key for key in before if key not in after]
    changed = [key for key in before if key in after and after[key] != before[key]]
    more = [key for key in after if key not in before]
    inserted = len(fetch(held[-1], [doc.id for doc in new]))
    if gone or changed or more or inserted != len(new):
        return {"extended": False, "gone": len(gone), "changed": len(changed), "more": len(more), "inserted": inserted}
    return {"extended": True}


def same(left, right):
    if isinstance(left, dict) and isinstance(right, dict):
        left, right = {str(key): value for key, value in left.items()}, {str(key): value for key, value in right.items()}
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float) and isinstance(right, str):
        # JSON has no such numbers.
        return right in ("NaN", "Infinity", "-Infinity") and repr(left) == repr(float(right))
    if isinstance(left, bool) or isinstance(right, bool) or isinstance(left, str) or isinstance(right, str):
        return left == right
    return left == right or math.isclose(left, right, rel_tol=1e-6, abs_tol=1e-9)


def truth_of(file):
    with open(file, encoding="utf-8") as lines:
        return {line["id"]: line for line in map(json.loads, lines)}


def archive(path, file):
    truth = truth_of(file)
    option = side.options(KIND)
    try:
        held.append(zvec.open(path, option))
        found = fetch(held[-1], sorted(truth))
    except Exception as error:
        return {"refused": str(error)}
    out = {"right": 0, "changed": [], "missing": [key for key in truth if key not in found]}
    for key, doc in found.items():
        parts = [{name: value for name, value in (part or {}).items() if value is not None} for part in (doc.fields, doc.vectors)]
        wanted = [{name: value for name, value in truth[key][part].items() if value is not None} for part in ("fields", "vectors")]
        if same(parts, wanted):
            out["right"] += 1
        else:
            out["changed"].append(key)
    return out


def merge(path, file):
    ids = sorted(truth_of(file))
    option = side.options(KIND)
    held.append(zvec.open(path, option))
    before = set(fetch(held[-1], ids))
    if before:
        held[-1].delete(min(before))
    reopened(held[-1], path, option)
    after = set(fetch(held[-1], ids))
    return {"extended": after == before - ({min(before)} if before else set()), "before": len(before), "after": len(after)}


if __name__ == "__main__":
    verbs = {"extend": extend, "archive": archive, "merge": merge}
    try:
        print(json.dumps(verbs[sys.argv[1]](*sys.argv[2:])))
    except Exception as error:
        print(json.dumps({"raised": str(error)}))
    sys.stdout.flush()
    # As if killed: nothing is closed.
    os._exit(0)
