#!/usr/bin/env python3
"""The real zvec, for benches/repair. Run with a Python that has it.

    repair_side.py look COLLECTION      documents and answers, as benches/detection_side.py
    repair_side.py extend COLLECTION    inserts, upserts, deletes, flushes, optimizes, reopens: prints {"extended": true} if all that was there is still there
"""

import json
import os
import sys

import zvec

import detection_side as side


def extend(path):
    zvec.init(log_level=zvec.LogLevel.FATAL)
    option = zvec.CollectionOption(read_only=False, enable_mmap=True)
    collection = zvec.open(path, option)
    before = {key: value for key, value in side.answers(collection).items() if key.startswith("doc_")}
    new = [side.document(number, 3) for number in range(900, 930)]
    side.insert(collection, new)
    victim = sorted(before)[7]
    assert all(status.ok() for status in [collection.delete(victim)] if hasattr(status, "ok"))
    collection.flush()
    collection.optimize()
    del collection
    collection = zvec.open(path, option)
    after = {key: value for key, value in side.answers(collection).items() if key.startswith("doc_")}
    fetched = collection.fetch([doc.id for doc in new])
    del before[victim]
    if after != before:
        gone = [key for key in before if key not in after]
        changed = [key for key in before if key in after and after[key] != before[key]]
        return {"extended": False, "gone": len(gone), "changed": len(changed), "more": len([key for key in after if key not in before])}
    if len(fetched) != len(new):
        return {"extended": False, "inserted": len(fetched)}
    return {"extended": True}


if __name__ == "__main__":
    if sys.argv[1] == "look":
        print(json.dumps(side.look(sys.argv[2])))
    else:
        try:
            print(json.dumps(extend(sys.argv[2])))
        except Exception as error:
            print(json.dumps({"raised": str(error)}))
    sys.stdout.flush()
    os._exit(0)
