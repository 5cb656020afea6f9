#!/usr/bin/env python3
"""What benches/engine measures of the real zvec. Run with a Python that has it.

    engine_side.py make PATH DOCUMENTS             the collection that the input is exported from
    engine_side.py insert PATH DOCUMENTS BATCH     inserts, flushes; prints {"insert": seconds, "flush": seconds}
    engine_side.py open PATH                       opens a collection, replaying its log; prints seconds
"""

import json
import os
import random
import sys
import time

import zvec

DIMENSION = 128


def boot():
    zvec.init(log_level=zvec.LogLevel.FATAL)


def create(path):
    flat = zvec.FlatIndexParam(metric_type=zvec.MetricType.L2)
    schema = zvec.CollectionSchema(
        "bench",
        fields=[zvec.FieldSchema("n", zvec.DataType.INT32)],
        vectors=[zvec.VectorSchema("dense", zvec.DataType.VECTOR_FP32, DIMENSION, flat)],
    )
    return zvec.create_and_open(path, schema, zvec.CollectionOption(read_only=False, enable_mmap=True))


def batches(documents, batch):
    rng = random.Random(1)
    pool = [rng.uniform(-1.0, 1.0) for _ in range(1 << 16)]
    for start in range(0, documents, batch):
        docs = []
        for number in range(start, min(start + batch, documents)):
            at = rng.randrange(len(pool) - DIMENSION)
            docs.append(zvec.Doc(id=f"doc_{number:07}", fields={"n": number}, vectors={"dense": pool[at : at + DIMENSION]}))
        yield docs


def insert(path, documents, batch):
    boot()
    collection = create(path)
    seconds = 0.0
    for docs in batches(int(documents), int(batch)):
        begin = time.perf_counter()
        statuses = collection.insert(docs)
        seconds += time.perf_counter() - begin
        assert all(status.ok() for status in statuses)
    begin = time.perf_counter()
    collection.flush()
    return {"insert": seconds, "flush": time.perf_counter() - begin}


def open_log(path):
    boot()
    begin = time.perf_counter()
    collection = zvec.open(path, zvec.CollectionOption(read_only=False, enable_mmap=True))
    seconds = time.perf_counter() - begin
    assert collection.stats.doc_count > 0
    return seconds


if __name__ == "__main__":
    if sys.argv[1] == "open":
        print(open_log(sys.argv[2]))
    else:
        result = insert(sys.argv[2], sys.argv[3], sys.argv[4] if sys.argv[1] == "insert" else 1000)
        print(json.dumps(result))
    sys.stdout.flush()
    os._exit(0)
