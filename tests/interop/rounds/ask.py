"""What zvec is asked about a collection, and the right answers.

Filters and dense queries are answered here by brute force; everything is also asked of a collection in which zvec itself wrote the same
documents, where there is one.
"""

import math

import numpy as np

EVERYTHING = 10_000
TOP = 10
# Largest accepted error of a score, relative to the scores' scale; the metrics sum in FP32, or FP16 vectors.
NEAR = {"VECTOR_FP16": 2e-3, "SPARSE_VECTOR_FP16": 2e-3}


def answer(collection, plan, query=None, topk=EVERYTHING, **more):
    """The documents that a query finds, with as few fields as zvec manages: over several segments it fails now and then if it is asked
    for some of them."""
    few = [field["name"] for field in plan.schema["fields"] if field["name"] == "n"] or None
    try:
        return collection.query(query, topk=topk, output_fields=few, **more)
    except RuntimeError as error:
        if "mismatching schema size" not in str(error):
            raise
    return collection.query(query, topk=topk, **more)


def ids(docs):
    return sorted(doc.id for doc in docs)


# ---------------------------------------------------------------------------------------------------------------
# Filters


def literal(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return repr(value)


def sayable(value):
    """Whether a filter can name it."""
    if isinstance(value, str):
        return len(value) < 200 and not any(ord(letter) < 32 for letter in value) and "\\" not in value and "%" not in value
    return not isinstance(value, float) or math.isfinite(value) and value == float(f"{value:.6g}") and abs(value) > 1e-6 or value == 0


def comparable(value):
    """NaN has an order in the index and none elsewhere."""
    return not (isinstance(value, float) and math.isnan(value))


def text_key(value):
    return value.encode() if isinstance(value, str) else value


def filters(field, values):
    """(filter, predicate of a value that is not null) for a field with these values."""
    name, array = field["name"], field["data_type"].startswith("ARRAY_")
    yield f"{name} is null", None
    yield f"{name} is not null", lambda value: True
    flat = [item for value in values for item in value] if array else values
    known = sorted({text_key(value): value for value in flat if sayable(value)}.items())
    picked = [value for _, value in known[:: max(1, len(known) // 3)]][:4]
    if array:
        for count in (0, 1, 2):
            yield f"array_length({name}) = {count}", lambda value, count=count: len(value) == count
            yield f"array_length({name}) > {count}", lambda value, count=count: len(value) > count
        if not picked:
            return
        listed = ", ".join(map(literal, picked))
        for size in (1, 2, len(picked)):
            some = picked[:size]
            listed = ", ".join(map(literal, some))
            yield f"{name} contain_any ({listed})", lambda value, some=some: any(item in value for item in some)
            yield f"{name} contain_all ({listed})", lambda value, some=some: all(item in value for item in some)
            yield f"{name} not contain_any ({listed})", lambda value, some=some: not any(item in value for item in some)
            yield f"{name} not contain_all ({listed})", lambda value, some=some: not all(item in value for item in some)
        return
    for value in picked:
        said, key = literal(value), text_key(value)
        yield f"{name} = {said}", lambda other, value=value: other == value
        yield f"{name} != {said}", lambda other, value=value: other != value
        if field["data_type"] == "BOOL":
            continue
        yield f"{name} < {said}", lambda other, key=key: text_key(other) < key
        yield f"{name} <= {said}", lambda other, key=key: text_key(other) <= key
        yield f"{name} > {said}", lambda other, key=key: text_key(other) > key
        yield f"{name} >= {said}", lambda other, key=key: text_key(other) >= key
    if field["data_type"] == "BOOL" or not picked:
        return
    listed = ", ".join(map(literal, picked))
    yield f"{name} in ({listed})", lambda other: other in picked
    yield f"{name} not in ({listed})", lambda other: other not in picked
    if len(picked) > 2:
        low, high = text_key(picked[0]), text_key(picked[2])
        text = f"{name} >= {literal(picked[0])} and {name} < {literal(picked[2])}"
        yield text, lambda other: low <= text_key(other) < high
    if field["data_type"] == "STRING":
        for value in picked:
            if len(value) < 3 or "_" in value:
                continue
            yield f"{name} like {literal(value[:2] + '%')}", lambda other, value=value: other.startswith(value[:2])
            if (field.get("index") or {}).get("enable_extended_wildcard") or not field.get("index"):
                yield f"{name} like {literal('%' + value[-2:])}", lambda other, value=value: other.endswith(value[-2:])
                middle = value[:1] + "%" + value[-1:]
                yield (
                    f"{name} like {literal(middle)}",
                    lambda other, value=value: len(other) > 1 and other.startswith(value[:1]) and other.endswith(value[-1:]),
                )
                yield f"{name} like {literal('%' + value[1:-1] + '%')}", lambda other, value=value: value[1:-1] in other


def check_filters(plan, step, asked, twin):
    wrong, count = [], 0
    for field in plan.schema["fields"]:
        name = field["name"]
        if (field.get("index") or {}).get("type") == "FTS":
            continue  # zvec filters by none
        has = {key: doc[0][name] for key, doc in step["live"].items() if name in doc[0]}
        for text, predicate in filters(field, list(has.values())):
            count += 1
            odd = any(not comparable(item) for value in has.values() for item in (value if isinstance(value, list) else [value]))
            if predicate is None:
                expected = sorted(step["live"].keys() - has.keys())
            else:
                expected = sorted(key for key, value in has.items() if predicate(value))
            got = ids(answer(asked, plan, filter=text))
            own = ids(answer(twin, plan, filter=text)) if twin else expected
            if got != own:
                wrong.append(f"filter {text}: {short(got, own)} beside zvec's own collection")
            if got != expected and not odd:
                wrong.append(f"filter {text}: {short(got, expected)}")
    return wrong, count


def short(got, expected):
    return f"{len(got)} documents, {len(expected)} expected; missing {sorted(set(expected) - set(got))[:4]}, wrong {sorted(set(got) - set(expected))[:4]}"


# ---------------------------------------------------------------------------------------------------------------
# Vectors


def scores(field, rows, query):
    """zvec's own scores: squared distance, inner product, 1 - cosine."""
    metric = field["index"].get("metric", "IP")
    rows, query = rows.astype(np.float64), query.astype(np.float64)
    if metric == "L2":
        return ((rows - query) ** 2).sum(1)
    if metric == "IP":
        return rows @ query
    norms = np.linalg.norm(rows, axis=1) * np.linalg.norm(query)
    return 1 - rows @ query / np.where(norms == 0, 1, norms)


def sparse_scores(rows, query):
    return np.array([sum(value * query.get(index, 0.0) for index, value in row.items()) for row in rows])


def check_vector(zvec, plan, step, field, asked, twin, built):
    """One query: every document with its score where the index is FLAT, enough of the true neighbours else."""
    name, data_type = field["name"], field["data_type"]
    keys = sorted(key for key, doc in step["live"].items() if name in doc[1])
    if not keys:
        return []
    wrong = []
    for number in range(2):
        query = plan.vector(field)
        rows = [step["live"][key][1][name] for key in keys]
        if data_type.startswith("SPARSE"):
            true = sparse_scores(rows, query)
        else:
            true = scores(field, np.array(rows, dtype=np.float32), np.array(query, dtype=np.float32))
        sign = -1 if field["index"].get("metric", "IP") == "IP" else 1
        order = np.argsort(sign * true, kind="stable")
        true_of = dict(zip(keys, true.tolist()))
        exact = not built and field["index"].get("quantize", "UNDEFINED") == "UNDEFINED" and not field["index"]["type"].endswith("RABITQ")
        found = answer(asked, plan, zvec.Query(name, vector=query), TOP)
        got = [(doc.id, doc.score) for doc in found]
        if len(got) != min(TOP, len(keys)) and not data_type.startswith("SPARSE"):
            wrong.append(f"query {name}: {len(got)} documents")
        scale = max(1.0, float(np.abs(true).max()))
        worst = true[order[min(TOP, len(keys)) - 1]]
        if exact:
            for key, score in got:
                slack = NEAR.get(data_type, 1e-5) * scale
                if key not in true_of or abs(true_of[key] - score) > slack or sign * (true_of[key] - worst) > slack:
                    wrong.append(f"query {name}: {key} with the score {score}, by brute force {true_of.get(key)}, the last of {TOP} has {worst}")
        else:
            slack = 1e-5 * scale
            good = [key for key, _ in got if key in true_of and sign * (true_of[key] - worst) <= slack]
            share = len(good) / max(1, len(got))
            least = plan.recall.get(name, 0.9)
            if share < least:
                wrong.append(f"query {name}: finds {share:.2f} of the true neighbours, less than {least}")
        # Each file is rotated at random, zvec's own too: codes and scores are others, as near as quantisation allows.
        rotated = field["index"].get("quantizer_param", {}).get("enable_rotate", False)
        if twin and not built and not rotated:
            own = {doc.id: doc.score for doc in answer(twin, plan, zvec.Query(name, vector=query))}
            ours = {doc.id: doc.score for doc in answer(asked, plan, zvec.Query(name, vector=query))}
            # An update that does not give it writes a normalised vector anew, from what was read back.
            slack = 2e-6 if field["index"].get("metric") == "COSINE" else 0.0
            odd = [
                (key, ours.get(key), own.get(key))
                for key in sorted(own.keys() | ours.keys())
                if not (key in own and key in ours and abs(own[key] - ours[key]) <= slack)
            ]
            if odd:
                wrong.append(f"query {name}: {len(odd)} of {len(own)} scores are others beside zvec's own collection: {odd[:3]}")
    return wrong


# ---------------------------------------------------------------------------------------------------------------
# Full text


def check_text(zvec, plan, asked, twin, exact):
    """Hits, and where `exact` says so scores, are those of zvec's own collection."""
    wrong, hits = [], 0
    for name, texts in plan.text_queries.items():
        for kind, text in texts:
            query = zvec.Query(name, fts=zvec.Fts(**{kind: text}))
            ours = {doc.id: doc.score for doc in answer(asked, plan, query)}
            own = {doc.id: doc.score for doc in answer(twin, plan, query)}
            hits += len(own)
            if ours.keys() != own.keys():
                wrong.append(f"text {name} {text!r}: {short(sorted(ours), sorted(own))}")
            elif exact and ours != own:
                odd = [(key, ours[key], own[key]) for key in ours if ours[key] != own[key]]
                wrong.append(f"text {name} {text!r}: {len(odd)} of {len(own)} scores are others: {odd[:3]}")
    if plan.text_queries and not hits:
        wrong.append("no text query finds anything")
    return wrong


def check_all(zvec, plan, step, asked, twin, built):
    wrong, _ = check_filters(plan, step, asked, twin)
    for field in plan.schema["vectors"] if plan.ask_vectors else []:
        wrong += check_vector(zvec, plan, step, field, asked, twin, built)
    if twin:
        wrong += check_text(zvec, plan, asked, twin, plan.exact_text)
    return wrong
