"""Checks a trace of zvecctl's system calls (strace -f -y) and prints its essence; called by scripts/trace-flush.

Held, in a collection:
- a manifest comes to its name by rename, never by being written there;
- its temporary file was synced before the rename, and so was every file that was created or changed before, LOCK files excepted;
- every directory that has a new name in it was synced before the rename, for LOCK files and the temporary file itself excepted;
- the collection's directory is synced after the rename, before anything is removed and before the program ends;
- manifests, WALs and delete snapshots are removed only after a manifest was published by the same program;
- the name of a new collection is synced in the directory above before the program ends.

A sync counts for what was written before it began, once it has returned.
"""

import os
import re
import sys

MANIFEST = re.compile(r"(manifest\.\d+|MANIFEST_\d+)$")
NEEDED = re.compile(r"(manifest\.\d+|MANIFEST_\d+|.*\.wal|del\.\d+)$")
CALL = re.compile(r"^(?:(\d+)\s+)?(\w+)\((.*)$", re.S)
RESUMED = re.compile(r"^(?:(\d+)\s+)?<\.\.\. (\w+) resumed>(.*)$", re.S)
RESULT = re.compile(r"^(.*)\)\s+=\s+(-?\d+)", re.S)
FD = re.compile(r"^(-?\d+|AT_FDCWD)<(.*)>$", re.S)


def arguments(text):
    """Splits at commas that are in no string, path or brackets."""
    parts, part, depth, quoted, escaped = [], "", 0, False, False
    for char in text:
        if quoted:
            quoted = escaped or char != '"'
            escaped = char == "\\" and not escaped
        elif char == '"':
            quoted = True
        elif char in "<[{(":
            depth += 1
        elif char in ">]})":
            depth -= 1
        elif char == "," and depth == 0:
            parts.append(part.strip())
            part = ""
            continue
        part += char
    return parts + [part.strip()]


def calls(lines, first):
    """Beginnings and ends of calls: (when it began, when it ended or None, name, arguments, result). Time counts lines from `first`."""
    open_calls = {}
    for number, line in enumerate(lines, first):
        line = line.rstrip("\n")
        resumed = RESUMED.match(line)
        if resumed:
            pid, name, rest = resumed.groups()
            start, began = open_calls.pop((pid, name), (number, ""))
            text = began + rest
        else:
            call = CALL.match(line)
            if not call:
                continue
            pid, name, text = call.groups()
            start = number
            unfinished = text.find("<unfinished ...>")
            if unfinished >= 0:
                text = text[:unfinished].rstrip()
                open_calls[pid, name] = (number, text)
                yield start, None, name, arguments(text), 0
                continue
            result = RESULT.match(text)
            if result and int(result.group(2)) >= 0:
                yield start, None, name, arguments(result.group(1)), 0
        result = RESULT.match(text)
        if result:
            yield start, number, name, arguments(result.group(1)), int(result.group(2))


class Checker:
    def __init__(self, root, say=print):
        self.root = os.path.normpath(root)
        self.cwd = os.path.dirname(self.root)
        self.say = say
        self.problems = []
        self.dirty = {}  # file -> when it was changed last
        self.names = {}  # directory -> {new name: when}
        self.known = set()
        self.unsynced_publish = None
        self.published = 0
        self.writes = None
        self.clock = 0

    # Paths

    def inside(self, path):
        return path == self.root or path.startswith(self.root + "/")

    def short(self, path):
        return os.path.relpath(path, self.root) if self.inside(path) else os.path.relpath(path, self.cwd) + " (above)"

    def of_fd(self, text):
        found = FD.match(text)
        path = found.group(2) if found else ""
        return None if path.endswith(" (deleted)") or not path.startswith("/") else path

    def of_string(self, text, at=None):
        if not (text.startswith('"') and text.endswith('"')):
            return None
        path = text[1:-1].encode().decode("unicode_escape").encode("latin-1").decode("utf-8", "replace")
        return os.path.normpath(os.path.join(at or self.cwd, path))

    def matters(self, path):
        return path is not None and (self.inside(path) or path == self.root)

    # Telling

    def tell(self, text):
        self.flush_writes()
        self.say("  " + text)

    def flush_writes(self):
        if self.writes:
            path, count, size = self.writes
            self.say(f"  write      {self.short(path)}: {size} bytes" + (f" in {count} writes" if count > 1 else ""))
            self.writes = None

    def wrong(self, text):
        self.problems.append(text)
        self.tell("WRONG      " + text)

    # Events

    def run(self, lines):
        published_before = self.published
        first, self.clock = self.clock, self.clock + len(lines)
        for start, end, name, args, result in calls(lines, first):
            if args and args[0].startswith("AT_FDCWD<"):
                self.cwd = self.of_fd(args[0]) or self.cwd
            if end is not None and result >= 0:
                self.done(start, end, name, args, result)
            elif end is None:
                self.begins(name, args, published_before)
        self.flush_writes()
        if self.unsynced_publish:
            self.wrong(f"{self.unsynced_publish} was published, and the directory not synced after it")
        parent = os.path.dirname(self.root)
        if self.root in {os.path.join(parent, name) for name in self.names.get(parent, {})}:
            self.wrong("the directory above was not synced after the collection was made")

    def renamed(self, name, args):
        if name == "rename":
            return self.of_string(args[0]), self.of_string(args[1])
        return self.of_string(args[1], self.of_fd(args[0])), self.of_string(args[3], self.of_fd(args[2]))

    def removed(self, name, args):
        return self.of_string(args[1], self.of_fd(args[0])) if name == "unlinkat" else self.of_string(args[0])

    def is_manifest(self, path):
        return os.path.dirname(path) == self.root and MANIFEST.match(os.path.basename(path))

    def begins(self, name, args, published_before):
        """What must hold when a call begins."""
        if name in ("rename", "renameat", "renameat2"):
            source, target = self.renamed(name, args)
            # A collection that was built aside is published by the rename of its directory.
            if target and (self.is_manifest(target) or target == self.root):
                self.may_publish(source, target)
        elif name in ("unlink", "unlinkat", "rmdir"):
            path = self.removed(name, args)
            if self.matters(path):
                if self.unsynced_publish:
                    self.wrong(f"{self.short(path)} is removed before the directory is synced for {self.unsynced_publish}")
                if NEEDED.match(os.path.basename(path)) and self.published == published_before:
                    self.wrong(f"{self.short(path)} is removed, and nothing was published that replaces it")

    def may_publish(self, source, target):
        below = source if target == self.root else self.root
        under = lambda path: path == below or path.startswith(below + "/")
        for path in sorted(self.dirty):
            if under(path) and os.path.basename(path) != "LOCK":
                self.wrong(f"{self.short(target)} is published before {self.short(path)} is synced")
        for directory, names in sorted(self.names.items()):
            names = sorted(name for name in names if name != "LOCK" and os.path.join(directory, name) != source)
            if under(directory) and names:
                shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
                self.wrong(f"{self.short(target)} is published before directory {self.short(directory)} is synced, new in it: {shown}")

    def new_name(self, path, when):
        self.names.setdefault(os.path.dirname(path), {})[os.path.basename(path)] = when
        self.known.add(path)

    def forget(self, path):
        self.names.get(os.path.dirname(path), {}).pop(os.path.basename(path), None)
        for known in [known for known in self.known if known == path or known.startswith(path + "/")]:
            self.known.discard(known)
            self.dirty.pop(known, None)
            self.names.pop(known, None)

    def done(self, start, when, name, args, result):
        if name in ("openat", "creat"):
            path = self.of_string(args[0]) if name == "creat" else self.of_string(args[1], self.of_fd(args[0]))
            flags = "O_CREAT|O_TRUNC|O_WRONLY" if name == "creat" else args[2]
            if not self.near(path):
                return
            if "O_CREAT" in flags and ("O_EXCL" in flags or path not in self.known):
                self.tell(f"create     {self.short(path)}")
                if self.is_manifest(path):
                    self.wrong(f"{self.short(path)} is written in its place, not renamed into it")
                self.new_name(path, when)
                self.dirty[path] = when
            elif "O_TRUNC" in flags:
                self.tell(f"empty      {self.short(path)}")
                self.dirty[path] = when
            self.known.add(path)
        elif name in ("write", "pwrite64", "writev", "pwritev", "ftruncate"):
            path = self.of_fd(args[0])
            if not self.near(path):
                return
            self.dirty[path] = when
            if name == "ftruncate":
                self.tell(f"truncate   {self.short(path)}: {args[1]} bytes")
            else:
                if self.writes and self.writes[0] != path:
                    self.flush_writes()
                _, count, size = self.writes or (path, 0, 0)
                self.writes = (path, count + 1, size + result)
        elif name in ("fsync", "fdatasync"):
            path = self.of_fd(args[0])
            if path is None or not (self.near(path) or path in self.names):
                return
            is_dir = path in self.names or path == self.root or any(k.startswith(path + "/") for k in self.known)
            self.tell(f"{'fsync dir ' if is_dir else 'fsync     '} {self.short(path)}")
            if self.dirty.get(path, start) < start:
                del self.dirty[path]
            left = {name: at for name, at in self.names.get(path, {}).items() if at >= start}
            if path in self.names:
                self.names[path] = left
            if path == self.root and self.unsynced_publish and self.publish_at < start:
                self.unsynced_publish = None
        elif name in ("rename", "renameat", "renameat2"):
            source, target = self.renamed(name, args)
            if not (self.near(source) or self.near(target)):
                return
            self.tell(f"rename     {self.short(source)} -> {self.short(target)}")
            self.move(source, target, when)
            if self.is_manifest(target):
                self.unsynced_publish, self.publish_at = self.short(target), when
                self.published += 1
        elif name in ("unlink", "unlinkat", "rmdir"):
            path = self.removed(name, args)
            if self.near(path):
                self.tell(f"{'rmdir' if name == 'rmdir' or 'AT_REMOVEDIR' in args[-1] else 'unlink'}".ljust(11) + self.short(path))
                self.forget(path)
        elif name in ("mkdir", "mkdirat"):
            path = self.of_string(args[0]) if name == "mkdir" else self.of_string(args[1], self.of_fd(args[0]))
            if self.near(path):
                self.tell(f"mkdir      {self.short(path)}")
                self.new_name(path, when)
                self.names.setdefault(path, {})

    def near(self, path):
        """In the collection, or beside it: one may be built there first."""
        parent = os.path.dirname(self.root)
        return path is not None and (self.inside(path) or path.startswith(os.path.join(parent, os.path.basename(self.root))))

    def move(self, source, target, when):
        """Moves what is known of a file or a directory with all below."""
        self.forget_target(target)
        moved = lambda path: target + path[len(source):]
        under = lambda path: path == source or path.startswith(source + "/")
        self.known = {moved(path) if under(path) else path for path in self.known}
        self.dirty = {moved(path) if under(path) else path: at for path, at in self.dirty.items()}
        self.names = {moved(path) if under(path) else path: names for path, names in self.names.items()}
        self.names.get(os.path.dirname(source), {}).pop(os.path.basename(source), None)
        self.new_name(target, when)

    def forget_target(self, target):
        if target in self.known:
            self.forget(target)


def check(root, traces, say=print):
    """Problems of traces that follow one another."""
    checker = Checker(root, say)
    for title, lines in traces:
        say(title)
        checker.run(lines)
    say(f"{checker.published} manifests published, {len(checker.problems)} problems")
    return checker


def main():
    if sys.argv[1:] == ["--self-test"]:
        import trace_flush_test

        return trace_flush_test.run()
    root, *paths = sys.argv[1:]
    traces = []
    for path in paths:
        with open(path, encoding="utf-8", errors="replace") as file:
            traces.append((f"{os.path.basename(path).removesuffix('.trace')}:", file.readlines()))
    checker = check(root, traces)
    if checker.published == 0:
        print("no manifest was published: there was nothing to check")
    return 1 if checker.problems or checker.published == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
