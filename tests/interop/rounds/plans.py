"""The round trips: schemas, documents and steps."""

from both import Round
from scenarios import ARRAYS, EXTREMES, SCALARS, random_value

PLANS = {}


def plan(function):
    PLANS[function.__name__] = function
    return function


def family(name):
    def register(function):
        PLANS[name] = function
        return function

    return register


def made(name):
    """A plan with all its steps; the same each time."""
    result = Round(name)
    result.exact_text = True
    PLANS[name](result)
    return result


# ---------------------------------------------------------------------------------------------------------------
# Parts


def field(name, data_type, nullable=False, index=None):
    return {"name": name, "data_type": data_type, "nullable": nullable, "index": index}


def invert(ranges=False, wildcard=False):
    return {"type": "INVERT", "enable_range_optimization": ranges, "enable_extended_wildcard": wildcard}


def fts(**params):
    return {"type": "FTS", "tokenizer_name": "standard", "filters": ["lowercase"], **params}


def vector(name, data_type, dimension, kind="FLAT", metric="L2", **params):
    small = {
        "HNSW": {"m": 8, "ef_construction": 40},
        "IVF": {"n_list": 4, "n_iters": 5},
        "VAMANA": {"max_degree": 16, "search_list_size": 40, "alpha": 1.2, "two_pass_build": True},
        "DISKANN": {"max_degree": 16, "list_size": 40, "pq_chunk_num": 0},
        "HNSW_RABITQ": {"num_clusters": 4, "m": 8, "ef_construction": 40, "total_bits": 7, "sample_count": 0},
        "IVF_RABITQ": {"nlist": 4, "total_bits": 7, "sample_count": 0},
    }
    made = {"name": name, "data_type": data_type, "index": {"type": kind, "metric": metric, **small.get(kind, {}), **params}}
    if dimension:
        made["dimension"] = dimension
    return made


def key(number):
    return f"doc_{number:05}"


def random_fields(r):
    fields = {}
    for item in r.schema["fields"]:
        # A null is either absent or an explicit None.
        if item["nullable"] and r.rng.random() < 0.3:
            if r.rng.random() < 0.5:
                fields[item["name"]] = None
            continue
        fields[item["name"]] = r.text(item) if (item["index"] or {}).get("type") == "FTS" else random_value(r.rng, item["data_type"])
    return fields


def documents(r, first, count):
    return [(key(number), random_fields(r), r.vectors()) for number in range(first, first + count)]


def change(r, first):
    """Each kind of write, on first..first+60 and with new documents behind."""
    r.insert(documents(r, first + 60, 12))
    r.upsert([(key(number), random_fields(r), r.vectors()) for number in range(first + 5, first + 12)])
    some = [item for item in r.schema["fields"] if item["name"] != "n"]
    updates = []
    for number in range(first + 12, first + 20):
        fields = random_fields(r)
        kept = {item["name"]: fields[item["name"]] for item in some if item["name"] in fields and r.rng.random() < 0.4}
        vectors = {name: value for name, value in r.vectors().items() if r.rng.random() < 0.5}
        updates.append((key(number), kept, vectors))
    r.update(updates)
    r.delete([key(number) for number in range(first + 20, first + 27)])
    r.insert(documents(r, first + 21, 2))
    r.delete([key(first + 62), key(first + 22)])


def rounds(r, per_step=60):
    """zvecctl, zvec with optimize, zvecctl, zvec with optimize, zvecctl."""
    r.step("zvecctl")
    r._do("create")
    r.insert(documents(r, 0, per_step))
    r.flush()
    change(r, 0)
    r.flush()
    r.insert(documents(r, 100, 3))
    r.flush()
    r.end()
    r.step("zvec")
    r.insert(documents(r, 200, per_step))
    r.flush()
    change(r, 200)
    removed(r, 203)
    r.optimize()
    r.end()
    r.step("zvecctl")
    r.insert(documents(r, 300, per_step))
    change(r, 300)
    # Of segments that zvec has built.
    r.delete([key(number) for number in (0, 1, 101, 204)])
    r.upsert([(key(number), random_fields(r), r.vectors()) for number in (2, 205)])
    r.update([(key(number), {"n": 7}, {}) for number in (3, 206)])
    r.flush()
    r.insert(documents(r, 400, 5))
    r.flush()
    r.end()
    r.step("zvec")
    r.insert(documents(r, 500, 10))
    r.optimize()
    r.end()
    r.step("zvecctl")
    r.delete([key(500)])
    r.flush()
    r.end()


def removed(r, number):
    value = r.live[key(number)][0]["n"]
    r.delete_by_filter(f"n = {value}", lambda fields: fields["n"] == value)


NUMBER = field("n", "INT32", False, invert(True))
DENSE = vector("dense", "VECTOR_FP32", 4)


# ---------------------------------------------------------------------------------------------------------------
# Scalars


def scalars(index=None, types=SCALARS + ARRAYS):
    fields = [NUMBER]
    for data_type in types:
        fields += [field(data_type.lower(), data_type, False, index), field(data_type.lower() + "_null", data_type, True, index)]
    return fields


@plan
def scalars_plain(r):
    """Every scalar and array type without an index, Arrow IPC."""
    r.create(scalars(), [DENSE])
    rounds(r)


@plan
def scalars_parquet(r):
    """Every scalar and array type with an inverted index, Parquet blocks, ingested from Parquet."""
    r.create(scalars(invert()), [DENSE], mmap=False)
    r.parquet = True
    rounds(r)


@plan
def inverted(r):
    """Every type with every option of the inverted index."""
    fields = [NUMBER]
    for data_type in SCALARS + ARRAYS:
        for suffix, ranges, wildcard in (("", False, False), ("_range", True, False), ("_wild", False, True), ("_both", True, True)):
            if not wildcard or data_type == "STRING":
                fields.append(field(data_type.lower() + suffix, data_type, True, invert(ranges, wildcard)))
    r.create(fields, [DENSE])
    rounds(r)


# ---------------------------------------------------------------------------------------------------------------
# Vectors

ALL = ("L2", "IP", "COSINE")


def by_metric(data_type, dimension, kind="FLAT", metrics=ALL, **params):
    return [vector(metric.lower(), data_type, dimension, kind, metric, **params) for metric in metrics]


def vectors(name, columns, recall=None, **more):
    @family(name)
    def _(r):
        r.create([NUMBER], columns, **more)
        r.recall = {column["name"]: recall for column in columns} if recall else {}
        rounds(r)


def int8(kind="FLAT", metrics=("L2", "IP")):
    return [vector("int8_" + metric.lower(), "VECTOR_INT8", 12, kind, metric) for metric in metrics]


def sparse(kind="FLAT"):
    return [
        vector("sparse32", "SPARSE_VECTOR_FP32", 0, kind, "IP"),
        vector("sparse16", "SPARSE_VECTOR_FP16", 0, kind, "IP"),
        vector("sparse32_16", "SPARSE_VECTOR_FP32", 0, kind, "IP", quantize="FP16"),
    ]


vectors("flat_fp32_int8", by_metric("VECTOR_FP32", 17) + int8())
vectors("flat_fp16", by_metric("VECTOR_FP16", 16))
vectors("flat_sparse", sparse())
vectors("hnsw_fp32_int8", by_metric("VECTOR_FP32", 16, "HNSW") + int8("HNSW"))
vectors("hnsw_fp16", by_metric("VECTOR_FP16", 16, "HNSW"))
vectors("hnsw_sparse", sparse("HNSW"))
vectors("ivf_fp32_int8", by_metric("VECTOR_FP32", 16, "IVF") + int8("IVF", ("L2",)), 0.5)
vectors("vamana_fp32_int8", by_metric("VECTOR_FP32", 16, "VAMANA") + int8("VAMANA"))
vectors("diskann_fp32", by_metric("VECTOR_FP32", 16, "DISKANN"))
for _q, _least in (("FP16", 0.9), ("INT8", 0.8), ("INT4", 0.3)):
    vectors(f"flat_q{_q.lower()}", by_metric("VECTOR_FP32", 16, quantize=_q), _least)
    vectors(f"hnsw_q{_q.lower()}", by_metric("VECTOR_FP32", 16, "HNSW", quantize=_q), _least)
vectors("ivf_qint8", by_metric("VECTOR_FP32", 16, "IVF", quantize="INT8"), 0.3)
vectors("vamana_qint8", by_metric("VECTOR_FP32", 16, "VAMANA", quantize="INT8"), 0.8)
vectors("hnsw_rabitq", by_metric("VECTOR_FP32", 64, "HNSW_RABITQ"), 0.3)
vectors("ivf_rabitq", by_metric("VECTOR_FP32", 64, "IVF_RABITQ"), 0.2)
vectors("hnsw_uniform", [vector(q.lower(), "VECTOR_FP32", 20, "HNSW", "L2", quantize="UNIFORM_" + q) for q in ("UINT8", "UINT7", "UINT4")], 0.3)
