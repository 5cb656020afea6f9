#!/usr/bin/env python3
"""The collections that benches/run measures with, made by the real zvec. Run with a Python that has it.

    zvec_side.py make DOCUMENTS optimize|flush OUT    documents with a 128-dimensional FP32 vector (HNSW, L2) and an INT32
    zvec_side.py fetch COLLECTION DOCUMENTS           opens it, fetches the first documents by id, prints seconds
"""

import array
import os
import random
import sys
import time

import zvec

DIMENSION = 128
BATCH = 1000


def boot():
    zvec.init(log_level=zvec.LogLevel.FATAL, query_threads=2, optimize_threads=2)


def make(documents, state, out):
    boot()
    documents = int(documents)
    index = zvec.HnswIndexParam(metric_type=zvec.MetricType.L2)
    schema = zvec.CollectionSchema(
        "bench",
        fields=[zvec.FieldSchema("n", zvec.DataType.INT32)],
        vectors=[zvec.VectorSchema("dense", zvec.DataType.VECTOR_FP32, DIMENSION, index)],
    )
    collection = zvec.create_and_open(out, schema, zvec.CollectionOption(read_only=False, enable_mmap=True))
    rng = random.Random(documents)
    # Any FP32 of full precision: those of a pool, begun at another place for each document.
    pool = array.array("f", (rng.uniform(-1.0, 1.0) for _ in range(1 << 16))).tolist()
    for start in range(0, documents, BATCH):
        docs = []
        for number in range(start, min(start + BATCH, documents)):
            at = rng.randrange(len(pool) - DIMENSION)
            docs.append(zvec.Doc(id=f"doc_{number:07}", fields={"n": number}, vectors={"dense": pool[at : at + DIMENSION]}))
        for status in collection.insert(docs):
            assert status.ok(), status.message()
    collection.flush()
    if state == "optimize":
        collection.optimize()
    collection.close()


def fetch(path, documents):
    boot()
    collection = zvec.open(path, zvec.CollectionOption(read_only=False, enable_mmap=True))
    begin = time.perf_counter()
    for start in range(0, int(documents), BATCH):
        found = collection.fetch([f"doc_{number:07}" for number in range(start, start + BATCH)])
        assert len(found) == BATCH, len(found)
        # What a caller would look at.
        assert all(len(doc.vectors["dense"]) == DIMENSION for doc in found.values())
    print(time.perf_counter() - begin)


if __name__ == "__main__":
    {"make": make, "fetch": fetch}[sys.argv[1]](*sys.argv[2:])
    sys.stdout.flush()
    os._exit(0)
