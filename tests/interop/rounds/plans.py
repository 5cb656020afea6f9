"""The round trips: schemas, documents and steps."""

import math

from both import Round
from maker import f32
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


def made(name, folder):
    """A plan with all its steps; the same each time. `folder` has what a collection that is there already consists of."""
    result = Round(name, folder)
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
        if (item.get("index") or {}).get("type") == "FTS":
            fields[item["name"]] = text(r)
        elif item["name"] == "n" and item["data_type"] == "INT32":
            # No value twice, so that a filter names one document.
            r.numbers += 1
            fields["n"] = r.numbers
        else:
            fields[item["name"]] = random_value(r.rng, item["data_type"])
    return fields


def text(r):
    words = " ".join(f"word{r.rng.randrange(30)}" for _ in range(r.rng.randrange(12)))
    return r.rng.choice(["", "The common word " + words + ", Naïve Café! don't 3.14 日本", "Common RUNNING runners " + words, words])


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


def rounds(r, merges=True):
    """zvecctl, zvec with optimize, zvecctl, zvec with optimize (which merges segments), zvecctl."""
    r.step("zvecctl")
    r._do("create")
    r.insert(documents(r, 0, 60))
    r.flush()
    change(r, 0)
    r.flush()
    r.insert(documents(r, 100, 3))
    r.flush()
    r.end()
    r.step("zvec")
    r.insert(documents(r, 200, 60))
    r.flush()
    change(r, 200)
    removed(r, 259)
    r.optimize()
    r.end()
    r.step("zvecctl")
    r.insert(documents(r, 300, 60))
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
    if merges:
        r.optimize()
    else:
        r.flush()
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


def vectors(name, columns, recall=None, merges=True):
    @family(name)
    def _(r):
        r.create([NUMBER], columns)
        r.recall = {column["name"]: recall for column in columns} if recall else {}
        rounds(r, merges)


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
# zvec puts a wrong rotation beside the codes when it optimizes HNSW and VAMANA, and when it compacts FLAT.
ROTATED = {"quantizer_param": {"enable_rotate": True}}
vectors("flat_qint8_rotated", by_metric("VECTOR_FP32", 20, quantize="INT8", **ROTATED), 0.8, merges=False)
vectors("flat_qint4_rotated", by_metric("VECTOR_FP32", 32, quantize="INT4", **ROTATED), 0.3, merges=False)
vectors("ivf_qint8_rotated", by_metric("VECTOR_FP32", 20, "IVF", quantize="INT8", **ROTATED), 0.3)
vectors("ivf_qint8", by_metric("VECTOR_FP32", 16, "IVF", quantize="INT8"), 0.3)
vectors("vamana_qint8", by_metric("VECTOR_FP32", 16, "VAMANA", quantize="INT8"), 0.8)
vectors("hnsw_rabitq", by_metric("VECTOR_FP32", 64, "HNSW_RABITQ"), 0.3)
# zvec cannot merge these ("raw_vector_provider is required for RABITQ training").
vectors("flat_qrabitq", by_metric("VECTOR_FP32", 64, quantize="RABITQ"), merges=False)
vectors("ivf_rabitq", by_metric("VECTOR_FP32", 64, "IVF_RABITQ"), 0.2)
vectors("hnsw_uniform", [vector(q.lower(), "VECTOR_FP32", 20, "HNSW", "L2", quantize="UNIFORM_" + q) for q in ("UINT8", "UINT7", "UINT4")], 0.3)
vectors(
    "narrow_flat_types",
    [
        vector("fp16", "VECTOR_FP32", 16, "HNSW", "L2", quantize="INT8", flat_data_type="VECTOR_FP16"),
        vector("uint8", "VECTOR_FP32", 16, "HNSW", "L2", quantize="INT8", flat_data_type="VECTOR_UINT8"),
        vector("vamana", "VECTOR_FP32", 16, "VAMANA", "L2", quantize="INT8", flat_data_type="VECTOR_FP16"),
        vector("contiguous", "VECTOR_FP32", 16, "HNSW", "IP", use_contiguous_memory=True, use_flat_contiguous_memory=True),
        vector("flat_contiguous", "VECTOR_FP32", 16, "FLAT", "COSINE", use_contiguous_memory=True),
    ],
    0.5,
)


@plan
def nullable_vectors(r):
    """Rows without vectors. zvec returns zero vectors for them, and nothing at all for some: the same as of its own collection."""
    columns = by_metric("VECTOR_FP32", 8) + [vector("coded", "VECTOR_FP32", 8, "HNSW", "L2", quantize="INT8"), vector("sparse", "SPARSE_VECTOR_FP32", 0, metric="IP")]
    r.create([NUMBER], [{**column, "nullable": True} for column in columns])
    r.ask_vectors, r.as_twin = False, True

    def some(first, count):
        for number in range(first, first + count):
            vectors = r.vectors()
            # The last row has them all: zvec does not return what is behind the last vector.
            gone = [name for place, name in enumerate(vectors) if (number + place) % 4 == 0 and number != first + count - 1]
            yield key(number), {"n": number}, {name: None if name in gone else value for name, value in vectors.items()}

    r.step("zvecctl")
    r._do("create")
    r.insert(some(0, 40))
    r.flush()
    r.insert(some(100, 40))
    r.flush()
    r.end()
    r.step("zvec")
    r.insert(some(200, 20))
    r.flush()
    r.end()
    r.step("zvecctl")
    r.upsert(some(10, 10))
    r.flush()
    r.end()
    r.step("zvec")
    r.end()


# ---------------------------------------------------------------------------------------------------------------
# Full text

TEXTS = [
    ("match_string", "word3"),
    ("match_string", "common word7 runners"),
    ("match_string", "Café"),
    ("match_string", "cafe naive"),
    ("match_string", "日本 3.14"),
    ("match_string", "RUNNING"),
    ("query_string", "+common -word4"),
    ("query_string", "+word1 +word2"),
    ("query_string", '"common word"'),
    ("query_string", '"don\'t 3.14"'),
    ("query_string", "word5 OR word6"),
]


def text_fields():
    return [
        field("standard", "STRING", True, fts()),
        field("folding", "STRING", True, fts(filters=["lowercase", "ascii_folding"])),
        field("plain", "STRING", False, fts(filters=[])),
        field("whitespace", "STRING", True, fts(tokenizer_name="whitespace")),
        field("short", "STRING", True, fts(extra_params='{"max_token_length": 5}')),
    ]


@plan
def full_text(r):
    """Full-text indexes: hits and scores as in zvec's own collection."""
    r.create([NUMBER, *text_fields()], [DENSE])
    r.text_queries = {item["name"]: TEXTS for item in r.schema["fields"][1:]}
    rounds(r)


@plan
def full_text_more(r):
    """N-grams and stemmers likewise."""
    fields = [
        NUMBER,
        field("ngram", "STRING", True, fts(tokenizer_name="ngram")),
        field("ngram_letters", "STRING", True, fts(tokenizer_name="ngram", filters=[], extra_params='{"ngram_max": 3, "token_chars": ["letter"]}')),
        field("stemmer", "STRING", True, fts(filters=["lowercase", "stemmer"])),
        field("german", "STRING", True, fts(filters=["lowercase", "stemmer"], extra_params='{"stemmer_lang": "german"}')),
    ]
    r.create(fields, [DENSE])
    r.text_queries = {item["name"]: TEXTS for item in r.schema["fields"][1:]}
    rounds(r)


# ---------------------------------------------------------------------------------------------------------------
# Shapes


def mixed():
    fields = [
        NUMBER,
        field("title", "STRING", True),
        field("name", "STRING", False, invert(False, True)),
        field("tags", "ARRAY_STRING", True, invert()),
        field("weight", "DOUBLE", True, invert(True)),
        field("body", "STRING", True, fts()),
    ]
    return fields, [vector("dense", "VECTOR_FP32", 8, "HNSW", "COSINE", quantize="INT8"), vector("sparse", "SPARSE_VECTOR_FP32", 0, "HNSW", "IP")]


@plan
def small_segments(r):
    """A new segment after 40 documents; ranking is by segment, so that scores of texts are not those of one large one."""
    r.create(*mixed(), segment=40)
    r.recall = {"dense": 0.8}
    r.text_queries, r.exact_text = {"body": TEXTS}, False
    rounds(r)


@plan
def small_segments_parquet(r):
    """The same with Parquet blocks; without HNSW, which zvec cannot build then."""
    fields, _ = mixed()
    r.create(fields, [vector("dense", "VECTOR_FP32", 8, "IVF", "L2"), vector("sparse", "SPARSE_VECTOR_FP32", 0, "FLAT", "IP")], mmap=False, segment=40)
    r.recall = {"dense": 0.5}
    r.parquet = True
    rounds(r)


@plan
def extremes(r):
    """Values and ids at the edge."""
    fields = [NUMBER, field("long", "STRING", True), field("wide", "ARRAY_STRING", True)]
    for data_type in SCALARS:
        index = invert(True, True) if data_type != "STRING" else invert(True)
        fields += [field(data_type.lower(), data_type, True, index), field("array_" + data_type.lower(), "ARRAY_" + data_type, True, invert())]
    r.create(fields, [DENSE])
    keys = list("abcXYZ019_-!@#$%+=.~^&*()[]{}|;:,<>?`\\\"'/ ") + ["ö", "e\u0301", "日本語", "🦀", "a b", "a/b", "\ufeff", "-", "--help"]
    keys += ["a" * length for length in (64, 65, 255, 1024)] + ["🦀" * 256]

    keys = list(dict.fromkeys(keys))

    def document(number, name):
        values = {"n": number, "long": "ä" * 500_000 if number % 20 == 3 else None, "wide": ["w" * 200_000] * 3 if number % 20 == 4 else []}
        for data_type in SCALARS:
            extreme = EXTREMES[data_type]
            values[data_type.lower()] = None if number % 7 == 0 else extreme[number % len(extreme)]
            values["array_" + data_type.lower()] = None if number % 5 == 0 else extreme[: number % (len(extreme) + 1)]
        return name, values, r.vectors()

    r.step("zvecctl")
    r._do("create")
    r.insert([document(number, name) for number, name in enumerate(keys)])
    r.delete([name for name in keys[::9] if not name.startswith("-")])
    r.flush()
    r.end()
    r.step("zvec")
    r.upsert([document(number + 1, name) for number, name in enumerate(keys) if number % 4 == 0])
    r.flush()
    r.optimize()
    r.end()
    r.step("zvecctl")
    r.upsert([document(number + 2, name) for number, name in enumerate(keys) if number % 4 == 1])
    r.flush()
    r.end()
    r.step("zvec")
    r.optimize()
    r.end()


def log_of(r, first):
    r.insert(documents(r, first, 60))
    change(r, first)


@plan
def log_only(r):
    """Nothing but a write-ahead log: zvec replays ours."""
    r.create(*mixed())
    r.recall = {"dense": 0.8}
    r.text_queries = {"body": TEXTS}
    r.step("zvecctl")
    r._do("create")
    log_of(r, 0)
    r.end()
    r.step("zvec")
    r.flush()
    r.end()
    r.step("zvecctl")
    log_of(r, 100)
    # Of rows that are in blocks.
    r.delete([key(number) for number in (0, 1)])
    r.upsert([(key(number), random_fields(r), r.vectors()) for number in (2, 3)])
    r.update([(key(number), {"title": "new", "tags": None}, {}) for number in (4, 15)])
    r.end()
    r.step("zvec")
    r.insert(documents(r, 200, 10))
    r.optimize()
    r.end()
    r.step("zvecctl")
    log_of(r, 300)
    r.end()
    r.step("zvec")
    r.optimize()
    r.end()


def killed(r):
    r.step("zvecctl")
    r._do("create")
    r.insert(documents(r, 0, 60))
    r.flush()
    r.end()
    for first in (100, 200):
        r.step("zvec")
        if first == 200:
            r.optimize()
        log_of(r, first)
        removed(r, first + 1)
        # Of flushed rows.
        r.delete([key(first // 10), key(first // 10 + 1)])
        r.update([(key(first // 10 + 2), {"n": first * 1000}, {}), (key(first + 2), {"n": first * 1000 + 1}, {})])
        r.upsert([(key(first // 10 + 3), random_fields(r), r.vectors())])
        removed(r, first // 10 + 4)
        r.kill()
        r.end()
        r.step("zvecctl")
        r.recover()
        r.insert(documents(r, first + 80, 5))
        r.flush()
        r.end()
    r.step("zvec")
    r.insert(documents(r, 400, 10))
    r.optimize()
    r.end()


@plan
def killed_zvec(r):
    """What a killed zvec acknowledged, recovered."""
    r.create(*mixed())
    r.recall = {"dense": 0.8}
    r.text_queries = {"body": TEXTS}
    killed(r)


@plan
def killed_zvec_small_segments(r):
    """The same over segments of 40 documents, blocks in Parquet."""
    fields, _ = mixed()
    r.create(fields, [vector("dense", "VECTOR_FP32", 8, "FLAT", "COSINE", quantize="INT4")], mmap=False, segment=40)
    r.recall = {"dense": 0.3}
    killed(r)


@plan
def vectors_edge(r):
    """Zero, constant, huge, tiny and infinite vectors."""
    r.create([NUMBER], by_metric("VECTOR_FP32", 8) + [vector("half", "VECTOR_FP16", 8), vector("coded", "VECTOR_FP32", 8, quantize="INT8", metric="COSINE")])
    r.ask_vectors = False
    rows = [
        [0.0] * 8,
        [0.5] * 8,
        [-1.0] * 8,
        [1e-30, -1e-30, 1e-20, 0.0, -0.0, 1.0, 2.0, 3.0],
        [6e4, -6e4, 1.0, 0.0, 5.960464477539063e-08, 6.103515625e-05, 1e-3, 1.0],
    ]
    wild = [[math.inf, -math.inf, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [math.nan, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], [3e38] * 8]

    def document(number):
        values = {name: rows[number % 5] for name in r.types if name != "n"}
        if number % 4 == 0:
            values["l2"] = values["ip"] = wild[number % 3]
        return key(number), {"n": number}, {name: [f32(item) for item in value] for name, value in values.items()}

    r.step("zvecctl")
    r._do("create")
    r.insert([document(number) for number in range(40)])
    r.flush()
    r.end()
    r.step("zvec")
    r.insert([document(number) for number in range(40, 60)])
    r.optimize()
    r.end()
    r.step("zvecctl")
    r.upsert([document(number) for number in range(30, 50)])
    r.flush()
    r.end()
    r.step("zvec")
    r.end()


def bare(name, fields, vectors):
    @family(name)
    def _(r):
        r.create(fields, vectors)
        r.step("zvecctl")
        r._do("create")
        r.end()
        r.step("zvec")
        r.insert(documents(r, 0, 20))
        r.flush()
        r.end()
        r.step("zvecctl")
        r.insert(documents(r, 100, 20))
        r.delete([key(3), key(103)])
        r.flush()
        r.end()
        r.step("zvec")
        r.insert(documents(r, 200, 20))
        r.optimize()
        r.end()
        r.step("zvecctl")
        r.delete(sorted(r.live))
        r.flush()
        r.insert(documents(r, 300, 3))
        r.flush()
        r.end()
        r.step("zvec")
        r.optimize()
        r.end()


bare("empty_scalars_alone", [NUMBER, field("text", "STRING", True, fts()), field("tag", "STRING", True)], [])
bare("empty_vector_alone", [], [vector("dense", "VECTOR_FP32", 4, "HNSW", "IP")])
bare("empty_mixed", *mixed())


@plan
def large(r):
    """Thousands of documents: postings as bitmaps, batches of 4096 rows, several feature segments of vectors, many flushes."""
    fields = [
        NUMBER,
        field("two", "STRING", False, invert(True, True)),
        field("few", "INT64", True, invert(True)),
        field("real", "DOUBLE", True, invert(True)),
        field("tags", "ARRAY_STRING", True, invert()),
        field("body", "STRING", True, fts()),
    ]
    r.create(fields, [vector("dense", "VECTOR_FP32", 128, "FLAT", "L2", quantize="INT8")])
    r.recall = {"dense": 0.8}
    r.text_queries = {"body": TEXTS}

    def many(first, count):
        docs = []
        for number in range(first, first + count):
            values = {"n": number, "two": f"v{number % 2}", "few": number % 9 if number % 5 else None, "real": number / 8}
            values["tags"] = [f"t{item}" for item in range(number % 4)]
            values["body"] = text(r)
            docs.append((key(number), values, r.vectors()))
        return docs

    r.step("zvecctl")
    r._do("create")
    r.insert(many(0, 4300))
    r.flush()
    for first in range(4300, 4540, 20):
        r.insert(many(first, 20))
        r.delete([key(first - 1)])
        r.flush()
    r.end()
    r.step("zvec")
    r.insert(many(6000, 100))
    r.optimize()
    r.end()
    r.step("zvecctl")
    r.insert(many(7000, 50))
    r.delete([key(number) for number in range(0, 4000, 9)])
    r.flush()
    r.end()
    r.step("zvec")
    r.optimize()
    r.end()


# ---------------------------------------------------------------------------------------------------------------
# Collections that are there already

# Without what zvec 0.8.0 cannot open: blocks of 0.1.0 with dense vectors, COSINE with INT8 of 0.1.0 to 0.2.0.
OLD = [
    "samples/0.1.0_crash",
    "good/0.1.1_small_killed",
    "good/0.2.0_small_killed",
    "good/0.2.1_ivf_fp32_optimized",
    "good/0.2.1_small_flushed",
    "good/0.3.1_hnsw_rabitq_optimized",
    "good/0.3.1_small_flushed",
    "good/0.4.0_column_added",
    "good/0.4.0_vamana_fp32_optimized",
    "good/0.5.1_fts_flushed",
    "good/0.6.0_segments_by_optimize",
    "good/0.6.0_small_killed",
    "good/0.7.0_flat_qint4_flushed",
    "good/0.7.0_small_segments",
    "good/0.8.0_all_deleted_optimized",
    "good/0.8.0_changed_optimized",
    "good/0.8.0_columns_changed_optimized",
    "good/0.8.0_compacted",
    "good/0.8.0_diskann_fp32_optimized",
    "good/0.8.0_fts_sealed",
    "good/0.8.0_hnsw_uniform_uint8_optimized",
    "good/0.8.0_index_created",
    "good/0.8.0_invert_bitmaps",
    "good/0.8.0_ivf_rabitq_optimized",
    "good/0.8.0_parquet_killed",
    "good/0.8.0_wal_recovered",
    "damaged/real_0.8.0_optimize_killed_rolling",
    "damaged/real_0.8.0_optimize_killed_sealing_texts",
    "damaged/real_0.8.0_optimize_killed_compacting",
    "damaged/real_0.8.0_optimize_killed_removing",
]


ARCHIVES = {archive.split("/")[1].replace("real_", ""): archive for archive in OLD}
for _name, _archive in ARCHIVES.items():

    @family(_name)
    def _(r, archive=_archive):
        r.existing(archive)
        r.recall = {item["name"]: 0.2 for item in r.schema["vectors"]}
        keys = sorted(r.live)
        r.step("zvecctl")
        r.recover()
        r.insert(documents(r, 5000, 40))
        r.delete(keys[3:6])
        r.upsert([(name, random_fields(r), r.vectors()) for name in keys[8:12]])
        r.update([(name, {}, r.vectors()) for name in keys[13:15]])
        r.flush()
        r.end()
        r.step("zvec")
        r.insert(documents(r, 6000, 30))
        r.delete(keys[15:17])
        r.optimize()
        r.end()
        r.step("zvecctl")
        r.insert(documents(r, 7000, 5))
        r.delete(keys[20:22])
        r.flush()
        r.end()
        r.step("zvec")
        r.insert(documents(r, 8000, 1))
        r.end()
