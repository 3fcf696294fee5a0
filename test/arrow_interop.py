#!/usr/bin/env python3
"""What pyarrow makes, Millrace reads, and the other way round: through libmillrace.so and the Arrow C data interface.

  python3 test/arrow_interop.py [build/release/libmillrace.so]

Where pyarrow is missing it is installed from PyPI into build/pyarrow, if that can be done in two minutes. The last
line is `N passed, N failed, N skipped`."""

import ctypes
import datetime
import math
import os
import subprocess
import sys
import tempfile
import traceback

ROOT = os.environ.get("MILLRACE_ROOT", os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def skip(why):
    print("skipped: %s" % why)
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(0)


def install_and_restart():
    """Only once: in the new process the import must work."""
    folder = os.path.join(ROOT, "build", "pyarrow")
    python = os.path.join(folder, "bin", "python")
    if sys.prefix == folder:
        skip("pyarrow cannot be imported from build/pyarrow")
    if not os.path.exists(os.path.join(folder, "ready")):
        try:
            for command in [[sys.executable, "-m", "venv", folder],
                            [python, "-m", "pip", "install", "-q", "pyarrow", "cffi"]]:
                subprocess.run(command, check=True, timeout=120, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
            open(os.path.join(folder, "ready"), "w").close()
        except (OSError, subprocess.SubprocessError) as failed:
            skip("pyarrow is not here and cannot be installed: %s" % failed)
    os.execv(python, [python] + sys.argv)


try:
    import pyarrow as pa
    from pyarrow.cffi import ffi
except ImportError:
    install_and_restart()

SCHEMA = (
    "flag: bool null, small: int32 null, big: int64, ratio: float32 null, amount: float64 null, "
    "at: timestamp, note: string null, raw: bytes null, v: vector(3) null"
)


class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("place", ctypes.c_char * 256), ("text", ctypes.c_char * 1024)]


class Library:
    def __init__(self, path):
        self.c = ctypes.CDLL(path)

    def call(self, name, *arguments):
        error = Error()
        status = getattr(self.c, name)(*arguments, ctypes.byref(error))
        if status != 0:
            raise RuntimeError("%s: %s %s" % (name, error.place.decode(), error.text.decode()))

    def append(self, topic, batch):
        schema, array = ffi.new("struct ArrowSchema*"), ffi.new("struct ArrowArray*")
        batch._export_to_c(int(ffi.cast("uintptr_t", array)), int(ffi.cast("uintptr_t", schema)))
        offset = ctypes.c_uint64()
        try:
            self.call("millrace_topic_append", topic, ctypes.c_void_p(int(ffi.cast("uintptr_t", schema))),
                      ctypes.c_void_p(int(ffi.cast("uintptr_t", array))), ctypes.byref(offset))
            assert array.release == ffi.NULL, "a batch that was taken is moved"
        finally:
            if array.release != ffi.NULL:
                array.release(array)
            if schema.release != ffi.NULL:
                schema.release(schema)
        return offset.value

    def read(self, topic):
        stream = ffi.new("struct ArrowArrayStream*")
        address = int(ffi.cast("uintptr_t", stream))
        self.call("millrace_topic_read", topic, ctypes.c_uint32(0), ctypes.c_uint64(0), ctypes.c_void_p(address))
        return pa.RecordBatchReader._import_from_c(address).read_all()


UTC = datetime.timezone.utc
SCHEMA_PA = pa.schema([
    pa.field("flag", pa.bool_()), pa.field("small", pa.int32()), pa.field("big", pa.int64(), nullable=False),
    pa.field("ratio", pa.float32()), pa.field("amount", pa.float64()),
    pa.field("at", pa.timestamp("us", tz="UTC"), nullable=False), pa.field("note", pa.string()),
    pa.field("raw", pa.binary()), pa.field("v", pa.list_(pa.field("item", pa.float32(), nullable=False), 3)),
])


def sample(rows):
    start = datetime.datetime(2024, 3, 1, 10, tzinfo=UTC)
    null = lambda i, value: None if i % 5 == 3 else value
    columns = {
        "flag": [null(i, i % 3 == 0) for i in range(rows)],
        "small": [null(i, i - 7) for i in range(rows)],
        "big": [2**53 + i for i in range(rows)],
        "ratio": [null(i, i / 4) for i in range(rows)],
        "amount": [null(i, math.inf if i == 2 else i * 0.1) for i in range(rows)],
        "at": [start + datetime.timedelta(microseconds=i) for i in range(rows)],
        "note": [null(i, "caf\u00e9 %d" % i if i % 2 else "") for i in range(rows)],
        "raw": [null(i, bytes([i % 256, 0])) for i in range(rows)],
        "v": [null(i, [i, i + 0.5, -i]) for i in range(rows)],
    }
    return pa.record_batch([pa.array(columns[f.name], f.type) for f in SCHEMA_PA], schema=SCHEMA_PA)


def check_round_trip(library, home):
    topic = ctypes.c_void_p()
    library.call("millrace_topic_create", home, b"all", SCHEMA.encode(), b"at")
    library.call("millrace_topic_open", home, b"all", ctypes.byref(topic))
    whole = sample(1000)
    parts = [whole, whole.slice(13, 100), whole.slice(997), sample(1)]
    rows = 0
    for part in parts:
        assert library.append(topic, part) == rows
        rows += part.num_rows
    back = library.read(topic)
    assert back.schema.equals(SCHEMA_PA), back.schema
    back.validate(full=True)
    want = pa.Table.from_batches(parts)
    assert back.equals(want), "what was read is not what was appended"
    library.c.millrace_topic_close(topic)


def check_conversions(library, home):
    """Layouts that are not ours: widths, units, large strings."""
    topic = ctypes.c_void_p()
    library.call("millrace_topic_create", home, b"wide", b"n: int64 null, at: timestamp null, s: string null", None)
    library.call("millrace_topic_open", home, b"wide", ctypes.byref(topic))
    day = datetime.datetime(2024, 3, 1, tzinfo=UTC)
    for n, at, s in [(pa.int64(), pa.timestamp("us", tz="UTC"), pa.string()),
                     (pa.uint32(), pa.timestamp("ns"), pa.large_string()),
                     (pa.uint64(), pa.timestamp("s", tz="Europe/Berlin"), pa.string()),
                     (pa.uint32(), pa.date32(), pa.large_string())]:
        moment = day.date() if at == pa.date32() else day.replace(tzinfo=None) if at.tz is None else day
        batch = pa.record_batch([pa.array([1, None, 3], n), pa.array([moment, None, moment], at),
                                 pa.array(["a", None, "ccc"], s)], names=["n", "at", "s"])
        library.append(topic, batch.slice(1))
    back = library.read(topic)
    assert back.column("n").to_pylist() == [None, 3] * 4, back
    assert back.column("at").to_pylist() == [None, day] * 4, back
    assert back.column("s").to_pylist() == [None, "ccc"] * 4, back
    library.c.millrace_topic_close(topic)


def check_refusals(library, home):
    topic = ctypes.c_void_p()
    library.call("millrace_topic_open", home, b"wide", ctypes.byref(topic))
    for array in [pa.array(["a"]).dictionary_encode(), pa.array([[1]]), pa.array([{"x": 1}])]:
        try:
            library.append(topic, pa.record_batch([array], names=["n"]))
            raise AssertionError("%s was taken" % array.type)
        except RuntimeError as refused:
            assert "column n" in str(refused), refused
    library.c.millrace_topic_close(topic)


def main(path):
    if not os.path.exists(path):
        skip("no %s" % path)
    library = Library(path)
    failed = 0
    checks = [check_round_trip, check_conversions, check_refusals]
    with tempfile.TemporaryDirectory() as folder:
        home = ctypes.c_void_p()
        library.call("millrace_home_open", folder.encode(), ctypes.byref(home))
        for check in checks:
            try:
                check(library, home)
            except Exception:  # whatever it is, the others are still tried
                traceback.print_exc()
                failed += 1
        library.c.millrace_home_close(home)
    print("%d passed, %d failed, 0 skipped" % (len(checks) - failed, failed))
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "build/release/libmillrace.so")))
