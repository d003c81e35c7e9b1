"""Protocol buffers: fields by their numbers, without knowing the message.

Reference: protobuf.dev's encoding.
"""

from ganzoo.errors import CorruptCheckpointError


def varint(data, at) -> tuple[int, int]:
    """(the number whose bytes begin at `at`, where they end)."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & (1 << 64) - 1, at
    raise CorruptCheckpointError("A number is too long.")


def message(data) -> dict[int, list[int | bytes]]:
    """{field number: [values]}: integers, or bytes of texts and messages."""
    fields, at = {}, 0
    while at < len(data):
        tag, at = varint(data, at)
        kind, size = tag & 7, {1: 8, 5: 4}.get(tag & 7)
        if kind == 0:
            value, at = varint(data, at)
        elif kind in (1, 2, 5):
            if kind == 2:
                size, at = varint(data, at)
            value = data[at : at + size]
            at += size
            if len(value) != size:
                raise CorruptCheckpointError("A message ends early.")
            value = value if kind == 2 else int.from_bytes(value, "little")
        else:
            raise CorruptCheckpointError("A message is damaged.")
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def one(fields, number, default=0) -> int | bytes:
    """The value of a field that a message has once; of the type of `default`."""
    value = fields.get(number, [default])[-1]
    if type(value) is not type(default):
        raise CorruptCheckpointError("A message has a field of another type.")
    return value


def signed(value) -> int:
    """A 64-bit integer with its sign."""
    return value - (1 << 64) if value >> 63 else value
