"""Tests of scripts/trace_flush.py on traces made up: a good one passes, and every single step left out or moved is found."""

from trace_flush import check

GOOD = """
1 mkdir("/w/c", 0777) = 0
1 openat(AT_FDCWD</w>, "c/LOCK", O_RDWR|O_CREAT|O_EXCL|O_CLOEXEC, 0666) = 3</w/c/LOCK>
1 openat(AT_FDCWD</w>, "/w/c/del.1", O_RDWR|O_CREAT|O_EXCL|O_CLOEXEC, 0666) = 4</w/c/del.1>
1 write(4</w/c/del.1>, ""..., 8) = 8
1 fsync(4</w/c/del.1>) = 0
1 mkdir("/w/c/0", 0777) = 0
1 openat(AT_FDCWD</w>, "/w/c/0/a, b.ipc", O_RDWR|O_CREAT|O_EXCL|O_CLOEXEC, 0666) = 5</w/c/0/a, b.ipc>
1 pwrite64(5</w/c/0/a, b.ipc>, ""..., 100, 0) = 100
2 pwrite64(5</w/c/0/a, b.ipc>, ""..., 100, 100 <unfinished ...>
1 ftruncate(4</w/c/del.1>, 8) = -1 EINVAL (Invalid argument)
2 <... pwrite64 resumed>) = 100
2 fdatasync(5</w/c/0/a, b.ipc> <unfinished ...>
2 <... fdatasync resumed>) = 0
1 fsync(6</w/c/0>) = 0
1 fsync(6</w/c>) = 0
1 openat(AT_FDCWD</w>, "/w/c/manifest.1.tmp", O_RDWR|O_CREAT|O_EXCL|O_CLOEXEC, 0666) = 7</w/c/manifest.1.tmp>
1 pwrite64(7</w/c/manifest.1.tmp>, ""..., 50, 0) = 50
1 fsync(7</w/c/manifest.1.tmp>) = 0
1 rename("/w/c/manifest.1.tmp", "/w/c/manifest.1") = 0
1 fsync(8</w/c>) = 0
1 unlink("/w/c/manifest.0") = 0
1 unlinkat(AT_FDCWD</w>, "/w/c/0/0.wal", 0) = 0
1 fsync(9</w>) = 0
1 +++ exited with 0 +++
""".strip().splitlines()


def problems(lines):
    checker = check("/w/c", [("made up", lines)], say=lambda _: None)
    assert checker.published <= 1
    return checker.problems


def in_pieces():
    """The good trace as that of three programs, cut where nothing was removed yet: what the first one left is synced by the next."""
    checker = check("/w/c", [("1", GOOD[:4]), ("2", GOOD[4:14]), ("3", GOOD[14:])], say=lambda _: None)
    return [problem for problem in checker.problems if "directory above" not in problem]


def without(text):
    left = [line for line in GOOD if text not in line]
    assert len(left) < len(GOOD), text
    return left


def moved(text, before):
    line = next(line for line in GOOD if text in line)
    lines = [other for other in GOOD if other is not line]
    lines.insert(next(number for number, other in enumerate(lines) if before in other), line)
    return lines


def run():
    cases = [
        ("a good trace", GOOD, None),
        ("a file never synced", without("fsync(4</w/c/del.1>"), "before del.1 is synced"),
        ("a file synced before its last write", moved("fsync(4</w/c/del.1>", "write(4</w/c/del.1>"), "before del.1 is synced"),
        ("a file of a thread never synced", without("fdatasync"), "before 0/a, b.ipc is synced"),
        ("a sync that began before the write ended", moved("2 fdatasync", "2 <... pwrite64"), "before 0/a, b.ipc is synced"),
        ("a sync that never returned", without("<... fdatasync"), "before 0/a, b.ipc is synced"),
        ("a new directory never synced", without("fsync(6</w/c/0>"), "before directory 0 is synced"),
        ("the collection's directory not synced before", without("fsync(6</w/c>)"), "before directory . is synced"),
        ("a directory synced before its file is made", moved("fsync(6</w/c/0>", '0/a, b.ipc", O_RDWR'), "before directory 0"),
        ("the temporary manifest never synced", without("fsync(7"), "before manifest.1.tmp is synced"),
        ("the temporary manifest synced after the rename", moved("rename(", "fsync(7"), "before manifest.1.tmp is synced"),
        ("the directory not synced after the rename", without("fsync(8"), "not synced after it"),
        ("an old manifest removed before that sync", moved('unlink("/w/c/manifest.0', "fsync(8"), "removed before the directory"),
        ("a WAL removed before the publication", moved("unlinkat", "fsync(7"), "nothing was published that replaces it"),
        ("the directory above never synced", without("fsync(9"), "the directory above"),
        ("a manifest written in place", [line.replace("manifest.1.tmp", "manifest.1") for line in without("rename(")], "written in its place"),
        ("a failed sync", [line.replace("fsync(7</w/c/manifest.1.tmp>) = 0", "fsync(7</w/c/manifest.1.tmp>) = -1 EIO (x)") for line in GOOD], "before manifest.1.tmp is synced"),
    ]
    failed = len(in_pieces())
    for title, lines, expected in cases:
        found = problems(lines)
        good = not found if expected is None else any(expected in problem for problem in found)
        failed += not good
        print(f"{'ok    ' if good else 'FAILED'} {title}" + ("" if good else f": {found}"))
    print(f"{len(cases)} cases, {failed} failed")
    return 1 if failed else 0
