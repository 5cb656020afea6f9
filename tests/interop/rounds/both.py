"""Both sides of a round trip: what zvecctl and zvec are told, from one model of what must be alive."""

import copy
import gc
import json
import math
import random
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

sys.dont_write_bytecode = True
FIXTURES = Path(__file__).resolve().parents[3] / "fixtures"
sys.path.insert(0, str(FIXTURES))

from maker import core_field_schema, f32, fetch_all, near, plain, same, stored  # noqa: E402

BATCH = 100
GOOD_ROLES = {"manifest", "named", "wal", "lock"}
KINDS = {
    "FLAT": "FlatIndexParam",
    "HNSW": "HnswIndexParam",
    "IVF": "IVFIndexParam",
    "VAMANA": "VamanaIndexParam",
    "DISKANN": "DiskAnnIndexParam",
    "HNSW_RABITQ": "HnswRabitqIndexParam",
    "IVF_RABITQ": "IvfRabitqIndexParam",
}
# Vectors that are stored normalised come back rounded, relative to their norm.
COSINE = {"VECTOR_FP32": 2e-6, "VECTOR_FP16": 2e-3}


# ---------------------------------------------------------------------------------------------------------------
# Schema


def scalar_index(zvec, index):
    if index is None:
        return None
    params = {name: value for name, value in index.items() if name != "type"}
    return (zvec.InvertIndexParam if index["type"] == "INVERT" else zvec.FtsIndexParam)(**params)


def vector_index(zvec, index):
    params = {}
    for name, value in index.items():
        if name == "metric":
            params["metric_type"] = getattr(zvec.MetricType, value)
        elif name == "quantize":
            params["quantize_type"] = getattr(zvec.QuantizeType, value)
        elif name == "quantizer_param":
            params[name] = zvec.QuantizerParam(**value)
        elif name == "flat_data_type":
            params[name] = getattr(zvec.DataType, value)
        elif name != "type":
            params[name] = value
    return getattr(zvec, KINDS[index["type"]])(**params)


def zvec_schema(zvec, schema):
    """zvec's objects for a schema file."""
    fields = [
        zvec.FieldSchema(
            field["name"], getattr(zvec.DataType, field["data_type"]), nullable=field["nullable"], index_param=scalar_index(zvec, field.get("index"))
        )
        for field in schema["fields"]
    ]
    vectors = []
    for field in schema["vectors"]:
        data_type, dimension, index = getattr(zvec.DataType, field["data_type"]), field.get("dimension", 0), vector_index(zvec, field["index"])
        vector = zvec.VectorSchema(field["name"], data_type, dimension, index)
        if field.get("nullable"):  # the Python classes do not offer it; the core underneath does
            core = core_field_schema()(name=field["name"], data_type=data_type, dimension=dimension, nullable=True, index_param=index)
            vector = zvec.VectorSchema._from_core(core)
        vectors.append(vector)
    return zvec.CollectionSchema(schema["name"], fields=fields, vectors=vectors)


# ---------------------------------------------------------------------------------------------------------------
# The model


class Round:
    """Records what is written, step by step, and what must be alive after each step.

    A step is {"by": "zvecctl" or "zvec", "operations": [...], "live": {id: (fields, vectors)}, "ids": every id so far}.
    """

    def __init__(self, name, folder):
        self.name = name
        self.folder = Path(folder)
        self.rng = random.Random("round " + name)
        self.schema = None
        self.mmap = True
        self.parquet = False
        # Whether zvec writes the same documents into a collection of its own, to be asked the same.
        self.twin = True
        self.live, self.ids, self.steps = {}, set(), []
        self.loose, self.types = {}, {}
        # Least share of the true neighbours that a query finds, by vector field, while its index is FLAT and once it is built.
        self.recall = {}
        self.text_queries = {}
        self.exact_text = True
        self.ask_vectors = True
        # Whether the documents that zvec returns are held against those of its own collection.
        self.as_twin = False
        # Files that nothing needs are no fault of ours.
        self.old = False
        self.archive = None
        self.numbers = 0

    def existing(self, archive):
        """Starts with an archived collection."""
        self.archive, self.twin, self.old = FIXTURES / f"{archive}.tar.gz", False, True
        schema = json.loads((self.folder / "schema.json").read_text(encoding="utf-8"))
        self.create(schema["fields"], schema["vectors"], segment=schema["max_doc_count_per_segment"])
        with tarfile.open(self.archive) as tar:
            for line in tar.extractfile("truth.jsonl").read().decode().splitlines():
                line = json.loads(line)
                parts = ({name: typed(self.types[name], value) for name, value in line[part].items()} for part in ("fields", "vectors"))
                self.live[line["id"]] = tuple(parts)
        self.ids = set(self.live)

    def create(self, fields, vectors, mmap=True, segment=10_000_000):
        self.schema = {"name": "round", "max_doc_count_per_segment": segment, "fields": fields, "vectors": vectors}
        self.mmap = mmap
        self.types = {field["name"]: field["data_type"] for field in fields + vectors}
        for field in vectors:
            if field["index"].get("metric") == "COSINE":
                self.loose[field["name"]] = COSINE[field["data_type"]]

    def step(self, by):
        self.steps.append({"by": by, "operations": []})

    def end(self):
        """Keeps what is alive with the step that ends."""
        self.steps[-1].update(live=copy.deepcopy(self.live), ids=set(self.ids))

    def _do(self, verb, value=None):
        self.steps[-1]["operations"].append((verb, copy.deepcopy(value)))

    def _kept(self, values):
        return {name: stored(self.types[name], value) for name, value in values.items() if value is not None}

    def insert(self, docs, verb="insert"):
        docs = list(docs)
        for key, fields, vectors in docs:
            assert verb == "upsert" or key not in self.live, key
            self.ids.add(key)
            self.live[key] = (self._kept(fields), self._kept(vectors))
        self._do(verb, docs)

    def upsert(self, docs):
        self.insert(docs, "upsert")

    def update(self, docs):
        """Only the given fields change; a null that is given is one."""
        docs = list(docs)
        for key, fields, vectors in docs:
            both = [{**old, **given} for old, given in zip(self.live[key], (fields, vectors))]
            self.live[key] = tuple(self._kept(part) for part in both)
        self._do("update", docs)

    def delete(self, keys):
        keys = list(keys)
        for key in keys:
            del self.live[key]
        self._do("delete", keys)

    def delete_by_filter(self, text, predicate):
        self.live = {key: value for key, value in self.live.items() if not predicate(value[0])}
        self._do("delete_by_filter", text)

    def flush(self):
        self._do("flush")

    def optimize(self):
        self._do("optimize")

    def recover(self):
        self._do("recover")

    def kill(self):
        """Ends zvec without a flush."""
        self.steps[-1]["kill"] = True

    # -- random documents

    def vector(self, field):
        data_type = field["data_type"]
        if data_type.startswith("SPARSE"):
            return {index: f32(self.rng.uniform(0.1, 1.0)) for index in sorted(self.rng.sample(range(200), 6))}
        if data_type == "VECTOR_INT8":
            return [self.rng.randint(-128, 127) for _ in range(field["dimension"])]
        if field["index"].get("flat_data_type") == "VECTOR_UINT8":
            return [float(self.rng.randrange(256)) for _ in range(field["dimension"])]
        narrow = (lambda value: stored("VECTOR_FP16", [value])[0]) if field["index"].get("flat_data_type") else (lambda value: value)
        return [narrow(stored("VECTOR_FP32", [self.rng.uniform(-1, 1)])[0]) for _ in range(field["dimension"])]

    def vectors(self):
        return {field["name"]: self.vector(field) for field in self.schema["vectors"]}


def differences(plan, step, found):
    """The first differences between documents that were read and what must be there."""
    wrong = []
    live = step["live"]
    for what, keys in (("missing", live.keys() - found.keys()), ("too many", found.keys() - live.keys())):
        if keys:
            wrong.append(f"{len(keys)} documents {what}: {sorted(keys)[:5]}")
    for key in sorted(live.keys() & found.keys()):
        for expected, got in zip(live[key], found[key]):
            for name in sorted(expected.keys() | got.keys()):
                left, right = expected.get(name), got.get(name)
                loose = plan.loose.get(name, 0.0)
                if left is None or right is None or not (near(right, left, loose) if loose else same(right, left)):
                    wrong.append(f"{key}.{name}: expected {left!r:.100}, got {right!r:.100}")
    return wrong


# ---------------------------------------------------------------------------------------------------------------
# zvecctl


class Zvecctl:
    """Runs the program. Any other exit code than the expected one is an error."""

    def __init__(self, program, path, folder):
        self.program, self.path, self.folder = program, str(path), Path(folder)

    def run(self, *arguments, data=None, expect=(0,)):
        command = [self.program, "--format", "json", *map(str, arguments)]
        done = subprocess.run(command, input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300)
        if done.returncode not in expect:
            said = (done.stdout[-1500:] + done.stderr[-1500:]).decode(errors="replace")
            raise AssertionError(f"zvecctl {' '.join(map(str, arguments))} ended with {done.returncode}: {said}")
        return done.stdout

    def create(self, plan):
        schema = self.folder / "schema.json"
        schema.write_text(json.dumps(plan.schema), encoding="utf-8")
        # A segment size that zvec changes no schema with is a warning.
        expect = (0,) if plan.schema["max_doc_count_per_segment"] >= 1000 else (0, 1)
        self.run("create", self.path, "--schema", schema, *([] if plan.mmap else ["--no-mmap"]), expect=expect)

    def ingest(self, mode, docs, plan):
        lines = ({"id": key, "fields": plain(fields), "vectors": plain(vectors)} for key, fields, vectors in docs)
        data = "".join(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n" for line in lines).encode()
        inputs = []
        if plan.parquet and mode != "update":
            # By way of a collection that exports them.
            inputs = [self.folder / "input.parquet"]
            other = Zvecctl(self.program, self.folder / "input", self.folder)
            shutil.rmtree(other.path, ignore_errors=True)
            other.create(plan)
            other.run("ingest", other.path, "-", data=data)
            other.run("export", other.path, "--to", "parquet", "--output", inputs[0])
            data = None
        self.run("ingest", self.path, *(inputs or ["-"]), "--mode", mode, "--no-flush", data=data)

    def apply(self, plan, operations):
        for verb, value in operations:
            if verb in ("insert", "upsert", "update"):
                self.ingest(verb, value, plan)
            elif verb == "delete":
                self.run("delete", self.path, "--no-flush", "--ids-from", "-", data="".join(key + "\n" for key in value).encode())
            elif verb == "create":
                self.create(plan)
            elif verb == "recover":
                self.run(verb, self.path, expect=(0, 1))
            else:
                self.run(verb, self.path)

    def documents(self, plan):
        """The documents that `export` prints, as the model has them."""
        found = {}
        for line in self.run("export", self.path).decode().splitlines():
            line = json.loads(line)
            assert line["id"] not in found, f"{line['id']} is there twice"
            found[line["id"]] = tuple(
                {name: typed(plan.types[name], value) for name, value in line[part].items() if value is not None} for part in ("fields", "vectors")
            )
        return found

    def strangers(self, *more):
        """Files that are there for nothing, and what `files ls` finds wrong."""
        listed = json.loads(self.run("files", "ls", self.path, expect=(0, 1, 3, 4)))["data"]
        wrong = [f"{file['path']} is there as {file['role']}" for file in listed["files"] if file["role"] not in {*GOOD_ROLES, *more}]
        return wrong + [str(finding) for finding in listed["findings"]]

    def roles(self):
        """The roles of all files, block numbers and RocksDB's file numbers left out."""
        listed = json.loads(self.run("files", "ls", self.path, expect=(0, 1)))["data"]
        return sorted({(re.sub(r"(rocksdb|idmap\.0)/.*", r"\1", file["path"]), file["role"]) for file in listed["files"]})


def typed(data_type, value):
    """A value of JSON by the type of its field."""
    if isinstance(value, list):
        return [typed(data_type.removeprefix("ARRAY_"), item) for item in value]
    if isinstance(value, dict):
        return {int(key): typed("FLOAT", item) for key, item in value.items()}
    if data_type == "DOUBLE":
        return float(value)
    if data_type == "FLOAT" or data_type.startswith("VECTOR_FP"):
        return stored("FLOAT", float(value))
    return value


# ---------------------------------------------------------------------------------------------------------------
# zvec


def documents(zvec, docs):
    return [zvec.Doc(id=key, fields=fields, vectors=vectors) for key, fields, vectors in docs]


class Zvec:
    """A collection that zvec has open."""

    def __init__(self, zvec, path, plan, create=False):
        self.zvec, self.path, self.plan = zvec, str(path), plan
        option = zvec.CollectionOption(read_only=False, enable_mmap=plan.mmap)
        if create:
            self.collection = zvec.create_and_open(self.path, zvec_schema(zvec, plan.schema), option)
        else:
            self.collection = zvec.open(self.path, option)

    def apply(self, operations):
        for verb, value in operations:
            if verb in ("insert", "upsert", "update", "delete"):
                for start in range(0, len(value), BATCH):
                    part = value[start : start + BATCH]
                    for status in getattr(self.collection, verb)(part if verb == "delete" else documents(self.zvec, part)):
                        assert status.ok(), f"{verb}: {status.message()}"
            elif verb == "delete_by_filter":
                self.collection.delete_by_filter(value)
            elif verb in ("flush", "optimize"):
                getattr(self.collection, verb)()

    def documents(self, ids):
        return fetch_all(self.collection, ids)

    def close(self):
        self.collection.close()
        gc.collect()
