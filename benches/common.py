"""What the benches share: the build, the package, copies of collections. Leaves no compiled file behind."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True

HERE = Path(__file__).resolve().parent


def target_directory():
    command = ["cargo", "metadata", "--format-version", "1", "--no-deps"]
    return Path(json.loads(subprocess.run(command, cwd=HERE.parent, check=True, capture_output=True).stdout)["target_directory"])


def release(binary, target):
    """The program that was asked for, or the release of this checkout."""
    if binary:
        return binary
    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet"], cwd=HERE.parent, check=True)
    return target / "release" / "zvecctl"


def zvec_python(target):
    """A Python with zvec 0.8.0."""
    command = [sys.executable, HERE.parent / "fixtures" / "make.py", "--python", "0.8.0", "--work", target / "zvec-releases"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def copy(source, target):
    """A copy in which holes stay holes."""
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "-a", "--sparse=always", source, target], check=True)
    return target
