#!/usr/bin/env python3
"""The real zvec, for benches/repair. Run with a Python that has it.

    repair_side.py make OUT                 a collection with every kind of file; its documents and answers as JSON in OUT.json
    repair_side.py look COLLECTION          opens it, reads every document, asks queries; prints the same JSON
    repair_side.py extend COLLECTION        inserts, deletes, flushes, optimizes, reopens: prints {"extended": true} if all that was there is still there
    repair_side.py archive COLLECTION TRUTH what has become of the documents of a file of fixtures/: {"right": …, "changed": [ids], "missing": [ids]}
    repair_side.py insert COLLECTION TRUTH  deletes a document, flushes, optimizes: prints {"extended": true} if the others are still there

Opening rewrites files: give it a copy.
"""

import json
import math
import os
import random
import sys

import zvec

DOCUMENTS = 400
DIMENSION = 16
WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"]
OPTION = zvec.CollectionOption(read_only=False, enable_mmap=True)


def schema():
    text = zvec.DataType.STRING
    invert, ranges = zvec.InvertIndexParam(), zvec.InvertIndexParam(enable_range_optimization=True)
    fts = zvec.FtsIndexParam(tokenizer_name="whitespace", filters=["lowercase"])
    hnsw = zvec.HnswIndexParam(metric_type=zvec.MetricType.COSINE, m=8, ef_construction=40, quantize_type=zvec.QuantizeType.INT8)
    return zvec.CollectionSchema(
        "repaired",
        fields=[
            zvec.FieldSchema("title", text, nullable=True),
            zvec.FieldSchema("year", zvec.DataType.INT32, index_param=ranges),
            zvec.FieldSchema("tags", zvec.DataType.ARRAY_STRING, nullable=True, index_param=invert),
            zvec.FieldSchema("body", text, nullable=True, index_param=fts),
        ],
        vectors=[
            zvec.VectorSchema("flat", zvec.DataType.VECTOR_FP32, DIMENSION, zvec.FlatIndexParam(metric_type=zvec.MetricType.L2)),
            zvec.VectorSchema("graph", zvec.DataType.VECTOR_FP32, DIMENSION, hnsw),
            zvec.VectorSchema("words", zvec.DataType.SPARSE_VECTOR_FP32, 0, zvec.FlatIndexParam(metric_type=zvec.MetricType.IP)),
        ],
    )


def document(number, version=0):
    rng = random.Random(number * 1000 + version)
    vector = [round(rng.uniform(-1, 1), 4) for _ in range(DIMENSION)]
    fields = {"title": f"title {number} {version}", "year": 1900 + rng.randrange(120), "tags": rng.sample(WORDS, 2), "body": " ".join(rng.choices(WORDS, k=6))}
    vectors = {"flat": vector, "graph": vector, "words": {rng.randrange(500): round(rng.random(), 4) for _ in range(6)}}
    return zvec.Doc(id=f"doc_{number:05}", fields=fields, vectors=vectors)


def plain(value):
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, dict):
        return {str(key): plain(value[key]) for key in sorted(value)}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def fetch(collection, ids):
    found = {}
    for start in range(0, len(ids), 200):
        found.update(collection.fetch(ids[start : start + 200]))
    return found


def documents(collection):
    ids = [f"doc_{number:05}" for number in range(DOCUMENTS + 100)]
    return {key: [plain(doc.fields or {}), plain(doc.vectors or {})] for key, doc in fetch(collection, ids).items()}


def answers(collection):
    out = documents(collection)
    for text in ("year > 1950", "year = 1977", "tags contain_any ('alpha')", "title is not null"):
        out["filter " + text] = sorted(doc.id for doc in collection.query(None, filter=text, topk=1000, output_fields=["year"]))
    near = zvec.VectorQuery("flat", vector=document(7).vectors["flat"])
    out["near doc_00007"] = [doc.id for doc in collection.query(near, topk=3)]
    return out


def insert(collection, documents):
    for status in collection.insert(documents):
        assert status.ok(), status.message()


def make(out):
    """Two segments, one of them optimized, deletions, blocks flushed behind it, and a log: the process ends without closing."""
    collection = zvec.create_and_open(out, schema(), OPTION)
    insert(collection, [document(number) for number in range(250)])
    collection.delete([f"doc_{number:05}" for number in range(10, 20)])
    collection.optimize()
    insert(collection, [document(number) for number in range(250, 350)])
    collection.upsert([document(number, 1) for number in range(30, 40)])
    collection.flush()
    insert(collection, [document(number) for number in range(350, DOCUMENTS)])
    collection.upsert([document(number, 2) for number in range(50, 55)])
    collection.delete(["doc_00300", "doc_00001"])
    with open(out + ".json", "w", encoding="utf-8") as file:
        json.dump(answers(collection), file)
    leave()


def look(path):
    try:
        collection = zvec.open(path, OPTION)
    except Exception as error:
        return {"refused": str(error)}
    try:
        return answers(collection)
    except Exception as error:
        return {"raised": str(error)}
    finally:
        held.append(collection)


def extend(path):
    collection = zvec.open(path, OPTION)
    before = documents(collection)
    new = [document(number, 3) for number in range(900, 930)]
    insert(collection, new)
    victim = sorted(before)[7]
    collection.delete(victim)
    collection.flush()
    collection.optimize()
    del collection
    collection = zvec.open(path, OPTION)
    after = documents(collection)
    fetched = fetch(collection, [doc.id for doc in new])
    held.append(collection)
    del before[victim]
    gone = [key for key in before if key not in after]
    # The lossy copy of an INT8 index is not what a fetch returns, so nothing may differ.
    changed = [key for key in before if key in after and after[key] != before[key]]
    more = [key for key in after if key not in before]
    if gone or changed or more or len(fetched) != len(new):
        return {"extended": False, "gone": len(gone), "changed": len(changed), "more": len(more), "inserted": len(fetched)}
    return {"extended": True}


def same(left, right):
    if isinstance(left, dict) and isinstance(right, dict):
        left, right = {str(key): value for key, value in left.items()}, {str(key): value for key, value in right.items()}
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, bool) or isinstance(right, bool) or isinstance(left, str) or isinstance(right, str):
        return left == right or str(left) == str(right) and isinstance(left, float)
    return left == right or math.isclose(left, right, rel_tol=1e-6, abs_tol=1e-9)


def archive(path, truth):
    with open(truth, encoding="utf-8") as lines:
        truth = {line["id"]: line for line in map(json.loads, lines)}
    try:
        collection = zvec.open(path, OPTION)
        found = fetch(collection, sorted(truth))
        held.append(collection)
    except Exception as error:
        return {"refused": str(error)}
    out = {"right": 0, "changed": [], "missing": []}
    for key, line in truth.items():
        if key not in found:
            out["missing"].append(key)
            continue
        parts = [{name: value for name, value in (part or {}).items() if value is not None} for part in (found[key].fields, found[key].vectors)]
        wanted = [{name: value for name, value in line[part].items() if value is not None} for part in ("fields", "vectors")]
        if same(parts, wanted):
            out["right"] += 1
        else:
            out["changed"].append(key)
    return out


def insert_truth(path, truth):
    with open(truth, encoding="utf-8") as lines:
        ids = sorted(json.loads(line)["id"] for line in lines)
    collection = zvec.open(path, OPTION)
    before = fetch(collection, ids)
    if not before:
        return {"extended": True}
    victim = sorted(before)[0]
    collection.delete(victim)
    collection.flush()
    collection.optimize()
    del collection
    collection = zvec.open(path, OPTION)
    after = fetch(collection, ids)
    held.append(collection)
    good = set(after) == set(before) - {victim}
    return {"extended": good, "before": len(before), "after": len(after)}


held = []


def leave():
    sys.stdout.flush()
    # As if killed: nothing is flushed, the log stays.
    os._exit(0)


if __name__ == "__main__":
    zvec.init(log_level=zvec.LogLevel.FATAL)
    verbs = {"make": make, "look": look, "extend": extend, "archive": archive, "insert": insert_truth}
    try:
        print(json.dumps(verbs[sys.argv[1]](*sys.argv[2:])))
    except Exception as error:
        print(json.dumps({"raised": str(error)}))
    leave()
