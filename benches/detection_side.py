#!/usr/bin/env python3
"""The real zvec, for benches/detection. Run with a Python that has it.

    detection_side.py make OUT          a collection with every kind of file; its documents and answers as JSON in OUT.json
    detection_side.py look COLLECTION   opens it, reads every document, asks queries; prints the same JSON. Opening rewrites files: give it a copy
"""

import json
import os
import random
import sys

import zvec

DOCUMENTS = 400
DIMENSION = 16
WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"]


def schema():
    l2, ip, cosine = zvec.MetricType.L2, zvec.MetricType.IP, zvec.MetricType.COSINE
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
        vectors=[
            zvec.VectorSchema("flat", zvec.DataType.VECTOR_FP32, DIMENSION, zvec.FlatIndexParam(metric_type=l2)),
            zvec.VectorSchema("graph", zvec.DataType.VECTOR_FP32, DIMENSION, zvec.HnswIndexParam(metric_type=cosine, m=8, ef_construction=40, quantize_type=zvec.QuantizeType.INT8)),
            zvec.VectorSchema("words", zvec.DataType.SPARSE_VECTOR_FP32, 0, zvec.FlatIndexParam(metric_type=ip)),
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


def answers(collection):
    out = {}
    ids = [f"doc_{number:05}" for number in range(DOCUMENTS + 100)]
    for start in range(0, len(ids), 200):
        for key, doc in collection.fetch(ids[start : start + 200]).items():
            out[key] = [plain(doc.fields or {}), plain(doc.vectors or {})]
    for text in ("year > 1950", "year = 1977", "tags contain_any ('alpha')", "title is not null"):
        out["filter " + text] = sorted(doc.id for doc in collection.query(None, filter=text, topk=1000, output_fields=["year"]))
    return out


def insert(collection, documents):
    for status in collection.insert(documents):
        assert status.ok(), status.message()


def make(out):
    """Two segments, one of them optimized, deletions, blocks flushed behind it, and a log."""
    zvec.init(log_level=zvec.LogLevel.FATAL)
    collection = zvec.create_and_open(out, schema(), zvec.CollectionOption(read_only=False, enable_mmap=True))
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


def look(path):
    zvec.init(log_level=zvec.LogLevel.FATAL)
    try:
        collection = zvec.open(path, zvec.CollectionOption(read_only=False, enable_mmap=True))
    except Exception as error:
        return {"refused": str(error)}
    try:
        return answers(collection)
    except Exception as error:
        return {"raised": str(error)}


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(sys.argv[2])
    else:
        print(json.dumps(look(sys.argv[2])))
    sys.stdout.flush()
    # As if killed: nothing is flushed, the log stays.
    os._exit(0)
