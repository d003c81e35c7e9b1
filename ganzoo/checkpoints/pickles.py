"""The closed interpreter of pickles: it builds numbers, text, containers and stand-ins.

A pickle is a program. Here it is run by a machine of our own that knows the opcodes which build
numbers, strings and containers. What a name in it stands for, `vocabulary` says; nothing is
imported, called or instantiated beyond that.
"""

import re
from typing import NoReturn

from ganzoo.checkpoints.containers import CONTAINER_BYTES, add, cost, fill
from ganzoo.checkpoints.limits import MAX_DIGITS, MAX_INTEGER_BYTES
from ganzoo.checkpoints.stand_ins import (
    CALLABLE,
    Inert,
    PickledArray,
    PickledDtype,
    Storage,
    Tensor,
)
from ganzoo.checkpoints.vocabulary import look_up
from ganzoo.errors import CorruptCheckpointError, UnsafeCheckpointError

_ODD_ESCAPE = re.compile(rb"""\\(?![nrt'"]|x[0-9a-fA-F]{2})""")


def no_storage(_pid) -> NoReturn:
    raise CorruptCheckpointError("A plain pickle refers to storages outside of it.")


class Machine:
    """Runs one pickle from `source` up to STOP and returns what it builds.

    Args:
        source: `Source`, at the first opcode; left behind STOP.
        budget: `Budget` of the file.
        persistent_load: function of a persistent id; torch's name for a storage.
        run_nested: function of the bytes of a torch file within the pickle and of the budget,
            giving its tree with stand-ins. Defaults to `None`: there may be none.
    Reference: the opcodes as `pickletools` of the standard library documents them.
    """

    def __init__(self, source, budget, persistent_load=no_storage, run_nested=None):
        self.source = source
        self.budget = budget
        self.persistent_load = persistent_load
        self.run_nested = run_nested
        self.stack = []
        self.marks = []
        self.memo = {}
        self.files = {}  # id of a nested file's bytes -> (bytes, storage)

    def run(self) -> object:
        while True:
            self.budget.opcode()
            opcode = self.source.take(1)
            if opcode == b".":
                return self.pop()
            if opcode not in _OPCODES:
                raise CorruptCheckpointError(f"It is no pickle of data: byte {opcode!r}.")
            _OPCODES[opcode](self)

    def push(self, value) -> None:
        self.stack.append(value)

    def push_new(self, container) -> None:
        self.budget.copy(CONTAINER_BYTES)
        self.stack.append(container)

    def pop(self) -> object:
        if not self.stack or (self.marks and self.marks[-1] >= len(self.stack)):
            raise CorruptCheckpointError("A pickle takes more values than it made.")
        return self.stack.pop()

    def top(self) -> object:
        value = self.pop()
        self.push(value)
        return value

    def pop_mark(self) -> list:
        if not self.marks:
            raise CorruptCheckpointError("A pickle closes a group that it never opened.")
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def mark(self) -> None:
        self.marks.append(len(self.stack))

    def pop_or_mark(self) -> None:
        if self.marks and self.marks[-1] == len(self.stack):
            self.marks.pop()
        else:
            self.pop()

    # Memo

    def put(self, index) -> None:
        self.memo[index] = self.top()

    def get(self, index) -> None:
        if index not in self.memo:
            raise CorruptCheckpointError("A pickle refers to a value that it never made.")
        self.push(self.memo[index])

    # Containers

    def append(self, items) -> None:
        target = self.top()
        if not isinstance(target, list):
            raise CorruptCheckpointError("A pickle appends to something that is no list.")
        target.extend(items)

    def add(self, items) -> None:
        add(self.top(), items)

    def set_item(self) -> None:
        value, key = self.pop(), self.pop()
        fill(self.top(), [key, value])

    def set_items(self) -> None:
        items = self.pop_mark()
        fill(self.top(), items)

    def group(self, count) -> None:
        self.push_new(tuple([self.pop() for _ in range(count)][::-1]))

    # Text and numbers

    def long(self, layout) -> None:
        count = self.source.unpack(layout)
        if not 0 <= count <= MAX_INTEGER_BYTES:
            raise CorruptCheckpointError(f"A pickled integer claims {count} bytes.")
        self.push(int.from_bytes(self.source.take(count), "little", signed=True))

    def index(self) -> int:
        return int(self.source.line()[:20])

    def decimal(self) -> None:
        text = self.source.line()
        if len(text) > MAX_INTEGER_BYTES:
            raise CorruptCheckpointError(f"A pickled integer claims {len(text)} digits.")
        special = {b"00": False, b"01": True}  # protocol 0 has no other bool
        self.push(special[text] if text in special else int(text.rstrip(b"L")))

    def fraction(self) -> None:
        text = self.source.line()
        if len(text) > MAX_DIGITS:
            raise CorruptCheckpointError(f"A pickled number claims {len(text)} digits.")
        self.push(float(text))

    def quoted(self) -> None:
        text = self.source.line().strip()
        if len(text) < 2 or text[:1] != text[-1:] or text[:1] not in (b"'", b'"'):
            raise CorruptCheckpointError("A pickled string has no quotes.")
        if _ODD_ESCAPE.search(text.replace(rb"\\", b"")):
            raise CorruptCheckpointError("A pickled string has an escape that Python 2 has not.")
        # Python 2 str: one character per byte.
        self.push(text[1:-1].decode("unicode_escape"))

    def bytes_of(self, layout, decode=bytes) -> None:
        self.push(decode(self.source.take(self.source.unpack(layout))))

    # Globals and objects

    def global_lines(self) -> None:
        module, name = (self.source.line().decode("utf-8") for _ in range(2))
        self.push(look_up(module, name))

    def global_stack(self) -> None:
        name, module = self.pop(), self.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise CorruptCheckpointError("A pickle names a global by something that is no text.")
        self.push(look_up(module, name))

    def charge(self, values) -> None:
        self.budget.copy(CONTAINER_BYTES + cost(values))
        self.budget.copy(sum(cost(value) for value in values))

    def call(self, function, args):
        if not isinstance(function, CALLABLE):
            raise CorruptCheckpointError("A pickle calls something that is not a function.")
        if not isinstance(args, tuple):
            raise CorruptCheckpointError("A pickle calls a function without a tuple of arguments.")
        self.charge(args)
        self.push(function.call(self, args))

    def load_nested(self, content) -> Storage:
        if self.run_nested is None or not isinstance(content, bytes):
            raise CorruptCheckpointError("A storage within a pickle is not made of bytes.")
        if id(content) not in self.files:
            tree = self.run_nested(content, self.budget)
            if not isinstance(tree, Storage):
                raise CorruptCheckpointError("A torch file within a pickle is not of a storage.")
            self.files[id(content)] = content, tree
        return self.files[id(content)][1]

    def reduce(self) -> None:
        args, function = self.pop(), self.pop()
        self.call(function, args)

    def new_object_with_keywords(self) -> None:
        keywords = self.pop()
        if keywords != {}:
            raise CorruptCheckpointError("A pickle calls a function with keyword arguments.")
        self.reduce()

    def instance(self) -> None:
        self.global_lines()
        function = self.pop()
        self.call(function, tuple(self.pop_mark()))

    def object_of_group(self) -> None:
        function, *args = self.pop_mark()
        self.call(function, tuple(args))

    def build(self):
        state = self.pop()
        target = self.top()
        if isinstance(target, (Inert, PickledDtype, PickledArray)):
            self.charge(state if isinstance(state, tuple) else ())
            target.build(state)
        # Not needed: of an OrderedDict torch's `_metadata`, of a parameter what concerns gradients.
        elif not isinstance(target, (dict, Tensor)):
            raise CorruptCheckpointError("A pickle gives a state to something that has none.")

    def extension(self) -> NoReturn:
        raise UnsafeCheckpointError(
            "It names a global by a `copyreg` extension code, which no checkpoint needs. "
            "Nothing of it was run."
        )


def _latin1(data):
    return data.decode("latin1")


def _utf8(data):
    return data.decode("utf-8", "surrogatepass")


_OPCODES = {
    # stack
    b"\x80": lambda m: m.source.take(1),  # PROTO
    b"\x95": lambda m: m.source.take(8),  # FRAME: a hint for buffering
    b"(": Machine.mark,
    b"0": Machine.pop_or_mark,
    b"1": Machine.pop_mark,
    b"2": lambda m: m.push(m.top()),  # DUP
    # memo
    b"p": lambda m: m.put(m.index()),
    b"q": lambda m: m.put(m.source.unpack("<B")),
    b"r": lambda m: m.put(m.source.unpack("<I")),
    b"\x94": lambda m: m.put(len(m.memo)),  # MEMOIZE
    b"g": lambda m: m.get(m.index()),
    b"h": lambda m: m.get(m.source.unpack("<B")),
    b"j": lambda m: m.get(m.source.unpack("<I")),
    # constants and numbers
    b"N": lambda m: m.push(None),
    b"\x88": lambda m: m.push(True),
    b"\x89": lambda m: m.push(False),
    b"I": Machine.decimal,
    b"L": Machine.decimal,
    b"J": lambda m: m.push(m.source.unpack("<i")),
    b"K": lambda m: m.push(m.source.unpack("<B")),
    b"M": lambda m: m.push(m.source.unpack("<H")),
    b"\x8a": lambda m: m.long("<B"),
    b"\x8b": lambda m: m.long("<i"),
    b"F": Machine.fraction,
    b"G": lambda m: m.push(m.source.unpack(">d")),
    # text and bytes
    b"S": Machine.quoted,
    b"T": lambda m: m.bytes_of("<I", _latin1),  # Python 2 str
    b"U": lambda m: m.bytes_of("<B", _latin1),  # Python 2 str
    b"V": lambda m: m.push(m.source.line().decode("raw_unicode_escape")),
    b"X": lambda m: m.bytes_of("<I", _utf8),
    b"\x8c": lambda m: m.bytes_of("<B", _utf8),
    b"\x8d": lambda m: m.bytes_of("<Q", _utf8),
    b"B": lambda m: m.bytes_of("<I"),
    b"C": lambda m: m.bytes_of("<B"),
    b"\x8e": lambda m: m.bytes_of("<Q"),
    b"\x96": lambda m: m.bytes_of("<Q"),  # BYTEARRAY8
    # containers
    b")": lambda m: m.push(()),
    b"t": lambda m: m.push_new(tuple(m.pop_mark())),
    b"\x85": lambda m: m.group(1),
    b"\x86": lambda m: m.group(2),
    b"\x87": lambda m: m.group(3),
    b"]": lambda m: m.push_new([]),
    b"l": lambda m: m.push_new(m.pop_mark()),
    b"a": lambda m: m.append([m.pop()]),
    b"e": lambda m: m.append(m.pop_mark()),
    b"}": lambda m: m.push_new({}),
    b"d": lambda m: m.push_new(fill({}, m.pop_mark())),
    b"s": Machine.set_item,
    b"u": Machine.set_items,
    b"\x8f": lambda m: m.push_new(set()),
    b"\x90": lambda m: m.add(m.pop_mark()),
    b"\x91": lambda m: m.push_new(frozenset(add(set(), m.pop_mark()))),
    # globals and objects
    b"c": Machine.global_lines,
    b"\x93": Machine.global_stack,
    b"R": Machine.reduce,
    b"\x81": Machine.reduce,  # NEWOBJ
    b"\x92": Machine.new_object_with_keywords,
    b"i": Machine.instance,
    b"o": Machine.object_of_group,
    b"b": Machine.build,
    b"\x82": Machine.extension,
    b"\x83": Machine.extension,
    b"\x84": Machine.extension,
    # storages
    b"P": lambda m: m.push_new(m.persistent_load(m.source.line().decode("latin1"))),
    b"Q": lambda m: m.push_new(m.persistent_load(m.pop())),
}
