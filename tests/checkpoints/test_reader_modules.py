"""Whole networks in pickles: NVIDIA's of PyTorch and TensorFlow 1, live modules, forged ones."""

import builtins
import hashlib
import io
import json
import os
import pickle
import time
import tracemalloc
import zipfile

import numpy as np
import pytest
from checkpoints.pickles import (
    MAGIC,
    W,
    array,
    by_stack,
    from_bytes,
    literal,
    live,
    module,
    name,
    network,
    program,
    storage,
    storage_file,
    table,
    tensor,
    torch_legacy,
    torch_zip,
)

from ganzoo.checkpoints import torch_files, vocabulary
from ganzoo.checkpoints.reader import META, flatten, load, read
from ganzoo.errors import CheckpointError, CorruptCheckpointError, UnsafeCheckpointError

# NVIDIA's files: every tensor has the recorded sha256 under the recorded name.

TORCH = [
    "sg2ada_32_cifar_snapshot",
    "sg2ada_64_cond",
    "sg2ada_64_uncond",
    "sg2ada_losses_16",
    "sg3_r_32",
    "sg3_t_64",
    "sg3repo_stylegan2_32",
]
TENSORFLOW = {  # pickle version of the networks, and the generator's function
    "progan_32": (2, "G_paper"),
    "progan_32_growing_unfused": (2, "G_paper"),
    "progan_losses_16": (2, "G_paper"),
    "sg1_128_fused": (3, "G_style"),
    "sg1_64": (3, "G_style"),
    "sg1_losses_16": (3, "G_style"),
    "sg2adatf_32_cifar_cond": (5, "G_main"),
    "sg2tf_64_configf": (4, "G_main"),
}
VARIANTS = {  # the case whose tensors a file of `format_variants` has
    "canary_sg1.pkl": "sg1_losses_16",
    "canary_sg2ada.pkl": "sg2ada_losses_16",
    "resaved_sg2_torch2.13.0_numpy2.4.6.pkl": "sg2ada_losses_16",
}
HOSTILE_FILES = ["hostile_exec.pkl", "hostile_nested_storage.pkl"]


@pytest.fixture
def stylegan(shared):
    return shared / "parity/stylegan"


@pytest.fixture(autouse=True)
def nothing_ran():
    yield
    assert not hasattr(builtins, "GANZOO_PWNED")
    assert "GANZOO_PWNED" not in os.environ


def tensors_of(stylegan, case):
    """{network: {name: (shape, dtype, sha256)}} as recorded by the official code."""
    manifest = json.loads((stylegan / case / "manifest.json").read_text())
    return {
        network: {name: (tuple(t["shape"]), t["dtype"], t["sha256"]) for name, t in rows.items()}
        for network, rows in manifest["tensors"].items()
    }


def facts(arrays):
    return {
        name: (array.shape, str(array.dtype), hashlib.sha256(array.tobytes()).hexdigest())
        for name, array in arrays.items()
    }


def networks(tree):
    """{G, D, and Gs or G_ema} of a tree."""
    return dict(zip(("G", "D", "Gs"), tree)) if isinstance(tree, tuple) else tree


def official_names(network):
    """Names as recorded: state_dict names, or a component's variables under its scope."""
    if "static_kwargs" not in network[META]:
        return flatten(network)
    arrays = {name: array for name, array in network.items() if isinstance(array, np.ndarray)}
    for part in network.values():
        if isinstance(part, dict) and META in part:
            scope = part[META]["name"]
            arrays |= {f"{scope}/{k}": v for k, v in part.items() if k != META}
    return arrays


def agree(tree, expected):
    assert {name: facts(official_names(networks(tree)[name])) for name in expected} == expected


@pytest.mark.parametrize("case", [*TORCH, *TENSORFLOW])
def test_every_tensor_of_an_official_file(stylegan, case):
    agree(load(stylegan / case / "network.pkl"), tensors_of(stylegan, case))


@pytest.mark.parametrize("file", VARIANTS)
def test_a_variant_has_the_tensors_of_its_case(stylegan, file):
    agree(load(stylegan / "format_variants" / file), tensors_of(stylegan, VARIANTS[file]))


@pytest.mark.parametrize("file", HOSTILE_FILES)
def test_a_hostile_file_is_refused_by_name(stylegan, file):
    with pytest.raises(UnsafeCheckpointError, match=rf"{file}`. It names `builtins.exec`"):
        load(stylegan / "format_variants" / file)


def test_every_official_file_is_in_a_list_above(stylegan):
    found = {path.relative_to(stylegan).as_posix() for path in stylegan.glob("*/*.pkl")}
    variants = {f"format_variants/{file}" for file in [*VARIANTS, *HOSTILE_FILES]}
    assert found == {f"{case}/network.pkl" for case in [*TORCH, *TENSORFLOW]} | variants


# What a network says of itself


def test_what_a_torch_network_says_of_itself(stylegan):
    tree = load(stylegan / "sg2ada_32_cifar_snapshot/network.pkl")
    meta = tree["G_ema"][META]
    assert meta["class"] == "Generator"
    assert meta["init_args"] == [] and meta["init_kwargs"]["z_dim"] == 32
    assert meta["init_kwargs"]["mapping_kwargs"] == {"num_layers": 2}
    assert meta["attributes"]["img_resolution"] == 32
    layer = tree["G_ema"]["synthesis"]["b4"]["conv1"]
    assert layer[META]["init_args"] == [24, 24]
    assert layer[META]["init_kwargs"]["conv_clamp"] == 256
    assert layer[META]["attributes"]["activation"] == "lrelu"
    gain = layer["affine"][META]["attributes"]["weight_gain"]
    assert type(gain) is float and gain == pytest.approx(32**-0.5)
    assert list(layer["affine"]) == ["weight", "bias", META]
    assert tree["augment_pipe"][META]["class"] == "AugmentPipe"
    assert tree["augment_pipe"][META]["attributes"]["imgfilter_bands"] == [1, 1, 1, 1]
    assert tree["training_set_kwargs"]["resolution"] == 32
    assert "augment_pipe.Hz_fbank" in flatten(tree)


def test_a_published_torch_file_has_no_training_state(stylegan):
    tree = load(stylegan / "sg3_t_64/network.pkl")
    assert tree["augment_pipe"] is None and tree["training_set_kwargs"] is None
    synthesis = tree["G_ema"]["synthesis"]
    layers = synthesis[META]["attributes"]["layer_names"]
    assert layers == [name for name in synthesis if name.startswith("L")]  # in the order of use
    assert synthesis["input"][META]["attributes"]["size"].tolist() == [36, 36]
    assert "up_filter" not in synthesis[layers[-1]]  # a buffer that is None, of ToRGB


@pytest.mark.parametrize("case", TENSORFLOW)
def test_what_a_tensorflow_network_says_of_itself(stylegan, case):
    version, function = TENSORFLOW[case]
    config = json.loads((stylegan / case / "manifest.json").read_text())["config"]
    resolution = config["res"] if "res" in config else config["G"]["resolution"]
    tree = load(stylegan / case / "network.pkl")
    assert len(tree) == 3
    path = "tfutil" if version == 2 else "dnnlib.tflib.network"
    for part, title in zip(tree, ("G", "D", "Gs")):
        meta = part[META]
        assert (meta["version"], meta["name"]) == (version, title)
        assert meta["class"] == f"{path}.Network"
        assert meta["static_kwargs"]["resolution"] == resolution
        assert not any("src" in key for key in meta)
    assert tree[2][META]["build_func_name"] == function
    if version > 2:
        assert tree[2]["mapping"][META]["build_func_name"] == "G_mapping"
        assert "synthesis.4x4/Const/const" in flatten(tree[2])
    if version < 5:
        assert tree[0]["lod"].shape == () and not tree[0]["lod"].flags.writeable


def test_the_network_of_a_name_alone(stylegan):
    arrays = read(stylegan / "sg2ada_losses_16/network.pkl", pick="G_ema")
    assert set(arrays) == set(tensors_of(stylegan, "sg2ada_losses_16")["G_ema"])


def bytes_behind(array):
    """What keeps the bytes of an array."""
    while not isinstance(array, (bytes, memoryview, type(None))):
        array = array.base
    return bytes(array.obj if isinstance(array, memoryview) else array or b"")


def everything_in(tree):
    seen, pending = {}, [tree]
    while pending:
        value = pending.pop()
        if id(value) not in seen:
            seen[id(value)] = value
            if isinstance(value, (dict, list, tuple)):
                pending += value
                pending += value.values() if isinstance(value, dict) else []
    return list(seen.values())


@pytest.mark.parametrize("file", ["canary_sg1.pkl", "canary_sg2ada.pkl"])
def test_program_text_does_not_stay(stylegan, file):
    path = stylegan / "format_variants" / file
    assert b"GANZOO_PWNED" in path.read_bytes()
    values = everything_in(load(path))
    texts = [value for value in values if isinstance(value, str)]
    arrays = [value for value in values if isinstance(value, np.ndarray)]
    assert len(texts) > 50 and len(arrays) > 50
    assert not any("PWNED" in text or "import" in text for text in texts)
    assert not any(b"PWNED" in bytes_behind(array) for array in arrays)


# Live modules


def same(arrays, expected):
    assert list(arrays) == list(expected)
    for key, values in arrays.items():
        assert values.dtype == expected[key].dtype
        assert np.array_equal(values, expected[key])


@pytest.mark.parametrize("name", ["gen", "dis"])
def test_a_live_module_in_a_legacy_stream(shared, name):
    path = shared / f"parity/classics/04_discogan/model_{name}_A-1.0"
    tree = load(path)
    same(flatten(tree), read(f"{path}.state_dict.pth"))
    assert tree[META]["class"] == {"gen": "model.Generator", "dis": "model.Discriminator"}[name]
    if name == "gen":
        conv = tree["main"]["0"][META]
        assert conv["class"] == "torch.nn.modules.conv.Conv2d"
        assert conv["attributes"]["kernel_size"] == (4, 4)
        assert conv["attributes"]["padding_mode"] == "zeros"
        assert tree["main"]["1"] == {META: tree["main"]["1"][META]}  # LeakyReLU has no weights
        assert tree["main"]["1"][META]["attributes"]["negative_slope"] == 0.2


def test_a_live_module_with_nested_storages(shared):
    folder = shared / "parity/classics/09_r3gan_uncond"
    tree = load(folder / "network-snapshot-final.pkl")
    same(flatten(tree["G_ema"]), read(folder / "G_ema.state_dict.pth"))
    meta = tree["G_ema"][META]
    assert meta["class"] == "training.networks.Generator"
    assert (meta["attributes"]["z_dim"], meta["attributes"]["img_resolution"]) == (16, 16)
    assert tree["G_ema"]["Model"][META]["class"] == "R3GAN.Networks.Generator"
    layers = tree["G_ema"]["Model"]["MainLayers"]
    stages = [layers[key] for key in layers if key != META]
    types = {stage[META]["attributes"].get("DataType") for stage in stages} - {None}
    assert types <= {"torch.bfloat16", "torch.float32"} and types
    assert tree["cur_nimg"] == 1000


# Hand-made networks: a pickle is put together from its opcodes.

def nested_file(root=None):
    """A storage as a legacy stream, with another tree if asked."""
    if root is None:
        return storage_file()
    return torch_legacy(b"0".join([storage("k", 12, legacy=True), root]), {"k": W})


def nested_zip(method=zipfile.ZIP_STORED, extra=0):
    """A storage as a zip file."""
    entries = {f"more/{i}": b"" for i in range(extra)}
    return torch_zip(storage("0", 12), {"0": W}, method=method, **entries)


PERSISTENT = name("torch_utils.persistence", "_reconstruct_persistent_obj")


def matrix(content):
    return tensor(from_bytes(content), (3, 4), (4, 1))


def loaded(body):
    return load(io.BytesIO(program(body)))


SMALL = module(
    _parameters=table(weight=matrix(nested_file()), bias=b"N"),
    _buffers=table(seen=array(W[0])),
    _modules=table(child=module("Layer", _parameters=table(b=matrix(nested_zip())))),
    z_dim=literal(7),
)


def test_a_hand_made_module():
    tree = loaded(SMALL)
    assert list(flatten(tree)) == ["weight", "seen", "child.b"]
    assert np.array_equal(tree["weight"], W.reshape(3, 4))
    assert np.array_equal(tree["child"]["b"], W.reshape(3, 4))
    assert tree["seen"].shape == ()
    assert not any(array.flags.writeable for array in flatten(tree).values())
    assert tree[META] == {
        "class": "Generator",
        "init_args": [],
        "init_kwargs": {},
        "attributes": {"z_dim": 7},
        "non_persistent": [],
    }


def test_attributes_that_are_not_plain():
    attributes = {
        "dtype": name("torch", "bfloat16"),
        "cls": name("torch.nn.modules.activation", "ReLU"),
        "device": name("torch", "device") + literal(("cpu",)) + b"R",
        "weight": array(),  # no parameter: computed, as by spectral norm
        "child": live("model", "Block"),
        "args": b"(" + literal(1) + live("model", "Block") + b"t",
        "options": table(a=literal(1), child=live("model", "Block")),
        "_hidden": literal(1),
    }
    hidden = name("__builtin__", "set") + b"(](" + literal("b") + literal("a") + b"etR"
    attributes |= {"_non_persistent_buffers_set": hidden, "training": b"\x88"}
    tree = loaded(live("model.parts", "Net", **attributes))
    assert tree[META] == {
        "class": "model.parts.Net",
        "init_args": [],
        "init_kwargs": {},
        "attributes": {
            "training": True,
            "dtype": "torch.bfloat16",
            "cls": "torch.nn.modules.activation.ReLU",
            "device": None,
            "args": (1, None),
            "options": {"a": 1},
        },
        "non_persistent": ["a", "b"],
    }


def test_tied_weights_share_memory_and_a_shared_module_is_one():
    shared_module = b"q\x01h\x01"  # memo, and again
    body = b"(" + SMALL + shared_module + b"t"
    first, second = loaded(body)
    assert first is second
    body = b"(" + from_bytes(nested_file()) + b"q\x010" + tensor(b"h\x01", (12,), (1,)) * 2 + b"t"
    first, second = loaded(body)
    assert np.shares_memory(first, second)


def test_program_text_that_is_set_late_is_dropped_too():
    late = table(module_src=literal("raise SystemExit"), z_dim=literal(3))
    body = b"}q\xc80" + name("model", "Net") + b")\x81h\xc8bh\xc8" + late[1:] + b"\x86"
    module, state = loaded(body)
    assert module[META]["attributes"] == {"z_dim": 3}
    assert state == {"z_dim": 3}


def test_program_text_of_a_description_that_is_kept():
    meta = module()[len(PERSISTENT) : -2]
    network_of_meta, kept = loaded(meta + b"q\xc80" + PERSISTENT + b"h\xc8\x85Rh\xc8\x86")
    assert network_of_meta[META]["class"] == "Generator"
    assert "class_name" in kept and "module_src" not in kept


def test_builtins_that_old_protocols_spell_as_calls():
    for protocol in range(6):
        value = [{1, "a"}, frozenset({2}), set()]
        assert load(io.BytesIO(pickle.dumps(value, protocol))) == value


def test_python_2_text_in_a_network():
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I2\ntcnumpy\n"
        b"dtype\n(S'f4'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\nS'\\x00\\x00\\x80?"
        b"\\x00\\x00\\x00\\xc0'\ntb"
    )
    scalar = b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'f4'\nI0\nI1\ntR(I3\nS'<'\nNNN"
    scalar += b"I-1\nI-1\nI0\ntbS'\\x00\\x00\\x80?'\ntR"
    variables = b"](U\x01w" + array + b"\x86" + b"U\x03lod" + scalar + b"\x86e"
    sources = {"build_module_src": b"U\x04exit", "build_func_name": b"U\x07G_paper"}
    body = network(("tfutil", "Network"), version=b"K\x02", variables=variables, **sources)
    tree = loaded(body)
    assert tree["w"].tolist() == [1, -2]
    assert tree["lod"] == 1 and tree["lod"].shape == ()
    assert tree[META] == {
        "class": "tfutil.Network",
        "version": 2,
        "name": "G",
        "build_func_name": "G_paper",
    }
    assert list(flatten(tree)) == ["w", "lod"]


def test_old_spellings():
    """torch below 1.0: storages of a GPU, parameters with a state, a layer's functions."""
    parameter = name("torch.nn.parameter", "Parameter") + array() + b"\x85R"
    state = b"\x88\x89" + name("collections", "OrderedDict") + b")R\x87b"
    assert np.array_equal(loaded(parameter + state), W)
    gpu = nested_file().replace(b"ctorch\n", b"ctorch.cuda\n")
    assert np.array_equal(loaded(matrix(gpu)), W.reshape(3, 4))
    backend = name("torch.nn.backends.thnn", "_get_thnn_function_backend") + b")R"
    assert list(loaded(live("model", "Net", _backend=backend))) == [META]


# Forged networks


ARRAY = array()
FORGED = {
    "no class": PERSISTENT + literal({"type": "function", "state": {}}) + b"\x85R",
    "no description": PERSISTENT + literal("G") + b"\x85R",
    "no state": PERSISTENT + literal({"type": "class", "class_name": "G"}) + b"\x85R",
    "class is no text": PERSISTENT
    + literal({"type": "class", "class_name": 1, "state": {}})
    + b"\x85R",
    "state is a list": PERSISTENT
    + literal({"type": "class", "class_name": "G", "state": []})
    + b"\x85R",
    "state is a tuple": name("model", "Net") + b")\x81" + literal(({}, {})) + b"b",
    "parameters are a list": module(_parameters=b"]"),
    "parameter named by a number": module(_parameters=b"}" + literal(1) + ARRAY + b"s"),
    "parameter named as the key of what is no array": module(_parameters=table(__meta__=ARRAY)),
    "buffer with the name of a parameter": module(
        _parameters=table(a=ARRAY), _buffers=table(a=ARRAY)
    ),
    "its own child": name("model", "Net") + b")\x81q\x01" + table(
        _modules=table(child=b"h\x01")
    ) + b"b",
    "storage of text": name("torch.storage", "_load_from_bytes") + literal("abc") + b"\x85R",
    "storage of nothing": from_bytes(b""),
    "storage is a number": from_bytes(program(literal(1))),
    "storage is a tensor": from_bytes(nested_file(root=table(a=literal(1)))),
    "storage within a storage": from_bytes(
        nested_file(root=from_bytes(nested_file()))
    ),
    "storage is cut off": from_bytes(nested_file()[:-1]),
    "storage is packed": from_bytes(nested_zip(zipfile.ZIP_DEFLATED)),
    "storage of many files": from_bytes(nested_zip(extra=200)),
    "storage as a module": b"(" + literal("module") + name("model", "Net") + b"NNtQ",
    "variables missing": name("tfutil", "Network") + b")\x81" + literal({"version": 2}) + b"b",
    "variable is text": network(variables=literal([("a", "text")])),
    "variable without value": network(variables=literal([("a",)])),
    "variable twice": network(variables=literal([("a", 1.0), ("a", 1.0)])),
    "variable without name": network(variables=literal([(1, 1.0)])),
    "component is text": network(components=literal({"mapping": "text"})),
    "component with the name of a variable": network(
        variables=literal([("a", 1.0)]), components=table(a=network())
    ),
    "a call left over": name("torch.storage", "_load_from_bytes"),
    "array as class": name("model", "Net") + literal((1, 2)) + b"R" + literal([1]) + b"b",
}


@pytest.mark.parametrize("case", FORGED)
def test_a_forged_network_is_refused(case):
    with pytest.raises(CorruptCheckpointError):
        loaded(FORGED[case])


def many(count, body):
    """A tuple of as many."""
    return b"(" + body * count + b"t"


def once_and_again(first, count, again):
    """`first`, known as memo 200, then `again` so many times."""
    return first + b"q\xc80" + many(count, again)


NULLS = b"}(" + b"".join(b"U" + bytes([6]) + b"%06d" % i + b"N" for i in range(20_000)) + b"u"
LOAD = name("torch.storage", "_load_from_bytes")
BLOB = from_bytes(storage_file())[len(LOAD) : -2]  # the bytes alone
COSTLY = {  # short files that ask for much work or memory
    "one state of many modules": once_and_again(
        table(_parameters=NULLS), 10_000, name("model", "Net") + b")\x81h\xc8b"
    ),
    "one list of many networks": once_and_again(
        table(variables=b"](" + b"U\x01aK\x01\x86" * 20_000 + b"e"),
        10_000,
        name("tfutil", "Network") + b")\x81h\xc8b",
    ),
    "containers": many(900_000, b"\x8f"),
    "views that repeat": many(100, tensor(from_bytes(storage_file()), (2**22,), (0,))),
    "modules within modules": (name("model", "Net") + b")\x81}U\x08_modules}U\x01a") * 2000
    + b"N"
    + b"ssb" * 2000,
}


@pytest.mark.parametrize("case", COSTLY)
def test_a_short_file_cannot_ask_for_much(case):
    content = program(COSTLY[case])
    start = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(CorruptCheckpointError):
            load(io.BytesIO(content))
        assert tracemalloc.get_traced_memory()[1] < 96e6
    finally:
        tracemalloc.stop()
    assert time.process_time() - start < 10


def test_one_storage_many_times_is_read_once(monkeypatch):
    calls, run = [], torch_files._run_nested
    monkeypatch.setattr(torch_files, "_run_nested", lambda *args: calls.append(args) or run(*args))
    again = LOAD + b"h\xc8\x85R"
    tree = loaded(once_and_again(BLOB, 1000, tensor(again, (12,), (1,))))
    assert len(calls) == 1 and len(tree) == 1000
    assert all(np.shares_memory(tree[0], other) for other in tree)


def test_reading_takes_the_memory_of_the_arrays_once(tmp_path):
    values = np.arange(1_000_000, dtype=np.float32)
    weights = {f"w{i}": array(values) for i in range(4)}
    (tmp_path / "network.pkl").write_bytes(program(module(_parameters=table(**weights))))
    tracemalloc.start()
    try:
        arrays = read(tmp_path / "network.pkl")
        assert tracemalloc.get_traced_memory()[1] < 1.2 * 4 * values.nbytes
    finally:
        tracemalloc.stop()
    assert len(arrays) == 4 and all(np.array_equal(values, other) for other in arrays.values())


def test_a_class_in_a_persistent_id_must_be_one_of_a_network():
    head = b"".join(pickle.dumps(x, 2) for x in (MAGIC, 1001, {}))
    keys = pickle.dumps([], 2)

    def stream(cls):
        pid = b"(" + literal("module") + cls + literal("model.py") + literal("exit()") + b"tQ"
        return io.BytesIO(head + program(pid + b")\x81" + table(_modules=b"}") + b"b") + keys)

    assert load(stream(name("model", "Net")))[META]["class"] == "model.Net"
    for cls in (literal("os.system"), name("collections", "OrderedDict"), name("torch", "Size")):
        with pytest.raises(CorruptCheckpointError, match="persistent id of a class"):
            load(stream(cls))
    with pytest.raises(UnsafeCheckpointError, match="`os.system`"):
        load(stream(name("os", "system")))


# Names that must never pass as classes of networks

REFUSED = [
    ("os", "system"),
    ("posix", "system"),
    ("nt", "system"),
    ("subprocess", "Popen"),
    ("builtins", "exec"),
    ("builtins", "eval"),
    ("builtins", "getattr"),
    ("builtins", "__import__"),
    ("builtins", "setattr"),
    ("__builtin__", "apply"),
    ("importlib", "import_module"),
    ("pickle", "loads"),
    ("torch", "load"),
    ("torch.hub", "load"),
    ("torch.nn.modules.module", "os.system"),  # an attribute of an attribute
    ("torch.nn.modules.module", "warnings"),  # a module that a module imports
    ("torch.nn.modules.module", "_global_forward_hooks"),
    ("torch.nn.modules", "__builtins__"),
    ("torch.nn.modules ", "Linear"),
    (" torch.nn.modules", "Linear"),
    ("torch.nn.modules.", "Linear"),
    ("torch.nn.modules..linear", "Linear"),
    ("torch.nn.modules\u200b.linear", "Linear"),
    ("torch.nn.modulesX", "Linear"),
    ("torch.nn", "Linear"),
    ("torch-nn-modules", "Linear"),
    ("model", ""),
    ("model", "__class__"),
    ("model", "Net.mro"),
    ("model", "N\u0435t"),  # Cyrillic e
    ("m\u043edel", "Net"),  # Cyrillic o
    ("model/../os", "System"),
    ("models_of_mine", "Net"),
    ("training", "Generator"),
    ("training.networks_evil", "Generator"),
    ("R3GANx", "Net"),
    ("dnnlib.util", "call_func_by_name"),
    ("dnnlib.util", "open_url"),
    ("dnnlib.tflib.network", "import_handlers"),
    ("torch_utils.persistence", "import_hook"),
    ("tfutil", "exec"),
    ("joblib.numpy_pickle", "NumpyArrayWrapper"),
    ("collections", "OrderedDict.fromkeys"),
    ("numpy", "load"),
    ("numpy.core.multiarray", "fromfile"),
    ("Collections", "OrderedDict"),
    ("collections", "OrderedDict\r"),
]


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: repr(".".join(row)))
def test_no_other_name_passes(row):
    path, attribute = row
    stack = literal(path) + literal(attribute) + b"\x93"
    line = f"c{path}\n{attribute}\n".encode()
    for body in (stack, line):
        for use in (b"", b")R", b")\x81", b")}\x92", b"}b"):
            with pytest.raises(UnsafeCheckpointError) as error:
                loaded(body + use)
            assert f"{path}.{attribute}" in str(error.value)
    if "\n" not in path:
        with pytest.raises(UnsafeCheckpointError):
            loaded(b"(i" + line[1:])


def test_the_lists_of_names_are_short_and_hold_nothing_that_runs():
    assert len(vocabulary.GLOBALS) < 80 and len(vocabulary.CLASS_MODULES) < 15
    modules = {path for path, _ in vocabulary.GLOBALS} | set(vocabulary.CLASS_MODULES)
    harmful = {"os", "posix", "nt", "sys", "subprocess", "shutil", "socket", "ctypes", "importlib",
               "pickle", "runpy", "code", "types", "functools", "operator", "copyreg", "copy_reg"}
    assert not {path.split(".")[0] for path in modules} & harmful
    of_builtins = {attribute for path, attribute in vocabulary.GLOBALS if "builtin" in path}
    assert of_builtins == {"set", "frozenset"}


# Hostile files


class Bomb:
    def __init__(self, function, *args):
        self.reduced = function, args

    def __reduce__(self):
        return self.reduced


CALL = literal("GANZOO_PWNED=1") + b"\x85R"
SYSTEM = name("os", "system") + CALL
EXEC = name("builtins", "exec") + literal("import builtins; builtins.GANZOO_PWNED = 1") + b"\x85R"
DEEP_NAME = by_stack("builtins", "exec")


MALICIOUS = {  # file, and what the refusal names
    "in a module's state": (program(module(z_dim=SYSTEM)), "os.system"),
    "in a module's parameters": (program(module(_parameters=table(a=EXEC))), "builtins.exec"),
    "as a module's class": (program(name("os", "system") + b")\x81" + b"}b"), "os.system"),
    "as a submodule": (program(module(_modules=table(a=EXEC))), "builtins.exec"),
    "as a description": (program(PERSISTENT + EXEC + b"\x85R"), "builtins.exec"),
    "in a nested stream": (program(matrix(nested_file(root=EXEC))), "builtins.exec"),
    "as a nested pickle": (program(from_bytes(pickle.dumps(Bomb(exec, "1"), 2))), "exec"),
    "as nested keys": (
        program(from_bytes(nested_file().replace(pickle.dumps(["k"], 2), program(EXEC)))),
        "builtins.exec",
    ),
    "in a nested zip": (
        program(from_bytes(nested_zip().replace(b"ctorch\nFloat", b"cos\nsystem\n1"))),
        None,  # the checksum notices
    ),
    "as a hook": (program(live("model", "Net", _forward_hooks=table(a=EXEC))), "builtins.exec"),
    "as variables": (program(network(variables=EXEC)), "builtins.exec"),
    "as a component": (program(network(components=table(mapping=SYSTEM))), "os.system"),
    "as the type of a storage": (
        torch_legacy(b"(" + literal("storage") + DEEP_NAME + literal("k") + b"NK\x01NtQ", {}),
        "builtins.exec",
    ),
    "as a wrapped class": (
        torch_legacy(b"(" + literal("module") + DEEP_NAME + b"NNtQ)\x81", {}),
        "builtins.exec",
    ),
    "as the state of a stand-in": (
        program(name("model", "Net") + b")\x81" + SYSTEM + b"b"),
        "os.system",
    ),
    "as the setter of a state": (
        program(name("model", "Net") + b")\x81" + table(__setstate__=DEEP_NAME) + b"b"),
        "builtins.exec",
    ),
    "as a reducer": (
        program(live("model", "Net", __reduce__=b"(" + name("os", "system") + b"t")),
        "os.system",
    ),
    "by a method of a class": (
        program(literal("torch.nn.modules.module") + literal("Module.apply") + b"\x93)R"),
        "Module.apply",
    ),
    "by getattr on a class": (
        program(name("builtins", "getattr") + name("model", "Net") + literal("mro") + b"\x86R"),
        "builtins.getattr",
    ),
    "by an extension": (program(b"\x82\x01)R"), "copyreg"),
    "by a long extension": (program(b"\x84\x01\x00\x00\x00)R"), "copyreg"),
    "by INST": (program(b"(" + literal("1") + b"ibuiltins\neval\n"), "builtins.eval"),
    "by OBJ": (program(b"(" + name("builtins", "eval") + literal("1") + b"o"), "builtins.eval"),
    "by NEWOBJ_EX": (
        program(name("subprocess", "Popen") + b")" + table(args=literal("ls")) + b"\x92"),
        "subprocess.Popen",
    ),
    "by a reconstructor": (
        program(name("copyreg", "_reconstructor") + b"(" + name("model", "Net") + b"NNtR"),
        "copyreg._reconstructor",
    ),
    "by joblib": (
        program(name("joblib.numpy_pickle", "NumpyArrayWrapper") + b")\x81}b"),
        "joblib.numpy_pickle.NumpyArrayWrapper",
    ),
    "by a partial": (
        program(name("functools", "partial") + b"(" + DEEP_NAME + b"tR"),
        "functools.partial",
    ),
    "by a code object": (program(name("types", "CodeType") + b")R"), "types.CodeType"),
}


@pytest.mark.parametrize("case", MALICIOUS)
def test_a_malicious_file_is_refused_by_name(case):
    content, named = MALICIOUS[case]
    kind = CorruptCheckpointError if named is None else UnsafeCheckpointError
    with pytest.raises(CheckpointError) as error:
        load(io.BytesIO(content))
    assert type(error.value) is kind
    assert named is None or named in str(error.value)
