#!/usr/bin/env python3
"""zvec at work, for the interoperability tests. Run with a Python that has zvec.

    live.py fetch COLLECTION ASK OUT     opens a collection and writes the documents that zvec returns, as truth.jsonl has them;
                                         ASK is a JSON file: {"ids": [...], "types": {field: data type}}
    live.py hold COLLECTION              makes a collection, inserts 50 documents, never flushes, says "ready 50" and obeys
                                         stdin line by line: "insert" inserts on and on, "stop" ends that and says "stopped <documents>"
"""

import json
import os
import select
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "fixtures"))

from maker import boot, fetch_all, write_truth

FIRST = 50
MOST = 20_000


def fetch(path, ask, out):
    zvec = boot()
    ask = json.loads(Path(ask).read_text(encoding="utf-8"))
    collection = zvec.open(path, zvec.CollectionOption(read_only=False))
    write_truth(out, fetch_all(collection, ask["ids"]), ask["types"])


def document(zvec, number):
    fields = {"n": number, "title": f"title {number}"}
    return zvec.Doc(id=f"doc_{number:05}", fields=fields, vectors={"dense": [float(number), 0.5, -float(number), 0.25]})


def hold(path):
    zvec = boot()
    flat = zvec.FlatIndexParam(metric_type=zvec.MetricType.L2)
    schema = zvec.CollectionSchema(
        "live",
        fields=[zvec.FieldSchema("n", zvec.DataType.INT32), zvec.FieldSchema("title", zvec.DataType.STRING)],
        vectors=[zvec.VectorSchema("dense", zvec.DataType.VECTOR_FP32, 4, flat)],
    )
    collection = zvec.create_and_open(path, schema, zvec.CollectionOption(read_only=False, enable_mmap=True))

    def insert(first, count):
        for status in collection.insert([document(zvec, number) for number in range(first, first + count)]):
            assert status.ok(), status.message()

    insert(0, FIRST)
    count, inserting = FIRST, False
    print("ready", count, flush=True)
    while True:
        if inserting and count < MOST and not select.select([sys.stdin], [], [], 0)[0]:
            insert(count, 10)
            count += 10
            continue
        word = sys.stdin.readline().strip()
        if not word:
            return
        inserting = word == "insert"
        print("inserting" if inserting else "stopped", count, flush=True)


if __name__ == "__main__":
    {"fetch": fetch, "hold": hold}[sys.argv[1]](*sys.argv[2:])
    sys.stdout.flush()
    os._exit(0)
