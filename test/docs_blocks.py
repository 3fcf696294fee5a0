#!/usr/bin/env python3
"""Runs every shell block of README.md, docs/ and examples/, file by file, each file in a folder and a shell of its own.

    ```sh ............. is run; the shell goes on from block to block, and each must end with code 0
    <!-- exit N --> ... in front of a block: its last command must end with that code
    ```yaml ........... whose first line is "# name.yaml" is written to that file before the next block runs
    anything else ..... is only shown

Ends with the line "N passed, N failed". Arguments: files to run instead of all.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(os.environ.get("MILLRACE_ROOT", pathlib.Path(__file__).resolve().parent.parent))
BLOCK = re.compile(r"(?:<!-- exit (\d+) -->\n)?```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def script_of(text):
    """The file's blocks as one bash script that stops at the first block with another exit code than promised."""
    parts = ["set -uo pipefail"]
    for number, (code, kind, body) in enumerate(BLOCK.findall(text), 1):
        name = re.match(r"# ([\w.-]+\.yaml)\n", body)
        if kind == "yaml" and name:
            parts.append(f"cat > {name[1]} <<'END_OF_BLOCK'\n{body}END_OF_BLOCK")
        elif kind == "sh":
            parts.append(f"set -e\n{body.rstrip()}\nset +e" if not code else
                         f"set +e\n{body.rstrip()}\ngot=$?\n"
                         f'[ $got = {code} ] || {{ echo "block {number}: exit code $got, not {code}"; exit 1; }}')
    return "\n".join(parts) + "\nexit 0\n" if len(parts) > 1 else None


def run(path):
    script = script_of(path.read_text())
    if script is None:
        return None
    with tempfile.TemporaryDirectory(prefix="millrace-docs-") as folder:
        if path.parent.parent == ROOT / "examples":  # an example's blocks are run in a copy of its folder
            shutil.copytree(path.parent, folder, dirs_exist_ok=True)
        environment = {**os.environ, "LC_ALL": "C", "TZ": "UTC", "PATH": f"{ROOT}/build/release:{os.environ['PATH']}"}
        environment.pop("MILLRACE_HOME", None)
        done = subprocess.run(["bash", "-x", "-c", script], cwd=folder, env=environment, capture_output=True,
                              text=True, timeout=300, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        print(f"FAILED {path.relative_to(ROOT)}: exit code {done.returncode}")
        print(done.stdout[-2000:] + done.stderr[-3000:])
    return done.returncode == 0


def main():
    paths = [pathlib.Path(p).resolve() for p in sys.argv[1:]] or [
        ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md")), *sorted(ROOT.glob("examples/**/*.md"))]
    results = [result for result in map(run, paths) if result is not None]
    failed = results.count(False)
    print(f"{len(results) - failed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main())
