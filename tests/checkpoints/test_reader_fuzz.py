"""Damaged and forged files of every layout: a typed error or plain data, nothing run, no hang.

A seed of `hypothesis` starts a generator that makes a round of mutations of one layout: bytes
flipped, cut, inserted, repeated, exchanged with another layout's, and, within pickles, instructions
removed, repeated, exchanged, replaced and renumbered (the file around the pickle stays whole).
"""

import codecs
import contextlib
import io
import lzma
import pickle
import pickletools
import random
import sys
import time

import numpy as np
import pytest
from checkpoints.pickles import (
    ORDERED,
    W,
    array,
    literal,
    live,
    module,
    name,
    network,
    program,
    state,
    storage,
    table,
    tensor,
    torch_legacy,
    torch_zip,
    wrapped,
)
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ganzoo.checkpoints import reader, stand_ins
from ganzoo.errors import CheckpointError

ROUNDS, MUTATIONS = 60, 50  # per layout
SECONDS = 10  # for a file, at most

# Layouts


def rows(legacy):
    return state(
        fc__weight=tensor(storage("a", 12, legacy=legacy), (3, 4), (4, 1)),
        fc__bias=tensor(storage("b", 3, "HalfStorage", legacy=legacy), (3,), (1,)),
        turned=tensor(storage("a", 12, legacy=legacy), (4, 2), (1, 4), 1),
    )


def whole_model(legacy):
    weight = tensor(storage("a", 12, legacy=legacy), (3, 4), (4, 1))
    parameter = name("torch._utils", "_rebuild_parameter") + b"(" + weight + b"\x88" + ORDERED
    make = wrapped if legacy else live
    layer = make("torch.nn.modules.linear", "Linear", _parameters=table(w=parameter + b")RtR"))
    hidden = name("__builtin__", "set") + literal((["b"],)) + b"R"
    size = literal((2, 3))
    return make(
        "model", "Net", _modules=table(fc=layer), _non_persistent_buffers_set=hidden, size=size
    )


def nvidia():
    kernel = array(W[:4].reshape(4, 1, 1))
    layer = module("Layer", _parameters=table(weight=kernel, bias=b"N"), _init_args=literal((2, 3)))
    gain = pickle.dumps(np.float64(0.5), 2)[2:-1]
    easy = name("dnnlib.util", "EasyDict") + b")\x81(" + literal("z_dim") + b"K\x20u"
    network = module("G", _modules=table(b4=layer), _init_kwargs=easy, gain=gain)
    return table(G_ema=network, D=b"N", training_set_kwargs=b"N")


def tensorflow():
    variables = pickle.dumps([("lod", np.float32(0)), ("4x4/w", W.reshape(3, 4))], 2)[2:-1]
    kwargs = literal({"num_channels": 3, "resolution": 32})
    mapping = network(variables=variables, static_kwargs=kwargs, components=b"}")
    parts = {"components": table(mapping=mapping), "build_module_src": literal("raise SystemExit")}
    return network(("tfutil", "Network"), **parts, variables=variables) + b"\x85"


STORAGES = {"a": W, "b": W[:3].astype(np.float16)}
PICKLES = {  # layout -> (pickle without its first and last opcode, the file around it)
    "zip": (rows(False), lambda body: torch_zip(body, STORAGES)),
    "legacy": (rows(True), lambda body: torch_legacy(body, STORAGES)),
    "module zip": (whole_model(False), lambda body: torch_zip(body, {"a": W})),
    "module legacy": (whole_model(True), lambda body: torch_legacy(body, {"a": W})),
    "nvidia": (nvidia(), program),
    "nvidia 4": (pickletools.optimize(program(nvidia()))[2:-1], lambda body: program(body, 4)),
    "tensorflow": (tensorflow(), program),
    "numpy 0": (pickle.dumps({"a": W, "b": np.int64(3)}, 0)[:-1], lambda body: body + b"."),
    "numpy 2": (pickle.dumps({"a": W, "b": W.dtype}, 2)[2:-1], program),
    "numpy 5": (pickle.dumps([W, {"x": {1, 2}}, 2**70], 5)[2:-1], lambda body: program(body, 5)),
}


def saved(save, *args, **arrays):
    file = io.BytesIO()
    save(file, *args, **arrays)
    return file.getvalue()


def safetensors():
    header = b'{"b":{"dtype":"BF16","shape":[2],"data_offsets":[48,52]},'
    header += b'"a":{"dtype":"F32","shape":[3,4],"data_offsets":[0,48]}}'
    return len(header).to_bytes(8, "little") + header + W.tobytes() + b"\x80\x3f\x00\xc0"


SEEDS = {
    **{layout: wrap(body) for layout, (body, wrap) in PICKLES.items()},
    "safetensors": safetensors(),
    "npy": saved(np.save, W.reshape(3, 4)),
    "npz": saved(np.savez, a=W, b=W[:2]),
    "npz packed": saved(np.savez_compressed, a=W, b=W[:2]),
    "xz": lzma.compress(torch_legacy(rows(True), STORAGES), check=lzma.CHECK_NONE),
}
REAL = {  # the smallest real file of each layout that has one
    "real zip": "classics/06_sagan_attention/attention_plain.pth",
    "real python 2": "classics/10_lpips/lpips_alex.pth",
    "real nvidia": "stylegan/format_variants/resaved_sg2_torch2.13.0_numpy2.4.6.pkl",
    "real tensorflow": "stylegan/progan_losses_16/network.pkl",
    "real module": "classics/04_discogan/model_dis_A-1.0",
}
REAL_ROUNDS, REAL_MUTATIONS = 4, 25

# Watching


class Watch:
    """What the interpreter reports of itself while a file is read (`sys.addaudithook`)."""

    FORBIDDEN = (
        "exec compile import open os.system os.exec os.posix_spawn os.spawn os.fork os.startfile "
        "os.remove os.rename os.mkdir os.putenv subprocess.Popen pickle.find_class "
        "marshal.loads code.__new__ function.__new__ ctypes.dlopen socket.connect "
        "urllib.Request shutil.rmtree object.__setattr__ builtins.input sys.addaudithook"
    ).split()

    def __init__(self):
        self.on = False
        self.seen = []
        for codec in ("unicode_escape", "raw_unicode_escape", "cp437", "utf-8"):
            codecs.lookup(codec)  # Python's own codecs are modules, imported at their first use
        sys.addaudithook(self.hook)

    def hook(self, event, args):
        if self.on and event in self.FORBIDDEN:
            self.seen.append((event, repr(args)[:200]))

    @contextlib.contextmanager
    def watching(self):
        self.on = True
        try:
            yield
        finally:
            self.on = False
        seen, self.seen = self.seen, []
        assert not seen


@pytest.fixture(scope="session")
def watch():
    return Watch()


PLAIN = (str, int, float, complex, bytes, type(None), np.generic, np.dtype, stand_ins.Inert)


def check_plain(tree):
    """Numbers, text, arrays and containers of them; shared ones are visited once."""
    seen, pending = {}, [tree]
    while pending:
        value = pending.pop()
        if id(value) in seen:
            continue
        seen[id(value)] = value
        if isinstance(value, dict):
            pending += [*value, *value.values()]
        elif isinstance(value, (list, tuple, set, frozenset)):
            pending += value
        elif isinstance(value, np.ndarray):
            assert value.dtype != object and value.nbytes < 1e8
            assert not value.flags.writeable or value.size == 0
            float(np.asarray(value).ravel()[-1:].astype(np.complex128).sum().real)  # can be read
        else:
            assert isinstance(value, PLAIN), type(value)
            assert not isinstance(value, stand_ins.Network)


def outcome(content, watch):
    """"error" or "tree"; anything else fails."""
    start = time.perf_counter()
    tree = error = None
    with watch.watching():
        try:
            tree = reader.load(io.BytesIO(content))
            reader.flatten(tree)
        except CheckpointError as raised:
            error = raised
    seconds = time.perf_counter() - start
    assert seconds < SECONDS
    if error is not None:
        assert str(error)
        return "error"
    check_plain(tree)
    return "tree"


# Mutations


KINDS = ("flip", "byte", "cut", "delete", "insert", "repeat", "number", "splice")


def of_bytes(content, others, choice):
    """One or a few changes anywhere in a file."""
    content = bytearray(content)
    for _ in range(choice.choice((1, 1, 1, 2, 5))):
        size = max(len(content), 1)
        at, length = choice.randrange(size), choice.choice((1, 2, 4, 8, 30))
        kind = choice.choice(KINDS)
        if kind == "flip":
            content[at : at + 1] = bytes([(content + b"\0")[at] ^ 1 << choice.randrange(8)])
        elif kind == "byte":
            content[at : at + 1] = bytes([choice.randrange(256)])
        elif kind == "cut":
            del content[at:]
        elif kind == "delete":
            del content[at : at + length]
        elif kind == "insert":
            content[at:at] = choice.randbytes(length)
        elif kind == "repeat":
            content[at:at] = content[at : at + length] * choice.choice((1, 2, 50))
        elif kind == "number":
            content[at : at + 4] = choice.choice((b"\xff" * 4, b"\0" * 4, b"\xff\xff\xff\x7f"))
        else:
            other = choice.choice(others)
            start = choice.randrange(len(other))
            content[at : at + length] = other[start : start + choice.choice((length, 10**6))]
    return bytes(content)


def instructions(body):
    """The instructions of a pickle, as bytes."""
    ends = [place for _, _, place in pickletools.genops(body + b".")]
    return [body[a:b] for a, b in zip(ends, ends[1:])]


POOL = sorted({i for body, _ in PICKLES.values() for i in instructions(body)}) + [
    name("os", "system"),
    name("builtins", "exec"),
    literal("os") + literal("system") + b"\x93",
    b"ibuiltins\neval\n",
    *(bytes([code]) for code in b"(.0123RbcedtlosuQ)]}\x81\x85\x86\x87\x88\x8f"),
    *(bytes([code]) for code in b"\x90\x91\x92\x93\x94\x97\x98"),
    *(b"h" + bytes([index]) for index in range(8)),
    *(b"q" + bytes([index]) for index in range(8)),
    *map(literal, (0, -1, 2**31 - 1, 2**62, 1e300, "", "__meta__", "__class__", "__setstate__")),
]


def of_instructions(body, choice):
    """One or a few changes to the program of a pickle."""
    program = instructions(body)
    for _ in range(choice.choice((1, 1, 2, 4))):
        at = choice.randrange(len(program))
        other = choice.randrange(len(program))
        kind = choice.choice(("remove", "repeat", "exchange", "replace", "insert", "move", "dup"))
        if kind == "remove" and len(program) > 1:
            del program[at]
        elif kind == "repeat":
            program[at:at] = program[at : at + choice.randrange(1, 20)] * choice.choice((1, 100))
        elif kind == "exchange":
            program[at], program[other] = program[other], program[at]
        elif kind == "replace":
            program[at] = choice.choice(POOL)
        elif kind == "insert":
            program[at:at] = [choice.choice(POOL)]
        elif kind == "move":
            program[at] = program[other]
        else:
            program[at:at] = [b"2"] * choice.choice((1, 1000))
    return b"".join(program)


def mutations(layout, contents, choice, count):
    """`count` mutated files of a layout."""
    others = list(SEEDS.values())
    for _ in range(count):
        if layout in PICKLES and choice.random() < 0.7:
            body, wrap = PICKLES[layout]
            kinds = (lambda b: of_instructions(b, choice), lambda b: of_bytes(b, others, choice))
            yield wrap(choice.choice(kinds)(body))
        else:
            yield of_bytes(contents, others, choice)


def run(layout, content, watch, *, rounds, count):
    """Rounds of mutations; returns how many files ended in an error and how many in a tree."""
    ends = {"error": 0, "tree": 0}

    @settings(
        max_examples=rounds,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(seed=st.integers(0, 2**64))
    def round_of(seed):
        for mutated in mutations(layout, content, random.Random(f"{layout} {seed}"), count):
            try:
                ends[outcome(mutated, watch)] += 1
            except BaseException as error:
                raise AssertionError(f"{layout}: {error!r} by {mutated!r:.5000}") from error

    round_of()
    return ends


# Tests


def test_the_number_of_mutations():
    total = len(SEEDS) * ROUNDS * MUTATIONS + len(REAL) * REAL_ROUNDS * REAL_MUTATIONS
    assert total >= 40_000


@pytest.mark.parametrize("layout", SEEDS)
def test_the_seeds_are_read(layout, watch):
    assert outcome(SEEDS[layout], watch) == "tree"
    assert reader.flatten(reader.load(io.BytesIO(SEEDS[layout])))


def test_the_watch_notices(watch):
    for act in (lambda: exec("1"), lambda: open("/dev/null", "w").close(), lambda: eval("1")):
        with pytest.raises(AssertionError):
            with watch.watching():
                act()


@pytest.mark.parametrize("layout", SEEDS)
def test_mutations_end_in_an_error_or_a_tree(layout, watch):
    ends = run(layout, SEEDS[layout], watch, rounds=ROUNDS, count=MUTATIONS)
    assert sum(ends.values()) == ROUNDS * MUTATIONS
    assert ends["error"] > 100


@pytest.mark.parametrize("layout", REAL)
def test_mutations_of_real_files_end_in_an_error_or_a_tree(shared, layout, watch):
    content = (shared / "parity" / REAL[layout]).read_bytes()
    assert outcome(content, watch) == "tree"
    ends = run(layout, content, watch, rounds=REAL_ROUNDS, count=REAL_MUTATIONS)
    assert sum(ends.values()) == REAL_ROUNDS * REAL_MUTATIONS
