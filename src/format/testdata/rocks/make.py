"""Makes the tables and the database of this directory (not zvec/) with RocksDB itself.

    pip install rocksdict; python make.py

Run in this directory. RocksDB puts identities and times into its files, so a new run gives other bytes with the same rows.
"""
import os, random, shutil, tempfile
from rocksdict import (BlockBasedIndexType, BlockBasedOptions, ChecksumType, DataBlockIndexType, DBCompressionType,
                       Options, Rdict, SstFileWriter, WriteBatch)

TABLES = [  # name, format version, checksum, compression, index, hash index in data blocks
    ("fv2_crc32c_none", 2, "crc32c", "none", "binary_search", False),
    ("fv3_xxhash_snappy", 3, "xxhash", "snappy", "binary_search", False),
    ("fv4_xxh3_lz4", 4, "xxh3", "lz4", "binary_search", True),
    ("fv5_crc32c_snappy", 5, "crc32c", "snappy", "binary_search", False),
    ("fv5_xxh3_none", 5, "xxh3", "none", "binary_search", False),
    ("fv5_xxhash64_zstd_twolevel", 5, "xxhash64", "zstd", "two_level_index_search", False),
    ("fv6_xxh3_zstd", 6, "xxh3", "zstd", "binary_search", True),
    ("fv6_crc32c_lz4hc", 6, "crc32c", "lz4hc", "two_level_index_search", False),
    ("fv6_no_checksum_none", 6, "no_checksum", "none", "binary_search", False),
]


def options(version, checksum, compression, index, hashed):
    options, table = Options(raw_mode=True), BlockBasedOptions()
    options.create_if_missing(True)
    table.set_format_version(version)
    table.set_checksum_type(getattr(ChecksumType, checksum)())
    table.set_block_size(256)
    table.set_metadata_block_size(64)
    table.set_index_type(getattr(BlockBasedIndexType, index)())
    table.set_index_block_restart_interval(1 + version % 4)
    table.set_partition_filters(index != "binary_search")
    table.set_data_block_index_type(getattr(DataBlockIndexType, "binary_and_hash" if hashed else "binary_search")())
    table.set_bloom_filter(10, False)
    options.set_block_based_table_factory(table)
    options.set_compression_type(getattr(DBCompressionType, compression)())
    options.set_disable_auto_compactions(True)
    return options


def fill(db):
    for n in range(60):
        db[b"key%03d" % (n * 3)] = b"value %d " % n * (n % 5)


for name, *spec in TABLES:
    with tempfile.TemporaryDirectory() as directory:
        db = Rdict(directory, options(*spec))
        fill(db)
        db.flush()
        db.close()
        (sst,) = [f for f in os.listdir(directory) if f.endswith(".sst")]
        shutil.copy(os.path.join(directory, sst), name + ".sst")

# Overwrites, deletions and range deletions over three levels of age, an ingested table, an unflushed log; two families.
spec = TABLES[4][1:]
shutil.rmtree("db", ignore_errors=True)
live = tempfile.mkdtemp()
db = Rdict(live, options(*spec))
other = db.create_column_family("other", options(*spec))
rng = random.Random(7)
for phase in range(4):
    for family in (db, other):
        for _ in range(40):
            key = b"k%02d" % rng.randrange(60)
            if rng.random() < 0.75:
                family[key] = b"%d/%d " % (phase, rng.randrange(100)) * rng.randrange(0, 6)
            else:
                del family[key]
        family.delete_range(b"k%02d" % (10 + 12 * phase), b"k%02d" % (14 + 12 * phase))
        family[b"k%02d" % (11 + 12 * phase)] = b"after the range"
    if phase == 1:
        db.compact_range(None, None)
    if phase == 2:
        writer = SstFileWriter(options(*spec))
        writer.open(live + ".external")
        for n in range(0, 60, 4):
            writer[b"k%02d" % n] = b"ingested"
        writer.finish()
        db.ingest_external_file([live + ".external"])
    if phase < 3:
        db.flush()
        other.flush()
batch = WriteBatch(raw_mode=True)
batch.put(b"k61", b"batched", db.get_column_family_handle("other"))
batch.delete(b"k61")
batch.put(b"k62", b"batched")
db.write(batch)
with open("db.rows", "w") as rows:
    for name, family in (("default", db), ("other", other)):
        rows.writelines(f"{name} {k.hex()} {v.hex()}\n" for k, v in family.items())
# Copied before closing, which would flush the log.
os.mkdir("db")
for name in os.listdir(live):
    if name == "CURRENT" or name.startswith("MANIFEST") or name.endswith((".sst", ".log")):
        shutil.copy(os.path.join(live, name), "db")
other.close()
db.close()
shutil.rmtree(live)
