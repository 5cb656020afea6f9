#!/usr/bin/env python3
"""The real zvec, for benches/detection. Run with a Python that has it.

    detection_side.py make KIND OUT          a collection with every kind of file; its documents and answers as JSON in OUT.json, earlier states in OUT.<n>
    detection_side.py look KIND COLLECTION   opens it, reads every document, asks queries; prints the same JSON. Opening rewrites files: give it a copy

KIND is `mapped` (enable_mmap, Arrow IPC) or `paged` (Parquet); they have different vector indexes.
"""

import json
import os
import random
import shutil
import sys
import time

import zvec

DOCUMENTS = 400
DIMENSION = 16
WIDE = 64
WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"]
KEPT = []


def vectors(kind):
    l2, ip, cosine = zvec.MetricType.L2, zvec.MetricType.IP, zvec.MetricType.COSINE
    int8, int4 = zvec.QuantizeType.INT8, zvec.QuantizeType.INT4
    dense, sparse = zvec.DataType.VECTOR_FP32, zvec.DataType.SPARSE_VECTOR_FP32
    if kind == "mapped":
        return [
            zvec.VectorSchema("flat", dense, DIMENSION, zvec.FlatIndexParam(metric_type=l2)),
            zvec.VectorSchema("graph", dense, DIMENSION, zvec.HnswIndexParam(metric_type=cosine, m=8, ef_construction=40, quantize_type=int8)),
            zvec.VectorSchema("words", sparse, 0, zvec.FlatIndexParam(metric_type=ip)),
            zvec.VectorSchema("lists", dense, DIMENSION, zvec.IVFIndexParam(metric_type=l2, n_list=4, n_iters=5)),
            zvec.VectorSchema("vamana", dense, DIMENSION, zvec.VamanaIndexParam(metric_type=ip, max_degree=16, search_list_size=40)),
        ]
    return [
        zvec.VectorSchema("packed", dense, DIMENSION, zvec.FlatIndexParam(metric_type=l2, quantize_type=int4)),
        zvec.VectorSchema("terms", sparse, 0, zvec.HnswIndexParam(metric_type=ip, m=8, ef_construction=40)),
        zvec.VectorSchema("disk", dense, DIMENSION, zvec.DiskAnnIndexParam(metric_type=l2, max_degree=16, list_size=40)),
        zvec.VectorSchema("bits", dense, WIDE, zvec.HnswRabitqIndexParam(metric_type=l2, num_clusters=4, m=8, ef_construction=40)),
        zvec.VectorSchema("cells", dense, WIDE, zvec.IvfRabitqIndexParam(metric_type=ip, nlist=4)),
    ]


def schema(kind):
    text = zvec.DataType.STRING
    ranges = zvec.InvertIndexParam(enable_range_optimization=True)
    return zvec.CollectionSchema(
        "detection",
        fields=[
            zvec.FieldSchema("title", text, nullable=True),
            zvec.FieldSchema("year", zvec.DataType.INT32, index_param=ranges),
            zvec.FieldSchema("tags", zvec.DataType.ARRAY_STRING, nullable=True, index_param=zvec.InvertIndexParam()),
            zvec.FieldSchema("body", text, nullable=True, index_param=zvec.FtsIndexParam(tokenizer_name="whitespace", filters=["lowercase"])),
        ],
        vectors=vectors(kind),
    )


def vector(name, rng):
    if name in ("words", "terms"):
        return {rng.randrange(500): round(rng.random(), 4) for _ in range(6)}
    return [round(rng.uniform(-1, 1), 4) for _ in range(WIDE if name in ("bits", "cells") else DIMENSION)]


def document(kind, number, version=0):
    rng = random.Random(number * 1000 + version)
    fields = {"title": f"title {number} {version}", "year": 1900 + rng.randrange(120), "tags": rng.sample(WORDS, 2), "body": " ".join(rng.choices(WORDS, k=6))}
    return zvec.Doc(id=f"doc_{number:05}", fields=fields, vectors={column.name: vector(column.name, rng) for column in vectors(kind)})


def plain(value):
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, dict):
        return {str(key): plain(value[key]) for key in sorted(value)}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def answers(kind, collection):
    out = {}
    ids = [f"doc_{number:05}" for number in range(DOCUMENTS + 100)]
    for start in range(0, len(ids), 200):
        for key, doc in collection.fetch(ids[start : start + 200]).items():
            out[key] = [plain(doc.fields or {}), plain(doc.vectors or {})]
    for text in ("year > 1950", "year = 1977", "tags contain_any ('alpha')", "title is not null"):
        out["filter " + text] = sorted(doc.id for doc in collection.query(None, filter=text, topk=1000, output_fields=["year"]))
    rng = random.Random(5)
    hits = lambda query: [[doc.id, repr(doc.score)] for doc in collection.query(query, topk=20, output_fields=["year"])]
    for column in vectors(kind):
        for number in range(8):
            out[f"nearest {column.name} {number}"] = hits(zvec.Query(field_name=column.name, vector=vector(column.name, rng)))
    for words in ("alpha", "beta gamma", "kappa iota theta"):
        out["words " + words] = sorted(hits(zvec.Query(field_name="body", fts=zvec.Fts(match_string=words))))
    return out


def keep(path, copy):
    """Copies a collection in use. RocksDB removes files while it works: then once more."""
    for attempt in range(20):
        try:
            shutil.copytree(path, copy)
            return
        except shutil.Error:
            shutil.rmtree(copy)
            time.sleep(0.1)
    sys.exit("the collection does not come to rest")


def insert(collection, documents):
    for start in range(0, len(documents), 100):
        for status in collection.insert(documents[start : start + 100]):
            assert status.ok(), status.message()


def options(kind):
    # Without mapped files the size of the cache has to be said.
    zvec.init(log_level=zvec.LogLevel.FATAL, **({} if kind == "mapped" else {"memory_limit_mb": 512}))
    return zvec.CollectionOption(read_only=False, enable_mmap=kind == "mapped")


def make(kind, out):
    """Two segments, one of them optimized, deletions, blocks flushed behind it, and a log."""
    chosen = options(kind)
    collection = zvec.create_and_open(out, schema(kind), chosen)
    # Collected, it would be closed, and the log flushed.
    KEPT.append(collection)
    new = lambda start, end, version=0: [document(kind, number, version) for number in range(start, end)]
    insert(collection, new(0, 250))
    collection.delete([f"doc_{number:05}" for number in range(10, 20)])
    collection.flush()
    keep(out, f"{out}.1")
    collection.optimize()
    insert(collection, new(250, 350))
    collection.upsert(new(30, 40, 1))
    collection.flush()
    keep(out, f"{out}.2")
    insert(collection, new(350, 380))
    keep(out, f"{out}.3")
    insert(collection, new(380, DOCUMENTS))
    collection.upsert(new(50, 55, 2))
    collection.delete(["doc_00300", "doc_00001"])
    with open(out + ".json", "w", encoding="utf-8") as file:
        json.dump(answers(kind, collection), file)


def look(kind, path):
    chosen = options(kind)
    try:
        collection = zvec.open(path, chosen)
    except Exception as error:
        return {"refused": str(error)}
    KEPT.append(collection)
    try:
        return answers(kind, collection)
    except Exception as error:
        return {"raised": str(error)}


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(*sys.argv[2:])
    else:
        print(json.dumps(look(*sys.argv[2:])))
    sys.stdout.flush()
    # As if killed: nothing is flushed, the log stays.
    os._exit(0)
