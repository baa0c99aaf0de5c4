#!/usr/bin/env python3
"""A decoder of mesh/1 messages, written from spec/*.md alone, to check other decoders against.

    python3 decode.py          checks every vector in accept/ and refuse/
    python3 decode.py -        reads lines "name hex" and answers each with a line of JSON:
                               {"value": ...}, or {"refused": reason}
"""

import json
import pathlib
import sys

# Limits that are part of the format (spec/7-limits.md).
RECORD_BYTES = 65792
GROUP_BYTES = 65536
EXTENSION_BYTES = 256
VERSIONS = 8
PATH_TAGS = 40
DETOUR_TAGS = 8
AVOIDED = 16
ANCHOR_HOPS = 16
REGISTERED_TAGS = 32
PACKET_BYTES = 1024
ACKS = 32
DATAGRAM_BYTES = 1232
SHARED_CHANNELS = 512
OFFERED_CHANNELS = 64
LOGS = 64
RETRACTED_ITEMS = 256
PARENTS = 8
URL_BYTES = 200
ORIGINS = 4
NAME_BYTES = 512
CHANNEL_NAME_BYTES = 64
INLINE_BYTES = 16384
HEADER_BYTES = 1024
RUN_ITEMS = 512
EDGE_HASHES = 40
PAGE_CVS = 1024
GROUPS_IN_FLIGHT = 64
SET_LEVELS = 13
SET_KEY_BYTES = 38
SET_LEAF = 64
SET_IDS = 4096
SET_WALK = 64


class Refused(Exception):
    """Bytes that are not what they should be."""


class Reader:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def left(self):
        return len(self.data) - self.at

    def take(self, count):
        if count > self.left():
            raise Refused("truncated")
        self.at += count
        return self.data[self.at - count:self.at]

    def finish(self):
        if self.left():
            raise Refused("trailing")


# Each type is a pair: the fewest bytes it takes, and a function that reads it.


def fixed(count):
    return count, lambda reader: reader.take(count).hex()


def integer(count):
    return count, lambda reader: int.from_bytes(reader.take(count), "big")


def read_number(reader):  # WIRE-2
    first = reader.take(1)[0]
    length = 1 << (first >> 6)
    value = first & 0x3F
    for byte in reader.take(length - 1):
        value = value << 8 | byte
    shortest = 1 if value < 1 << 6 else 2 if value < 1 << 14 else 4 if value < 1 << 30 else 8
    if length != shortest:
        raise Refused("not shortest")
    return value


def number(bits):
    def read(reader):
        value = read_number(reader)
        if value >> bits:
            raise Refused("too large")
        return value
    return 1, read


def raw(reader, most):  # WIRE-3
    length = read_number(reader)
    if length > most:
        raise Refused("too large")
    return reader.take(length)


def blob(most):
    return 1, lambda reader: raw(reader, most).hex()


def many(of, most):  # WIRE-3
    fewest, read_one = of

    def read(reader):
        count = U32[1](reader)
        if count > most or count * max(fewest, 1) > reader.left():
            raise Refused("too large")
        return [read_one(reader) for _ in range(count)]
    return 1, read


def read_extensions(reader):  # WIRE-7
    data = raw(reader, EXTENSION_BYTES)
    inner, last = Reader(data), -1
    while inner.left():
        kind = read_number(inner)
        raw(inner, EXTENSION_BYTES)
        if kind <= last:
            raise Refused("unsorted")
        last = kind
    return data.hex()


def code(*names):  # WIRE-8
    def read(reader):
        value = reader.take(1)[0]
        if value >= len(names):
            raise Refused("undefined")
        return names[value]
    return 1, read


DECEPTIVE = [  # WIRE-9
    (0x00, 0x1F), (0x7F, 0x9F), (0x200B, 0x200B), (0x200E, 0x200F), (0x2028, 0x202E),
    (0x2060, 0x206F), (0xFEFF, 0xFEFF), (0xFFF9, 0xFFFB), (0xE0000, 0xE007F),
]


def label(most):
    def read(reader):
        try:
            text = raw(reader, most).decode("utf-8")
        except UnicodeDecodeError:
            raise Refused("bad text") from None
        if any(low <= ord(c) <= high for c in text for low, high in DECEPTIVE):
            raise Refused("bad text")
        return text
    return 1, read


def read_url(reader):  # SYNC-57
    text = label(URL_BYTES)[1](reader)
    rest = next((text[len(s):] for s in ("http://", "https://") if text.startswith(s)), "")
    plain = all(0x21 <= ord(c) <= 0x7E and c not in '?#@"\\' for c in rest)
    if not rest or rest[0] == "/" or rest[-1] == "/" or not plain:
        raise Refused("bad text")
    return text


def read_port(reader):
    port = int.from_bytes(reader.take(2), "big")
    if port < 1024:
        raise Refused("undefined")
    return port


def layout(**fields):  # WIRE-1
    def read(reader):
        return {name: read_field(reader) for name, (_, read_field) in fields.items()}
    return sum(fewest for fewest, _ in fields.values()), read


U8, U16, U32, U64 = integer(1), number(16), number(32), number(62)
HOP = fixed(2)
TOKEN, NONCE, HASH, SIGNATURE = fixed(8), fixed(16), fixed(32), fixed(64)
TIME, EXTENSIONS, PORT = integer(6), (1, read_extensions), (2, read_port)

CLAIM = layout(gateway=code("Own", "Shared"), draw=U32)
LOG_SUMMARY = layout(log=U32, size=U64, root=TOKEN)
EPOCH_KEY = layout(log=U32, sealed=fixed(80))
PLACE = layout(log=U32, seq=U64)
LOG_STATE = layout(log=U32, size=U64, root=HASH, state=code("Open", "Ended"))
ITEM = layout(header=blob(HEADER_BYTES), body=blob(INLINE_BYTES))
BRANCH = layout(
    size=U64, signature=SIGNATURE, peaks=many(HASH, EDGE_HASHES), edge=many(HASH, EDGE_HASHES))
SET_KEY = layout(time=TIME, id=HASH)
NOTE = layout(header=blob(HEADER_BYTES), body=blob(INLINE_BYTES), signature=SIGNATURE)
SYMBOL = layout(sum=TOKEN, check=fixed(4), count=U8)
PREFIX = layout(length=U8, nibbles=blob(SET_KEY_BYTES))
NODE = layout(
    prefix=PREFIX, children=U16, hashes=many(HASH, 16),
    keys=many(SET_KEY, SET_LEAF))
STEPS = {
    0x00: ("Spine", layout(
        anchor=TIME, present=U16, levels=many(layout(digest=TOKEN, digits=U8), SET_LEVELS))),
    0x01: ("AskIds", layout(levels=U16)),
    0x02: ("ShortIds", layout(levels=U16, first=U32, more=U32, ids=many(TOKEN, SET_IDS))),
    0x03: ("AskSymbols", layout(first=U32, count=U32)),
    0x04: ("Symbols", layout(
        levels=U16, items=U64, first=U32, more=U32, symbols=many(SYMBOL, SET_IDS))),
    0x05: ("Findings", layout(pushes=U64, first=U32, more=U32, wanted=many(TOKEN, SET_IDS))),
    0x06: ("Walk", layout(prefixes=many(PREFIX, SET_WALK))),
    0x07: ("Nodes", layout(nodes=many(NODE, SET_WALK))),
}


def read_step(reader):  # SYNC-26
    kind = reader.take(1)[0]
    body = raw(reader, RECORD_BYTES)
    if kind not in STEPS:
        raise Refused("undefined")
    name, of = STEPS[kind]
    return {name: whole(of, body)}


INTRODUCTION = layout(extensions=EXTENSIONS)
FIND = layout(
    id=TOKEN, hops_left=U8, cost=U32, avoid=many(HOP, AVOIDED), tag=TOKEN, state=fixed(4),
    hops=many(HOP, DETOUR_TAGS), along=many(HOP, PATH_TAGS))

MESSAGES = {
    0x00: ("Padding", layout(zeros=blob(RECORD_BYTES))),
    0x01: ("Close", layout(
        reason=code("Leaving", "Duplicate", "Full", "Fault", "Silent"), retry_after_s=U32)),
    0x02: ("Ping", layout(nonce=U64)),
    0x04: ("Pong", layout(nonce=U64)),
    0x05: ("Fragment", layout(message=U32, index=U16, total=U16, bytes=blob(DATAGRAM_BYTES))),
    0x10: ("Presence", layout(token=TOKEN, tag=HOP, heard=TOKEN, answer=U8)),
    0x12: ("Find", FIND),
    0x14: ("Found", layout(
        id=TOKEN, answer=U8, cost=U32, proof=fixed(16), path=many(HOP, PATH_TAGS))),
    0x16: ("Packet", layout(
        number=U32, flow=TOKEN, hops_left=U8, patches=U8, position=U8,
        path=many(HOP, PATH_TAGS), frame=blob(PACKET_BYTES))),
    0x18: ("Broken", layout(
        flow=TOKEN, hops_left=U8, position=U8, gap=U8, path=many(HOP, PATH_TAGS))),
    0x1A: ("Arrived", layout(numbers=many(U32, ACKS), released=U64)),
    0x1C: ("Anchor", layout(id=TOKEN, number=U32, hops=U8)),
    0x1D: ("Guided", layout(find=FIND, tags=many(TOKEN, 2), way=many(HOP, ANCHOR_HOPS))),
    0x1E: ("Register", layout(
        path=many(HOP, ANCHOR_HOPS), tags=many(TOKEN, REGISTERED_TAGS))),
    0x20: ("Share", layout(serial=U32, tokens=many(TOKEN, SHARED_CHANNELS))),
    0x22: ("Heard", layout(serials=many(U32, SHARED_CHANNELS))),
    0x24: ("Summary", layout(
        serial=U32, channel=U32, blobs=U64, claims=many(CLAIM, 1), logs=many(LOG_SUMMARY, LOGS))),
    0x26: ("Want", layout(channel=U32, log=U32, serial=U32, first=U64, bytes=U64)),
    0x28: ("Items", layout(
        channel=U32, log=U32, first=U64, items=many(ITEM, RUN_ITEMS),
        edge=many(HASH, EDGE_HASHES), size=U64, signature=SIGNATURE)),
    0x2A: ("PageAsk", layout(handle=U32, channel=U32, hash=HASH, size=U64, page=U64)),
    0x2C: ("PageHave", layout(serial=U32, handle=U32, groups=blob(PAGE_CVS // 8))),
    0x2E: ("GroupsWant", layout(handle=U32, groups=many(U16, GROUPS_IN_FLIGHT))),
    0x30: ("CvsWant", layout(handle=U32, level=U8)),
    0x32: ("Cvs", layout(handle=U32, level=U8, cvs=many(HASH, PAGE_CVS))),
    0x34: ("GroupData", layout(handle=U32, group=U16, bytes=blob(GROUP_BYTES))),
    0x36: ("PageDrop", layout(serial=U32, handle=U32)),
    0x38: ("Reconcile", layout(channel=U32, serial=U32, step=(2, read_step))),
    0x3A: ("Fork", layout(
        serial=U32, channel=U32, log=U32, end=U64, genesis=ITEM, branches=many(BRANCH, 2))),
    0x3C: ("Blinded", layout(serial=U32, points=many(HASH, OFFERED_CHANNELS))),
    0x3E: ("Evaluated", layout(serial=U32, points=many(HASH, OFFERED_CHANNELS))),
    0x40: ("Notes", layout(serial=U32, channel=U32, since=TIME, notes=many(NOTE, RUN_ITEMS))),
}

ALONE = {
    "Beacon": layout(versions=many(U8, VERSIONS), token=TOKEN, tcp_port=PORT),
    "ItemHeader": layout(
        kind=code("Genesis", "Text", "File", "Grant", "Checkpoint", "Keys", "Retract", "Origins"), time=TIME, name=label(NAME_BYTES), size=U64,
        hash=HASH, extensions=EXTENSIONS),
    "Genesis": layout(origin=HASH, nonce=NONCE, extensions=EXTENSIONS),
    "Grant": layout(
        writer=HASH, right=code("Write", "Succeed"), until=TIME, acceptance=SIGNATURE,
        extensions=EXTENSIONS),
    "Checkpoint": layout(logs=many(LOG_STATE, LOGS), extensions=EXTENSIONS),
    "EpochKeys": layout(epoch=U32, keys=many(EPOCH_KEY, LOGS), extensions=EXTENSIONS),
    "Origins": layout(urls=many((9, read_url), ORIGINS), extensions=EXTENSIONS),
    "OriginHead": layout(
        logs=many(layout(state=LOG_STATE, signature=SIGNATURE), LOGS), extensions=EXTENSIONS),
    "BundleProof": layout(size=U64, signature=SIGNATURE, edge=many(HASH, EDGE_HASHES)),
    "Retract": layout(items=many(PLACE, RETRACTED_ITEMS), extensions=EXTENSIONS),
    "SealedBody": layout(epoch=U32, sealed=blob(INLINE_BYTES)),
    "Letter": layout(name=label(NAME_BYTES), content=blob(INLINE_BYTES)),
    "Enclosure": layout(hash=HASH, size=U64),
    "Unsealing": layout(key=HASH, size=U64, hash=HASH),
    "Parents": layout(items=many(PLACE, PARENTS)),
    "Author": layout(key=HASH, name=label(CHANNEL_NAME_BYTES)),
    "Withdrawal": layout(notes=many(SET_KEY, RETRACTED_ITEMS), extensions=EXTENSIONS),
    "Introduction": INTRODUCTION,
    "Answer": layout(versions=many(U8, VERSIONS), choice=U8, introduction=INTRODUCTION),
    "Retry": layout(hello=NONCE, cookie=NONCE),
}


def whole(of, data):  # WIRE-4
    reader = Reader(data)
    value = of[1](reader)
    reader.finish()
    return value


def frame(data):  # WIRE-5, WIRE-6
    reader = Reader(data)
    kind = reader.take(1)[0]
    body = raw(reader, RECORD_BYTES)
    reader.finish()
    if kind in MESSAGES:
        name, of = MESSAGES[kind]
        return {name: whole(of, body)}
    if kind % 2:
        raise Refused("unknown critical")
    return {"skipped": kind}


def decode(name, data):
    return frame(data) if name == "frame" else whole(ALONE[name], data)


def answer(line):
    name, _, text = line.rstrip("\n").partition(" ")
    try:
        return {"value": decode(name, bytes.fromhex(text))}
    except Refused as reason:
        return {"refused": str(reason)}


def check(folder):
    wrong, count = [], 0
    for path in sorted(folder.glob("*/*.json")):
        for case in json.loads(path.read_text(encoding="utf-8")).get("cases", []):
            count += 1
            got = answer(f"{case['as']} {case['hex']}")
            if "value" in case and got != {"value": case["value"]}:
                wrong.append(f"{path.name}: {case['name']}: {got}")
            if "problem" in case and got != {"refused": case["problem"]}:
                wrong.append(f"{path.name}: {case['name']}: {got}, not {case['problem']}")
    print("\n".join(wrong) if wrong else f"{count} vectors hold")
    return 1 if wrong or not count else 0


if __name__ == "__main__":
    if sys.argv[1:] == ["-"]:
        for request in sys.stdin:
            print(json.dumps(answer(request)))
    else:
        sys.exit(check(pathlib.Path(__file__).parent))
