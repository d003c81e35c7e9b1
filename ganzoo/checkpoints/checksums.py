"""CRC-32C, as TensorFlow's checkpoints store it, over many words at once."""

import functools

import numpy as np

_LANES = (4096, 64)  # 32-bit words that are folded at a time


def masked_crc32c(data) -> int:
    """CRC-32C of bytes, as the table format stores it: rotated by 15 bits, plus a constant."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def crc32c(data) -> int:
    """CRC-32C (Castagnoli) of bytes."""
    return _advance(data, 0xFFFFFFFF) ^ 0xFFFFFFFF


def _advance(data, state):
    """The state behind the bytes.

    A checksum is linear: rows of many words are first folded into one row, all words at once, by
    sending what is above past the bytes of a row; the last row and the rest go byte by byte.
    """
    for lanes in _LANES:
        rows = len(data) // (4 * lanes)
        if rows > 1:
            words = np.frombuffer(data, "<u4", rows * lanes).reshape(rows, lanes)
            low, high = _row_tables(lanes)
            row = words[0].astype(np.uint32)
            row[0] ^= state
            for below in words[1:]:
                row = low[row & 0xFFFF] ^ high[row >> 16] ^ below
            state = _advance(row.astype("<u4").tobytes(), 0)
            data = data[rows * lanes * 4 :]
    return _bytewise(data, state)


def _bytewise(data, state):
    table = _byte_table()
    for byte in bytes(data):
        state = table[(state ^ byte) & 255] ^ state >> 8
    return state


@functools.cache
def _byte_table():
    table = []
    for state in range(256):
        for _ in range(8):
            state = state >> 1 ^ (0x82F63B78 if state & 1 else 0)
        table.append(state)
    return table


@functools.cache
def _row_tables(lanes):
    """Tables of the lower and upper half of a state: what a row of zero bytes makes of it."""
    images = [_bytewise(bytes(4), 1 << bit) for bit in range(32)]  # past 4 zero bytes
    for _ in range(lanes.bit_length() - 1):
        images = [_apply(images, image) for image in images]  # past twice as many
    tables = []
    for half in (images[:16], images[16:]):
        table = np.zeros(1, np.uint32)
        for image in half:
            table = np.concatenate([table, table ^ np.uint32(image)])
        tables.append(table)
    return tables


def _apply(images, state):
    result = 0
    for bit in range(32):
        if state >> bit & 1:
            result ^= images[bit]
    return result
