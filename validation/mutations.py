"""Damage for the fuzz of the readers: of bytes, of JSON, of tables, of images and of state dicts.

Every function takes a random generator first; the same seed makes the same damage.
"""

from __future__ import annotations

import copy
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

DEEP: Any = None
for _ in range(60):
    DEEP = [DEEP]

TEXTS = ["", " ", "a\nb", "a\tb", "\x1b[31mred\x1b[0m", "\u202eabc", "a|b`c`", "<script>x</script>"]
TEXTS += [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    '"a',
    "a;b",
    "\ud800",
    "\x00",
    "\ufffe",
    "\u2028",
    "ä ß €",
]
TEXTS += ["](http://x)", "]]>", "&amp;", "x" * 3000, "\r\n", "'", "\\", "different, \x07 it says"]
NUMBERS = [0, -1, 1, 2**63, 10**30, 10**400, 0.0, -0.0, 1e-14, 2e-14, 5e-324, 1e308, -1e308, 1e9]
NUMBERS += [float("nan"), float("inf"), float("-inf"), 1.5, 1e-9, 12]
OTHERS = [None, True, False, [], {}, [[]], {"a": 1}, DEEP, {"\ud800": 1}, {"a\n=b": "\x1b[0m"}]
VALUES = [*TEXTS, *NUMBERS, *OTHERS]
TOKENS = [
    b"NaN",
    b"Infinity",
    b"1e999",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\x00",
    b"[" * 3000,
    b"9" * 5000,
]
TOKENS += [
    b"\xef\xbb\xbf",
    b'"',
    b"{}",
    b",",
    b";",
    b"\r\n",
    b"\xe2\x80\xae",
    b"#head;x\n",
    b"-",
    b"\n",
]


def of_bytes(random: Random, content: bytes) -> bytes:
    """One to four changes at random places."""
    changed = bytearray(content)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(changed) + 1)
        length = random.choice([1, 1, 4, 64])
        kind = random.randrange(5)
        if kind == 0:
            del changed[at:]
        elif kind == 1:
            del changed[at : at + length]
        elif kind == 2:
            changed[at : at + length] = random.randbytes(length)
        elif kind == 3:
            changed[at:at] = random.choice(TOKENS)
        else:
            changed[at:at] = changed[at : at + length]
    return bytes(changed)


def of_json(random: Random, document: Any) -> bytes:
    """One to three values replaced, left out, doubled or renamed; or damage of the bytes."""
    document = copy.deepcopy(document)
    for _ in range(random.choice([1, 1, 1, 2, 3])):
        _change(random, document)
    content = json.dumps(document).encode()
    kind = random.randrange(12)
    if kind == 0:
        return of_bytes(random, content)
    if kind == 1:  # a key that is there twice
        keys = [at for at in range(len(content)) if content[at : at + 2] == b'{"']
        at = random.choice(keys) + 1 if keys else 0
        end = content.find(b",", at)
        return content[:at] + content[at : end + 1] + content[at:] if end > 0 else content
    return content


def _change(random: Random, document: Any) -> None:
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        # Of a long list, such as the samples, two: they would be most of the places.
        for key in list(node) if isinstance(node, dict) else range(min(len(node), 2)):
            places.append((node, key))
            if isinstance(node[key], dict | list) and node[key] is not DEEP:
                walk(node[key])

    walk(document)
    if not places:
        return
    node, key = random.choice(places)
    kind = random.randrange(8)
    if kind == 0:
        del node[key]
    elif kind == 1 and isinstance(node, dict):
        node[random.choice(TEXTS)] = node.pop(key)
    elif kind == 2 and isinstance(node, list):
        node.append(copy.deepcopy(node[key]))
    else:
        node[key] = copy.deepcopy(random.choice(VALUES))


def of_table(random: Random, content: bytes) -> bytes:
    """A cell replaced by a word or a number, or damage of the bytes."""
    if random.random() < 0.3:
        return of_bytes(random, content)
    rows = [line.split(";") for line in content.decode().splitlines()]
    for _ in range(random.randint(1, 3)):
        row = random.choice(rows)
        row[random.randrange(len(row))] = str(random.choice([*TEXTS, *NUMBERS]))
    end = random.choice(["\n", "\n", "\r\n", "\r"])
    return end.join(map(";".join, rows)).encode(errors="surrogatepass") + end.encode()


def of_png(random: Random, content: bytes) -> bytes:
    """Damage within a chunk of a PNG, with a checksum that fits."""
    chunks, at = [], 8
    while at < len(content):
        length = struct.unpack(">I", content[at : at + 4])[0]
        chunks.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + length]))
        at += length + 12
    chosen = random.randrange(len(chunks))
    kind, data = chunks[chosen]
    if kind == b"IHDR" and random.random() < 0.5:
        size = random.choice([0, 1, 10**4, 10**5, 2**31 - 1])
        data = struct.pack(">II", size, random.choice([1, size])) + data[8:]
    else:
        data = of_bytes(random, data)
    chunks[chosen] = (kind, data)
    return content[:8] + b"".join(
        struct.pack(">I", len(part)) + name + part + struct.pack(">I", zlib.crc32(name + part))
        for name, part in chunks
    )


def of_zip(random: Random, content: bytes) -> bytes:
    """Damage within one file of an archive, with a checksum that fits."""
    source, target = zipfile.ZipFile(io.BytesIO(content)), io.BytesIO()
    pickled = [name for name in source.namelist() if name.endswith(".pkl")]
    chosen = random.choice([*source.namelist(), *pickled * 20])
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name in source.namelist():
            data = source.read(name)
            archive.writestr(name, of_bytes(random, data) if name == chosen else data)
    return target.getvalue()


def of_safetensors(random: Random, content: bytes) -> bytes:
    """Damage of the header, with a length that fits."""
    length = struct.unpack("<Q", content[:8])[0]
    header = of_json(random, json.loads(content[8 : 8 + length]))
    return struct.pack("<Q", len(header)) + header + content[8 + length :]


def one_of(*damages: Callable[[Random, bytes], bytes]) -> Callable[[Random, bytes], bytes]:
    """Damage of one of these kinds."""
    return lambda random, content: random.choice(damages)(random, content)
