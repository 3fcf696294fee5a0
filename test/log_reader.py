#!/usr/bin/env python3
"""Reads a topic folder and prints its records as JSON lines; written from docs/explanation/log-format.md alone.

    log_reader.py TOPIC_FOLDER [PARTITION]

Every checksum is verified. A block that fails is reported on stderr with its offsets, and the exit code is 6.
Needs nothing but the standard library; zstd blocks need the module `zstandard` or `compression.zstd`.
Reads what is durable: up to the end in the tail file.
"""
import json
import math
import os
import struct
import sys

BOOL, INT32, INT64, FLOAT32, FLOAT64, TIMESTAMP, STRING, BYTES, VECTOR = range(9)
SIMPLE = {INT32: "i", INT64: "q", FLOAT32: "f", FLOAT64: "d", TIMESTAMP: "q"}
MASK = (1 << 64) - 1


class Damaged(Exception):
    pass


def crc_table():
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        yield byte


TABLE = list(crc_table())


def crc32c(data, crc=0):
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def mix(x):
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & MASK
    x = (x ^ x >> 27) * 0x94D049BB133111EB & MASK
    return x ^ x >> 31


def pad(size):
    return (size + 63) // 64 * 64


# ---- the small files ----


def read_topic(folder):
    with open(os.path.join(folder, "topic"), "rb") as file:
        data = file.read()
    at = data.rindex(b"crc: ")
    if int(data[at + 5:], 16) != crc32c(data[:at]):
        raise Damaged("the file topic fails its checksum")
    return dict(line.split(": ", 1) for line in data[:at].decode().splitlines())


def read_schemas(folder):
    with open(os.path.join(folder, "schemas"), "rb") as file:
        data = file.read()
    magic, crc, count = struct.unpack_from("<4sII", data)
    if magic != b"MSC1" or crc != crc32c(data[8:]):
        raise Damaged("the file schemas fails its checksum")
    at, schemas = 12, []
    for _ in range(count):
        (fields,) = struct.unpack_from("<I", data, at)
        at, schema = at + 4, []
        for _ in range(fields):
            kind, width, nullable, _unit, name_bytes = struct.unpack_from("<BIBBH", data, at)
            at += 9
            schema.append((data[at:at + name_bytes].decode(), kind, width))
            at += name_bytes
        schemas.append(schema)
    return schemas


def read_tail(folder, salt):
    with open(os.path.join(folder, "tail"), "rb") as file:
        data = file.read(72)
    magic, crc, _, own_salt, durable = struct.unpack_from("<4sIQQQ", data)
    if magic != b"MTL1" or crc != crc32c(data[8:72]) or own_salt != salt:
        raise Damaged("the file tail fails its checksum")
    return durable


# ---- blocks ----


def lz4_block(data, size):
    out, at = bytearray(), 0

    def length(start):
        nonlocal at
        total = start
        while start == 15 or (total >= 15 and data[at - 1] == 255):
            total, start, at = total + data[at], 0, at + 1
        return total

    while at < len(data):
        token = data[at]
        at += 1
        literals = length(token >> 4)
        out += data[at:at + literals]
        at += literals
        if at >= len(data):
            break
        distance = data[at] | data[at + 1] << 8
        at += 2
        match = length(token & 15) + 4
        for _ in range(match):
            out.append(out[-distance])
    if len(out) != size:
        raise Damaged("an lz4 block unpacks to %d bytes instead of %d" % (len(out), size))
    return bytes(out)


def zstd_frame(data, size):
    try:
        import zstandard
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=size)
    except ImportError:
        from compression import zstd
        return zstd.decompress(data)


def bits(data, at, count):
    return [data[at + i // 8] >> i % 8 & 1 for i in range(count)]


def read_columns(data, schema, rows):
    at, columns = pad(8 * len(schema)), []
    for i, (_, kind, width) in enumerate(schema):
        nulls, values_bytes = struct.unpack_from("<II", data, 8 * i)
        valid = [1] * rows
        if nulls:
            valid = bits(data, at, rows)
            at += pad((rows + 7) // 8)
        if kind in (STRING, BYTES):
            offsets = struct.unpack_from("<%di" % (rows + 1), data, at)
            at += pad(4 * (rows + 1))
            values = [data[at + offsets[r]:at + offsets[r + 1]] for r in range(rows)]
            values = [v.decode() if kind == STRING else v.hex() for v in values]
        elif kind == BOOL:
            values = [bool(bit) for bit in bits(data, at, rows)]
        elif kind == VECTOR:
            flat = struct.unpack_from("<%df" % (rows * width), data, at)
            values = [list(flat[r * width:(r + 1) * width]) for r in range(rows)]
        else:
            values = struct.unpack_from("<%d%s" % (rows, SIMPLE[kind]), data, at)
        at += pad(values_bytes)
        columns.append([v if ok else None for v, ok in zip(values, valid)])
    return columns


def read_block(data, at, salt):
    header = data[at:at + 128]
    if len(header) < 128 or header[:4] != b"MBK1":
        raise Damaged("no block at byte %d" % at)
    (crc,) = struct.unpack_from("<I", header, 8)
    if crc != crc32c(header[12:], crc32c(header[:8])):
        raise Damaged("the block header at byte %d fails its checksum" % at)
    body_crc, block_bytes, plain, stored, annotation, rows, schema_id, base = struct.unpack_from("<7IQ", header, 12)
    own_salt, _epoch, codec = struct.unpack_from("<QIB", header, 104)
    if own_salt != salt:
        raise Damaged("the block at byte %d is of another partition" % at)
    block = {"base": base, "rows": rows, "bytes": block_bytes, "schema": schema_id}
    body = data[at + 128:at + block_bytes]
    block["whole"] = len(body) == block_bytes - 128 and crc32c(body) == body_crc
    if block["whole"]:
        columns = body[pad(annotation):pad(annotation) + stored]
        block["columns"] = (columns if codec == 0 else lz4_block(columns, plain) if codec == 1
                            else zstd_frame(columns, plain))
    return block


def find_block(data, at, salt):
    """The next believable block behind damage."""
    while at < len(data):
        try:
            return at, read_block(data, at, salt)
        except Damaged:
            at += 64
    return at, None


# ---- a partition ----


def printable(value):
    if isinstance(value, list):
        return [printable(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_block(block, schema):
    names = [name for name, _, _ in schema]
    for row, values in enumerate(zip(*read_columns(block["columns"], schema, block["rows"]))):
        record = {"offset": block["base"] + row}
        record.update(zip(names, map(printable, values)))
        print(json.dumps(record, ensure_ascii=False))


def read_partition(folder, salt, schemas):
    end, damages, offset = read_tail(folder, salt), 0, None
    segments = sorted(name for name in os.listdir(folder) if name.endswith(".seg"))
    for name in segments:
        with open(os.path.join(folder, name), "rb") as file:
            data = file.read()
        at = 64
        if data[:4] == b"MSG1":
            (at,) = struct.unpack_from("<I", data, 12)
        offset = int(name[:20]) if offset is None else offset
        while offset < end and at < len(data):
            next_at, block = find_block(data, at, salt)
            if block is None:
                break
            if block["base"] > offset or not block["whole"]:
                damages += 1
                lost_end = block["base"] + (0 if block["whole"] else block["rows"])
                print("%s: records [%d, %d) cannot be read" % (folder, offset, lost_end), file=sys.stderr)
            if block["whole"] and block["rows"] and block["base"] < end:
                print_block(block, schemas[block["schema"] - 1])
            at = next_at + block["bytes"]
            offset = block["base"] + block["rows"]
    if offset is not None and offset < end:
        damages += 1
        print("%s: records [%d, %d) cannot be read" % (folder, offset, end), file=sys.stderr)
    return damages


def main():
    folder = sys.argv[1]
    topic = read_topic(folder)
    schemas = read_schemas(folder)
    wanted = range(int(topic["partitions"])) if len(sys.argv) < 3 else [int(sys.argv[2])]
    damages = 0
    for number in wanted:
        salt = mix((int(topic["salt"], 16) + number) & MASK)
        partition = os.path.join(folder, "partition-%d" % number)
        if os.path.exists(os.path.join(partition, "tail")):
            damages += read_partition(partition, salt, schemas)
    return 6 if damages else 0


if __name__ == "__main__":
    sys.exit(main())
