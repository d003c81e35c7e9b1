"""The reader: real files against torch's numbers, hand-made files, hostile and damaged ones."""

import io
import json
import lzma
import os
import pickle
import struct
import sys
import tracemalloc
import zipfile

import ml_dtypes
import numpy as np
import pytest
from checkpoints.pickles import (
    MAGIC,
    ORDERED,
    W,
    by_stack,
    literal,
    name,
    program,
    state,
    storage,
    tensor,
    torch_legacy,
    torch_zip,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ganzoo.checkpoints import limits, stand_ins, trees, vocabulary
from ganzoo.checkpoints.reader import flatten, load, read
from ganzoo.errors import CheckpointError, CorruptCheckpointError, UnsafeCheckpointError


def small_zip():
    body = state(
        fc__weight=tensor(storage("0", 12), (3, 4), (4, 1)),
        fc__bias=tensor(storage("1", 3, "HalfStorage"), (3,), (1,)),
        count=tensor(storage("2", 1, "LongStorage"), (), ()),
    )
    return torch_zip(body, {"0": W, "1": W[:3].astype(np.float16), "2": np.array(7)})


def small_legacy():
    body = state(
        fc__weight=tensor(storage("a", 12, legacy=True), (3, 4), (4, 1)),
        fc__bias=tensor(storage("b", 3, "HalfStorage", legacy=True), (3,), (1,)),
        count=tensor(storage("c", 1, "LongStorage", legacy=True), (), ()),
    )
    return torch_legacy(body, {"a": W, "b": W[:3].astype(np.float16), "c": np.array(7)})


def small_safetensors():
    header = {
        "__metadata__": {"format": "pt"},
        "b": {"dtype": "BF16", "shape": [2], "data_offsets": [48, 52]},
        "a": {"dtype": "F32", "shape": [3, 4], "data_offsets": [0, 48]},
    }
    text = json.dumps(header).encode()
    half = np.array([1.5, -2], ml_dtypes.bfloat16)
    return struct.pack("<Q", len(text)) + text + W.tobytes() + half.tobytes()


def small_npy():
    file = io.BytesIO()
    np.save(file, np.asfortranarray(W.reshape(3, 4)))
    return file.getvalue()


def small_npz():
    file = io.BytesIO()
    np.savez_compressed(file, a=W.reshape(3, 4), b=np.int64(3))
    return file.getvalue()


SMALL = {
    "zip": small_zip(),
    "legacy": small_legacy(),
    "safetensors": small_safetensors(),
    "npy": small_npy(),
    "npz": small_npz(),
    "numpy pickle": pickle.dumps({"a": W, "b": np.float64(2.5)}, 2),
}


def read_bytes(content, pick=None):
    return read(io.BytesIO(content), pick)


# Real files: number of arrays, of items, and the sum of their absolute values, as torch reads them.

REAL = {
    "checkpoints/csinva_mnist/D--300.ckpt": (6, 267009, 31000.4),
    "checkpoints/csinva_mnist/G--300.ckpt": (6, 283920, 72422.1),
    "checkpoints/csinva_mnist/lenet_epoch=12_test_acc=0.991.pth": (10, 61706, 3825.18),
    "checkpoints/gan_face_generate/weights.tar": (25, 3578628, 240851),
    "parity/classics/01_dcgan64/netD_epoch_24.pth": (20, 175747, 45253.6),
    "parity/classics/01_dcgan64/netG_epoch_24.pth": (25, 378564, 76683),
    "parity/classics/02_cyclegan_resnet6_dropout/latest_net_G_B.pth": (36, 70213, 3756.31),
    "parity/classics/02_cyclegan_resnet9/latest_net_G.pth": (48, 715651, 23489.8),
    "parity/classics/02_patchgan_basic/latest_net_D.pth": (22, 70014, 40923.7),
    "parity/classics/02_patchgan_basic/latest_net_D_A.pth": (10, 99061, 4392.76),
    "parity/classics/02_pix2pix_unet128_instance/latest_net_G.pth": (28, 41198, 3235.03),
    "parity/classics/02_pix2pix_unet256/latest_net_G.pth": (82, 334276, 187083),
    "parity/classics/03_stargan64/200000-D.ckpt": (14, 99885, 8381.39),
    "parity/classics/03_stargan64/200000-G.ckpt": (103, 536641, 234353),
    "parity/classics/04_discogan/model_dis_A-1.0.state_dict.pth": (20, 44867, 40400.3),
    "parity/classics/04_discogan/model_gen_A-1.0.state_dict.pth": (38, 87462, 81703.5),
    "parity/classics/05_biggan_deep_128/pytorch_model.bin": (506, 199327, 90905.8),
    "parity/classics/06_mimicry_cganpd32/netD_100000_steps.pth": (47, 28081, 12299.7),
    "parity/classics/06_mimicry_cganpd32/netG_100000_steps.pth": (51, 33530, 385156),
    "parity/classics/06_mimicry_sagan32/netD_100000_steps.pth": (60, 71091, 47556.4),
    "parity/classics/06_mimicry_sagan32/netG_100000_steps.pth": (86, 52708, 386145),
    "parity/classics/06_mimicry_sngan32/netD_100000_steps.pth": (44, 39680, 24182.1),
    "parity/classics/06_mimicry_sngan32/netG_100000_steps.pth": (57, 59338, 386058),
    "parity/classics/06_mimicry_wgangp32/netD_100000_steps.pth": (22, 26421, 2618.53),
    "parity/classics/06_mimicry_wgangp32/netG_100000_steps.pth": (57, 44890, 385423),
    "parity/classics/06_sagan_attention/attention_plain.pth": (5, 1281, 411.299),
    "parity/classics/06_sagan_attention/attention_sn.pth": (13, 1449, 1038.12),
    "parity/classics/06_sagan_attention/mimicry_snconv.pth": (4, 4641, 150.217),
    "parity/classics/06_studiogan_biggan32/model=D-best-weights-step=180000.pth": (
        60,
        18863,
        10542.7,
    ),
    "parity/classics/06_studiogan_biggan32/model=G_ema-best-weights-step=180000.pth": (
        117,
        80888,
        427417,
    ),
    "parity/classics/06_studiogan_sngan32/model=D-best-weights-step=50000.pth": (
        47,
        18390,
        7273.53,
    ),
    "parity/classics/06_studiogan_sngan32/model=G-best-weights-step=50000.pth": (57, 83338, 387562),
    "parity/classics/07_hifigan_mpd_msd/do_02500000": (170, 510473, 405414),
    "parity/classics/07_hifigan_v1/generator_v1": (234, 72410, 57513.6),
    "parity/classics/07_hifigan_v2/generator_v2": (234, 72410, 57588.7),
    "parity/classics/07_hifigan_v3/generator_v3": (69, 39010, 31145.8),
    "parity/classics/08_stackgan/netD_epoch_last.pth": (27, 53429, 52990.6),
    "parity/classics/08_stackgan/netG_epoch_90.pth": (33, 46324, 67725.3),
    "parity/classics/08_stackgan/stageII_netD_epoch_last.pth": (53, 72666, 103649),
    "parity/classics/08_stackgan/stageII_netG_epoch_90.pth": (103, 87369, 206900),
    "parity/classics/09_r3gan_uncond/G_ema.state_dict.pth": (36, 31440, 3415.93),
    "parity/classics/10_lpips/lpips_alex.pth": (5, 1152, 105.275),
    "parity/classics/10_lpips/lpips_squeeze.pth": (7, 2240, 173.439),
    "parity/classics/10_lpips_vgg/lpips_vgg.pth": (5, 1472, 131.856),
}
REAL |= {  # whole models and files packed by xz
    "parity/classics/04_discogan/model_dis_A-1.0": (20, 44867, 40400.3),
    "parity/classics/04_discogan/model_gen_A-1.0": (38, 87462, 81703.5),
    "parity/classics/09_r3gan_uncond/network-snapshot-final.pkl": (108, 93960, 10004.7),
    "parity/classics/10_fid_inception/pt_inception-random.pth.xz": (566, 23885486, 241594),
    "parity/classics/10_lpips/alex_features.pth.xz": (10, 2469696, 13092.6),
    "parity/classics/10_lpips/squeeze_features.pth.xz": (50, 722496, 14696.9),
    "parity/classics/10_lpips_vgg/vgg_features.pth.xz": (26, 14714688, 60414.6),
}
NO_CHECKPOINTS = {".npz", ".json", ".md", ""}  # goldens; "" is the LICENSE
NO_SUFFIX = ("do_02500000", "generator_v1", "generator_v2", "generator_v3")


def total(arrays):
    return sum(np.abs(array.astype(np.float64)).sum() for array in arrays.values())


@pytest.mark.parametrize("path", REAL)
def test_real_file_holds_what_torch_reads(shared, path):
    arrays = read(shared / path)
    count, items, absolute = REAL[path]
    assert (len(arrays), sum(array.size for array in arrays.values())) == (count, items)
    np.testing.assert_allclose(total(arrays), absolute, rtol=2e-5, atol=0)
    assert "torch" not in sys.modules


def test_every_real_file_is_in_the_list_above(shared):
    folders = [shared / "parity/classics", shared / "checkpoints"]
    files = [path for folder in folders for path in folder.glob("*/*")]
    checkpoints = {
        path.relative_to(shared).as_posix()
        for path in files
        if path.suffix not in NO_CHECKPOINTS | {".npy"} or path.name in NO_SUFFIX
    }
    assert len(checkpoints) > 40
    assert checkpoints == set(REAL)


def test_names_shapes_and_values_of_a_zip_file(shared):
    arrays = read(shared / "parity/classics/01_dcgan64/netG_epoch_24.pth")
    shapes = {key: array.shape for key, array in arrays.items() if array.ndim == 4}
    assert shapes == {
        "main.0.weight": (100, 128, 4, 4),
        "main.3.weight": (128, 64, 4, 4),
        "main.6.weight": (64, 32, 4, 4),
        "main.9.weight": (32, 16, 4, 4),
        "main.12.weight": (16, 3, 4, 4),
    }
    assert list(arrays)[:3] == ["main.0.weight", "main.1.weight", "main.1.bias"]
    assert arrays["main.1.num_batches_tracked"].dtype == np.int64
    weight = arrays["main.3.weight"].ravel()
    expected = [0.051050882786512375, -0.03459591791033745, 0.046083077788352966]
    assert weight[:3].tolist() == expected
    assert weight[-1] == np.float32(0.10326553136110306)


def test_names_shapes_and_values_of_a_legacy_file(shared):
    path = shared / "parity/classics/06_mimicry_wgangp32/netG_100000_steps.pth"
    arrays = read(path, pick="model_state_dict")
    assert arrays["l1.weight"].shape == (320, 64)
    assert arrays["block2.c_sc.weight"].shape == (20, 20, 1, 1)
    assert arrays["c5.bias"].shape == (3,)
    weight = arrays["l1.weight"].ravel()
    expected = [-0.10426676273345947, 0.09501870721578598, -0.041519179940223694]
    assert weight[:3].tolist() == expected
    assert weight[-1] == np.float32(-0.14583219587802887)
    assert load(path)["global_step"] == 100000


def test_a_wrong_pick_lists_the_keys(shared):
    path = shared / "checkpoints/gan_face_generate/weights.tar"
    assert read(path, pick="netG_state_dict")["main.12.weight"].shape == (64, 3, 4, 4)
    with pytest.raises(CheckpointError, match=r"weights\.tar.*pick='x'. Keys: 'netG_state_dict'"):
        read(path, pick="x")


def test_a_folder_of_npy_files(shared):
    arrays = read(shared / "checkpoints/dcgan_svhn")
    assert len(arrays) == 18
    assert arrays["200_gen_params.jl_01"].shape == (100, 4096)
    assert arrays["200_discrim_params.jl_01"].shape == (64, 3, 5, 5)
    expected = np.load(shared / "checkpoints/dcgan_svhn/200_gen_params.jl_04.npy")
    assert np.array_equal(arrays["200_gen_params.jl_04"], expected)


def test_an_opened_compressed_file(shared):
    path = shared / "parity/classics/10_lpips/alex_features.pth.xz"
    with lzma.open(path) as file:
        arrays = read(file)
    assert len(arrays) == 10
    assert all(np.array_equal(array, arrays[key]) for key, array in read(path).items())


# Hand-made files: what the real ones do not cover.


@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_small_torch_file(kind):
    arrays = read_bytes(SMALL[kind])
    assert list(arrays) == ["fc.weight", "fc.bias", "count"]
    assert np.array_equal(arrays["fc.weight"], W.reshape(3, 4))
    assert arrays["fc.bias"].dtype == np.float16
    assert arrays["count"] == 7 and arrays["count"].dtype == np.int64 and arrays["count"].ndim == 0


def views(place):
    return state(
        transposed=tensor(place, (4, 3), (1, 4)),
        part=tensor(place, (2, 2), (4, 1), 5),
        expanded=tensor(place, (2, 3), (0, 1), 1),
        empty=tensor(place, (0, 5), (5, 1), 12),
        scalar=tensor(place, (), (), 11),
    )


@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_offset_and_stride_of_views_on_one_storage(kind):
    make = torch_zip if kind == "zip" else torch_legacy
    arrays = read_bytes(make(views(storage("0", 12, legacy=kind == "legacy")), {"0": W}))
    assert np.array_equal(arrays["transposed"], W.reshape(3, 4).T)
    assert arrays["part"].tolist() == [[5, 6], [9, 10]]
    assert arrays["expanded"].tolist() == [[1, 2, 3], [1, 2, 3]]
    assert arrays["empty"].shape == (0, 5)
    assert arrays["scalar"] == 11
    assert not any(array.flags.writeable for key, array in arrays.items() if key != "empty")


def test_legacy_view_of_a_storage():
    place = storage("0", 12, view=("v", 4, 6), legacy=True)
    arrays = read_bytes(torch_legacy(state(a=tensor(place, (2, 2), (2, 1), 2)), {"0": W}))
    assert arrays["a"].tolist() == [[6, 7], [8, 9]]


KINDS = {
    "DoubleStorage": np.float64,
    "BFloat16Storage": ml_dtypes.bfloat16,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
}


@pytest.mark.parametrize("kind", KINDS)
def test_dtypes(kind):
    values = np.array([0, 1, 1], KINDS[kind])
    body = state(a=tensor(storage("0", 3, kind), (3,), (1,)))
    arrays = read_bytes(torch_zip(body, {"0": values}))
    assert arrays["a"].dtype == KINDS[kind]
    assert arrays["a"].tolist() == values.tolist()


def test_big_endian_zip():
    body = state(a=tensor(storage("0", 12), (12,), (1,)))
    arrays = read_bytes(torch_zip(body, {"0": W.astype(">f4")}, byteorder=b"big"))
    assert np.array_equal(arrays["a"], W)


def test_first_torch_parameters_and_old_rebuild():
    data = tensor(storage("0", 12), (12,), (1,)).replace(b"_rebuild_tensor_v2", b"_rebuild_tensor")
    body = name("torch._utils", "_rebuild_parameter") + b"(" + data + literal(True) + b"NtR"
    arrays = read_bytes(torch_zip(b"}(" + literal("p") + body + b"u", {"0": W}))
    assert np.array_equal(arrays["p"], W)


def test_python_2_pickles():
    # protocol 2 with SHORT_BINSTRING keys that are not ASCII, and an OrderedDict of pairs
    body = name("collections", "OrderedDict") + b"(](](U\x02\xe9aK\x05e]U\x01ba" + b"K\x06aetR"
    assert load(io.BytesIO(program(body))) == {"\u00e9a": 5, "b": 6}
    # protocol 0: cPickle.dumps({'a': [1, 2.5, True, 10L, 'x\\n', u'\xe9']}, 0)
    text = b"(dp1\nS'a'\np2\n(lp3\nI1\naF2.5\naI01\naL10L\naS'x\\n'\naV\xe9\nas."
    assert load(io.BytesIO(text)) == {"a": [1, 2.5, True, 10, "x\n", "\u00e9"]}
    # numpy 1.x of Python 2: the bytes are a latin1 str
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I2\ntcnumpy\n"
        b"dtype\n(S'f4'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\nS'\\x00\\x00\\x80?"
        b"\\x00\\x00\\x00\\xc0'\ntb."
    )
    assert load(io.BytesIO(array)).tolist() == [1.0, -2.0]


VALUES = {
    "none": None,
    "numbers": [0, 255, 256, -1, 2**31, -(2**40), 10**30, 1.5, True, False],
    "text": ["", "a", "\u00e9\U0001f600", "x" * 300],
    "bytes": [b"", b"ab", b"x" * 300],
    "tuples": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)],
    "sets": [{1, 2}, frozenset({"a"})],
    "nested": {"a": {"b": [{"c": (1, {"d": 2})}]}, 3: "x", (1, "y"): 4},
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("kind", VALUES)
def test_plain_values_in_every_protocol(kind, protocol):
    if protocol < 3 and kind == "bytes":
        expected = [b"ab", b"x" * 300]  # b"" is a call of builtins.bytes there
    else:
        expected = VALUES[kind]
    assert load(io.BytesIO(pickle.dumps(expected, protocol))) == expected


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<i8", "|u1", "|b1", "<f2", "<c8"])
def test_numpy_in_pickles(dtype, protocol):
    array = np.asfortranarray(np.arange(6).reshape(2, 3).astype(dtype))
    scalar = np.array(1, dtype)[()]
    tree = load(io.BytesIO(pickle.dumps({"a": array, "s": scalar, "d": array.dtype}, protocol)))
    assert np.array_equal(tree["a"], array) and tree["a"].dtype == array.dtype
    assert tree["s"] == scalar and type(tree["s"]) is type(scalar)
    assert tree["d"] == array.dtype
    assert list(flatten(tree)) == ["a"]  # scalars are left out


def test_shared_containers_stay_shared():
    inner = [1]
    tree = load(io.BytesIO(pickle.dumps([inner, inner], 2)))
    assert tree == [[1], [1]] and tree[0] is tree[1]


def test_namespace_is_inert():
    body = name("argparse", "Namespace") + b")\x81" + literal({"lr": 0.5}) + b"b"
    tree = load(io.BytesIO(program(body)))
    assert isinstance(tree, stand_ins.Inert)
    assert (tree.name, tree.state) == ("argparse.Namespace", {"lr": 0.5})


def test_npy_npz_and_safetensors(tmp_path):
    for kind in ("npy", "npz", "safetensors"):
        (tmp_path / kind).write_bytes(SMALL[kind])  # no suffix: the content decides
    assert np.array_equal(load(tmp_path / "npy"), W.reshape(3, 4))
    arrays = read(tmp_path / "npz")
    assert np.array_equal(arrays["a"], W.reshape(3, 4)) and arrays["b"] == 3
    arrays = read(str(tmp_path / "safetensors"))
    assert list(arrays) == ["a", "b"]
    assert np.array_equal(arrays["a"], W.reshape(3, 4))
    assert arrays["b"].dtype == ml_dtypes.bfloat16 and arrays["b"].tolist() == [1.5, -2]


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("shape", [(), (0, 3), (1,), (2, 3)])
def test_npy_versions(version, shape):
    file = io.BytesIO()
    array = np.ones(shape, ">f4")
    np.lib.format.write_array(file, array, version)
    assert np.array_equal(load(io.BytesIO(file.getvalue())), array)


def test_safetensors_of_the_official_library(tmp_path):
    safetensors_numpy = pytest.importorskip("safetensors.numpy")
    given = {"a": W.reshape(3, 4), "b": np.array(True), "c": np.zeros((0, 2), np.float16)}
    safetensors_numpy.save_file(given, tmp_path / "x.safetensors", metadata={"format": "np"})
    arrays = read(tmp_path / "x.safetensors")
    assert set(arrays) == set(given)
    assert all(np.array_equal(arrays[key], given[key]) for key in given)
    assert all(arrays[key].dtype == given[key].dtype for key in given)


def test_flatten():
    x, y = np.zeros(1), np.ones(2)
    tree = {"a": {"b": x, 3: y}, "l": [1, x, {"c": y}], "s": "text"}
    assert {k: v.tolist() for k, v in flatten(tree).items()} == {
        "a.b": [0],
        "a.3": [1, 1],
        "l.1": [0],
        "l.2.c": [1, 1],
    }
    assert list(flatten(tree)) == ["a.b", "a.3", "l.1", "l.2.c"]
    with pytest.raises(CorruptCheckpointError, match="Two arrays of the tree are named `a.b`"):
        flatten({"a.b": x, "a": {"b": y}})


def test_a_file_without_arrays():
    with pytest.raises(CheckpointError, match="It holds no arrays"):
        read_bytes(pickle.dumps({"lr": 1}))


# Hostile files. Each would leave a canary behind if any of it ran.


class Bomb:
    def __init__(self, function, *args):
        self.reduced = function, args

    def __reduce__(self):
        return self.reduced


SHELL = 'echo ran > "$GANZOO_CANARY"'
PYTHON = "open(__import__('os').environ['GANZOO_CANARY'], 'w').close()"
CALL = b"(" + literal(SHELL) + b"tR"
SYSTEM = f"{os.system.__module__}.system"  # posix.system


HOSTILE = {  # pickle, and the global that the refusal must name
    "os.system": (program(name("os", "system") + CALL), "os.system"),
    "posix.system": (pickle.dumps(Bomb(os.system, SHELL), 2), SYSTEM),
    "nested": (pickle.dumps({"a": [{"b": (1, Bomb(os.system, SHELL))}], "w": W}, 4), SYSTEM),
    "eval": (pickle.dumps(Bomb(eval, PYTHON), 4), "builtins.eval"),
    "exec": (pickle.dumps(Bomb(exec, PYTHON), 0), "__builtin__.exec"),
    "getattr": (program(name("builtins", "getattr") + CALL), "builtins.getattr"),
    "dotted": (program(by_stack("torch._utils", "os.system") + CALL), "torch._utils.os.system"),
    "dotted line": (program(name("torch._utils", "os.system") + CALL), "torch._utils.os.system"),
    "attribute of ours": (
        program(by_stack("collections", "OrderedDict.fromkeys") + CALL),
        "collections.OrderedDict.fromkeys",
    ),
    "instance": (program(b"(" + literal(SHELL) + b"ios\nsystem\n"), "os.system"),
    "object": (program(b"(" + name("os", "system") + literal(SHELL) + b"o"), "os.system"),
    "newobj": (program(name("subprocess", "Popen") + CALL[:-1] + b"\x81"), "subprocess.Popen"),
    "newobj_ex": (program(name("subprocess", "Popen") + CALL[:-1] + b"}\x92"), "subprocess.Popen"),
    "copyreg": (
        program(name("copyreg", "_reconstructor") + b"(" + name("os", "system") + b"tR"),
        "copyreg._reconstructor",
    ),
    "extension": (program(b"\x82\x01)R"), "copyreg"),
    "import only": (program(name("canary_module", "x")), "canary_module.x"),
    "module class": (program(name("torch.nn", "Linear") + b")\x81"), "torch.nn.Linear"),
    "torch.load": (program(name("torch", "load") + CALL), "torch.load"),
    "numpy.load": (program(name("numpy", "load") + CALL), "numpy.load"),
    "as state": (program(ORDERED + b")R" + name("os", "system") + b"b"), "os.system"),
    "as storage": (program(b"(" + literal("storage") + name("os", "system") + b"tQ"), "os.system"),
    "by line id": (program(b"P" + SHELL.encode() + b"\n" + name("os", "system")), "os.system"),
}
REFUSED_WITHOUT_A_NAME = {"by line id"}  # the persistent id comes first


@pytest.fixture
def canary(tmp_path, monkeypatch):
    """Where a canary appears if anything ran; the module `canary_module` also leaves one."""
    path = tmp_path / "canary"
    (tmp_path / "canary_module.py").write_text(PYTHON)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("GANZOO_CANARY", str(path))
    yield path
    sys.modules.pop("canary_module", None)


@pytest.mark.parametrize("case", ["os.system", "nested", "eval", "exec", "import only", "instance"])
def test_the_canary_appears_under_the_ordinary_unpickler(case, canary):
    try:
        pickle.loads(HOSTILE[case][0])
    except AttributeError:
        assert case == "import only"
    assert canary.exists()


WRAPPERS = {
    "plain": lambda content: content,
    "zip": lambda content: torch_zip(content[:-1], {}),
    "legacy magic": lambda content: pickle.dumps(MAGIC, 2) + content,
    "legacy tree": lambda content: torch_legacy(content[:-1], {}),
    "legacy keys": lambda content: torch_legacy(b"}", {})[: -len(pickle.dumps([], 2))] + content,
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_pickle_is_refused_by_name(case, wrapper, canary):
    content, named = HOSTILE[case]
    kind = CorruptCheckpointError if case in REFUSED_WITHOUT_A_NAME else UnsafeCheckpointError
    with pytest.raises(CheckpointError) as error:
        load(io.BytesIO(WRAPPERS[wrapper](content)))
    assert type(error.value) is kind
    assert kind is CorruptCheckpointError or named in str(error.value)
    assert not canary.exists()
    assert "canary_module" not in sys.modules


def test_a_hostile_row_among_good_ones(canary):
    body = state(a=tensor(storage("0", 12), (12,), (1,)), b=name("os", "system") + CALL)
    with pytest.raises(UnsafeCheckpointError, match="os.system"):
        read_bytes(torch_zip(body, {"0": W}))
    assert not canary.exists()


@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_numpy_arrays_of_objects_are_refused(kind, canary):
    file = io.BytesIO()
    array = np.array([Bomb(os.system, SHELL)], object)
    np.save(file, array) if kind == "npy" else np.savez(file, a=array)
    with pytest.raises(UnsafeCheckpointError, match="Python objects"):
        load(io.BytesIO(file.getvalue()))
    assert not canary.exists()


def test_a_pickle_cannot_change_the_table_of_globals():
    before = dict(vocabulary.GLOBALS)
    for row in (ORDERED, name("torch", "FloatStorage"), name("numpy", "dtype")):
        for change in (literal({"function": 1}), literal((None, {"function": 1, "dtype": 1}))):
            with pytest.raises(CorruptCheckpointError):
                load(io.BytesIO(program(row + change + b"b")))
    assert vocabulary.GLOBALS == before


MISUSED = {  # calls of allowed globals with arguments that are not theirs
    "dict of text": ORDERED + b"(" + literal("ab") + b"tR",
    "dict of text pairs": ORDERED + b"(" + literal({"ab": "cd"}) + b"tR",
    "dict of two": ORDERED + literal(([["a", 1]], 2)) + b"R",
    "no arguments": name("torch._utils", "_rebuild_tensor_v2") + b")R",
    "no tuple": ORDERED + b"]R",
    "no storage": name("torch._utils", "_rebuild_tensor_v2") + literal((1, 0, (1,), (1,))) + b"R",
    "parameter of text": name("torch._utils", "_rebuild_parameter") + literal(("a",)) + b"R",
    "call of text": literal("os.system") + literal(("ls",)) + b"R",
    "call of a type": name("torch", "FloatStorage") + b")R",
    "call of a constant": name("numpy", "ndarray") + literal((3,)) + b"R",
    "keywords": ORDERED + b")" + literal({"a": 1}) + b"\x92",
    "odd dtype": name("numpy", "dtype") + literal(("O8", 0, 1)) + b"R",
    "size of text": name("torch", "Size") + literal(("abc",)) + b"R",
    "encode": name("_codecs", "encode") + literal(("abc", "zip")) + b"R",
    "list as key": b"}]K\x01s",
    "deep key": b"}" + literal(((1, (2,)),)) + b"K\x01s",
    "list in set": b"\x8f(]\x90",
    "state of a list": b"]}b",
    "append to a dict": b"}K\x01a",
    "items of a list": b"]K\x01K\x02s",
    "odd items": b"}(K\x01u",
    "open buffer": b"\x97",
    "empty array": name("numpy.core.multiarray", "_reconstruct") + b")R",
}


@pytest.mark.parametrize("case", MISUSED)
def test_misused_globals_and_opcodes(case):
    with pytest.raises(CorruptCheckpointError):
        load(io.BytesIO(program(MISUSED[case])))


# Bombs: short files that ask for much.


def zip_of_one(key="0", held=W, numel=12, **view):
    options = {"size": (12,), "stride": (1,), "offset": 0, **view}
    place = storage(key, numel)
    body = state(a=tensor(place, options["size"], options["stride"], options["offset"]))
    return torch_zip(body, {"0": held})


def laughs(levels, opener, closer):
    """`levels` lists of ten references to the one before."""
    body = b"]q\x00"
    for level in range(1, levels):
        body += opener + struct.pack("<BB", ord("h"), level - 1) * 10 + closer
        body += b"q" + bytes([level])
    return body


def zip_entry(path, content=b""):
    """A torch zip file with one more entry."""
    file = io.BytesIO(torch_zip(b"}", {}))
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(path, content)
    return file.getvalue()


def in_one_of_two_places(content, old, new, *, last):
    """A zip file whose list at the end and whose entries differ."""
    at = content.rindex(old) if last else content.index(old)
    return content[:at] + new + content[at + len(old) :]


def colliding(count):
    """A dict of integers that have the same hash."""
    keys = ((i * (2**61 - 1)).to_bytes(11, "little", signed=True) for i in range(1, count + 1))
    return b"}(" + b"".join(b"\x8a\x0b" + key + b"N" for key in keys) + b"u"


LONG_KEY = literal("k" * 20_000)
LEAVES = "leaves its storage"
ENCODE = name("_codecs", "encode") + b"(h\x00X\x06\x00\x00\x00latin1tR0"  # of memo 0
BOMBS = {
    "view too long": (zip_of_one(size=(13,)), LEAVES),
    "view offset": (zip_of_one(offset=1), LEAVES),
    "view stride": (zip_of_one(size=(4, 4), stride=(4, 1)), LEAVES),
    "view negative": (zip_of_one(offset=-1), "integers >= 0"),
    "stride negative": (zip_of_one(size=(3,), stride=(-1,), offset=11), "integers >= 0"),
    "size negative": (zip_of_one(size=(-1, -12), stride=(1, 1)), "integers >= 0"),
    "size not whole": (zip_of_one(size=(1.5,)), "integers >= 0"),
    "size huge": (zip_of_one(size=(2**63,), stride=(0,)), "integers >= 0"),
    "size without stride": (zip_of_one(stride=()), "without a stride"),
    "rank": (zip_of_one(size=(1,) * 33, stride=(1,) * 33), "few integers"),
    "view repeats": (zip_of_one(size=(2**40,), stride=(0,)), "far more items"),
    "storage short": (zip_of_one(numel=13), "claims 13 items of float32, but has 48 bytes"),
    "storage huge": (zip_of_one(numel=2**50), "but has 48 bytes"),
    "storage missing": (zip_of_one(key="1"), "but the file lacks it"),
    "storage path": (zip_of_one(key="../data.pkl"), "but the file lacks it"),
    "legacy huge": (
        torch_legacy(state(a=tensor(storage("0", 2**50, legacy=True), (1,), (1,))), {"0": W}),
        "should hold",
    ),
    "legacy count": (
        torch_legacy(state(a=tensor(storage("0", 11, legacy=True), (1,), (1,))), {"0": W}),
        "should hold 11 items of float32, but the file says 12",
    ),
    "legacy keys": (
        torch_legacy(state(a=tensor(storage("1", 12, legacy=True), (1,), (1,))), {"0": W}),
        "list of storages differs",
    ),
    "legacy twice": (
        torch_legacy(
            state(
                a=tensor(storage("0", 12, legacy=True), (1,), (1,)),
                b=tensor(storage("0", 12, "IntStorage", legacy=True), (1,), (1,)),
            ),
            {"0": W},
        ),
        "described in two ways",
    ),
    "legacy storage view": (
        torch_legacy(
            state(a=tensor(storage("0", 12, view=("v", 8, 5), legacy=True), (1,), (1,))), {"0": W}
        ),
        "leaves that storage",
    ),
    "memo": (program(b"]r\xff\xff\xff\xff"), None),  # a large index is only a key
    "text length": (program(b"X\xff\xff\xff\x7f"), "ends early"),
    "bytes length": (program(b"\x8e" + b"\xff" * 8), "ends early"),
    "frame": (program(b"\x95" + b"\xff" * 8 + b"]"), None),
    "long": (program(b"\x8b\x00\x00\x00\x01" + b"\xff" * 4), "claims 16777216 bytes"),
    "digits": (program(b"I" + b"9" * 5000 + b"\n"), "5000 digits"),
    "stack": (program(b"(" * 5000), "more values than it made"),
    "pop": (program(b"0"), "more values than it made"),
    "mark": (program(b"K\x01(\x85t"), "more values"),
    "no mark": (program(b"K\x01t"), "never opened"),
    "deep list": (program(b"]" * 5000 + b"a" * 4999), "nest more than"),
    "deep tuple": (program(b")" + b"\x85" * 5000), "nest more than"),
    "own member": (program(b"]q\x00h\x00a"), "nest more than"),
    "not there": (program(b"h\x05"), "never made"),
    "copies": (
        program(literal("x" * 10**5) + b"0" + ENCODE * 1000 + b"N"),
        "copies far more",
    ),
    "instructions": (program(b"N0" * 600_000 + b"N"), "more than 1000000 instructions"),
    "digits of a float": (program(b"F" + b"1" * 10**6 + b"\n"), "1000000 digits"),
    "escape": (program(b"S'\\N{DIGIT ONE}'\n"), "an escape"),
    "colliding keys": (program(colliding(5000)), "very many keys"),
    "colliding set": (program(colliding(5000)[:-1].replace(b"}", b"\x8f", 1) + b"\x90"), "very"),
    "long key": (program(b"}" + LONG_KEY + b"Ns"), "more than 10000 characters"),
    "arguments": (
        program(b"(" + b"N" * 10**5 + b"tq\x000" + (name("torch", "device") + b"h\x00R0") * 100),
        "copies far more",
    ),
    "zip twice": (zip_entry("archive/data.pkl/../x"), "outside of its folder"),
    "zip absolute": (zip_entry("/etc/data.pkl"), "outside of its folder"),
    "zip backslash": (zip_entry("archive\\data\\0"), "outside of its folder"),
    "zip two trees": (zip_entry("other/data.pkl"), "2 `data.pkl`"),
    "zip name": (
        in_one_of_two_places(small_zip(), b"archive/data/0", b"archive/data/9", last=False),
        "not where the list says",
    ),
    "zip list": (
        in_one_of_two_places(small_zip(), b"archive/data/0", b"archive/data/1", last=True),
        "same name",
    ),
    "zip content": (
        in_one_of_two_places(small_zip(), W.tobytes(), W[::-1].tobytes(), last=False),
        "differs from its checksum",
    ),
    "xz of nothing": (lzma.compress(b""), "It is empty"),
    "xz of xz": (lzma.compress(lzma.compress(b"")), "more than once"),
    "xz cut": (lzma.compress(small_legacy())[:-1], "cut off"),
    "xz and more": (lzma.compress(small_legacy()) + b"x", "bytes follow"),
    "safetensors header": (struct.pack("<Q", 2**24) + b"{" + b" " * 2**24, "header claims"),
    "npy header": (b"\x93NUMPY\x02\x00" + struct.pack("<I", 10**6) + b" " * 10**6, "claims 10000"),
    "npy": (small_npy().replace(b"(3, 4)", b"(9, 9)"), "needs 324 bytes, but 48"),
    "npy huge": (
        small_npy().replace(b"(3, 4), }" + b" " * 12, b"(999999999999999,), }"),
        "needs 3999999999999996 bytes",
    ),
    "safetensors gap": (small_safetensors().replace(b"[48, 52]", b"[49, 52]"), "do not follow"),
    "safetensors length": (small_safetensors()[:-1], "ends early"),
    "safetensors more": (small_safetensors() + b"x", "leave 1 bytes"),
    "safetensors shape": (small_safetensors().replace(b"[3, 4]", b"[4, 4]"), "needs 64 bytes"),
    "safetensors sign": (small_safetensors().replace(b"[48, 52]", b"[48, -2]"), "integers >= 0"),
    "safetensors dtype": (small_safetensors().replace(b'"BF16"', b'"BF17"'), "odd dtype"),
}


@pytest.mark.parametrize("case", BOMBS)
def test_bombs_are_refused_before_memory_is_asked_for(case):
    content, message = BOMBS[case]
    tracemalloc.start()
    try:
        if message is None:
            assert load(io.BytesIO(content)) == []
        else:
            with pytest.raises(CorruptCheckpointError, match=message):
                load(io.BytesIO(content))
        assert tracemalloc.get_traced_memory()[1] < 16e6
    finally:
        tracemalloc.stop()


def test_some_copies_are_allowed():
    assert load(io.BytesIO(program(literal("x" * 10**5) + b"0" + ENCODE * 10 + b"N"))) is None


@pytest.mark.parametrize("opener, closer", [(b"(", b"l"), (b"(", b"t")])
def test_billion_laughs_load_as_shared_but_do_not_flatten(opener, closer, monkeypatch):
    monkeypatch.setattr(trees, "MAX_ENTRIES", 10_000)
    content = program(laughs(12, opener, closer))
    assert len(load(io.BytesIO(content))) == 10
    with pytest.raises(CorruptCheckpointError, match="more than 10000 entries"):
        read_bytes(content)


def test_what_xz_unpacks_to_is_limited(monkeypatch):
    content = lzma.compress(torch_legacy(state(a=tensor(storage("0", 10**6), (1,), (1,))), {}))
    zeros = lzma.compress(b"\0" * 10**6)
    monkeypatch.setattr(limits, "FREE_BYTES", 1000)
    with pytest.raises(CorruptCheckpointError, match="It unpacks to more than"):
        load(io.BytesIO(zeros))
    with pytest.raises(CorruptCheckpointError, match="xz"):
        load(io.BytesIO(content))


def test_a_zip_entry_that_unpacks_to_more_than_it_says_is_not_unpacked():
    zeros = np.zeros(50_000_000, np.uint8)
    body = state(a=tensor(storage("0", 100, "ByteStorage"), (100,), (1,)))
    content = torch_zip(body, {"0": zeros}, method=zipfile.ZIP_DEFLATED)
    content = content.replace(struct.pack("<I", zeros.size), struct.pack("<I", 100))
    tracemalloc.start()
    try:
        with pytest.raises(CorruptCheckpointError, match="differs from its checksum"):
            load(io.BytesIO(content))
        assert tracemalloc.get_traced_memory()[1] < 4e6
    finally:
        tracemalloc.stop()


def test_integers_of_any_size_are_keys_if_they_are_few():
    keys = [2**70 + i for i in range(100)] + list(range(5000))
    tree = dict.fromkeys(keys)
    assert load(io.BytesIO(pickle.dumps(tree, 2))) == tree


def large(kind, array):
    body = state(a=tensor(storage("0", array.size, legacy=kind == "legacy"), array.shape, (1,)))
    if kind in ("zip", "legacy"):
        return (torch_zip if kind == "zip" else torch_legacy)(body, {"0": array})
    if kind == "pickle":
        return pickle.dumps({"a": array}, 4)
    header = json.dumps(
        {"a": {"dtype": "F32", "shape": array.shape, "data_offsets": [0, array.nbytes]}}
    )
    return struct.pack("<Q", len(header)) + header.encode() + array.tobytes()


@pytest.mark.parametrize("kind", ["zip", "legacy", "pickle", "safetensors"])
def test_reading_takes_the_memory_of_the_arrays_once(kind, tmp_path):
    array = np.arange(4_000_000, dtype=np.float32)
    (tmp_path / "large").write_bytes(large(kind, array))
    tracemalloc.start()
    try:
        arrays = read(tmp_path / "large")
        assert tracemalloc.get_traced_memory()[1] < 1.2 * array.nbytes
    finally:
        tracemalloc.stop()
    assert np.array_equal(arrays["a"], array)


def test_limits_on_opcodes_and_tensors(monkeypatch):
    monkeypatch.setattr(limits, "MAX_OPCODES", 100)
    with pytest.raises(CorruptCheckpointError, match="more than 100 instructions"):
        load(io.BytesIO(program(b"N0" * 100 + b"N")))
    monkeypatch.undo()
    monkeypatch.setattr(limits, "MAX_TENSORS", 2)
    with pytest.raises(CorruptCheckpointError, match="more than 2 tensors"):
        read_bytes(SMALL["zip"])


def test_zip_bombs(monkeypatch):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", program(b"}"))
        archive.writestr("a/data/0", b"\0" * 10**6)
    assert load(io.BytesIO(file.getvalue())) == {}
    monkeypatch.setattr(limits, "FREE_BYTES", 1000)
    with pytest.raises(CorruptCheckpointError, match="unpacked"):
        load(io.BytesIO(file.getvalue()))


# Damage


LOOKS = {
    "empty": (b"", "It is empty"),
    "html": (b"<!DOCTYPE html>\n<html><body>404 Not Found</body></html>", "an HTML or XML page"),
    "html later": (b"\n\n  <html>", "an HTML or XML page"),
    "lfs": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1234\n",
        "a git-LFS pointer",
    ),
    "json": (b'{"error": "Repository not found"}', "JSON text"),
    "zeros": (b"\0" * 100, "zeros"),
    "gzip": (b"\x1f\x8b\x08\0" + b"x" * 20, "gzip"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + b"\0" * 20, "an HDF5 file"),
    "tar": (b"pickle".ljust(257, b"\0") + b"ustar\x0000", "a tar archive"),
    "text": (b"Not found", "It begins with b'Not found'"),
    "binary": (bytes(range(200, 256)), "It begins with"),
    "other zip": (None, "neither of torch.*It holds `config.json`"),
    "pickle and more": (program(b"}") + b"more", "4 bytes follow"),
    "other magic": (small_legacy().replace(struct.pack("<Q", MAGIC % 2**64), b"x" * 8), "follow"),
    "other protocol": (small_legacy().replace(b"M\xe9\x03", b"M\xea\x03"), "protocol is not 1001"),
}


@pytest.mark.parametrize("case", LOOKS)
def test_the_error_says_what_the_file_looks_like_and_names_it(case, tmp_path):
    content, message = LOOKS[case]
    if content is None:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("config.json", "{}")
        content = file.getvalue()
    (tmp_path / "some.pth").write_bytes(content)
    with pytest.raises(CorruptCheckpointError, match=rf"some\.pth`(?s:.)*{message}"):
        read(tmp_path / "some.pth")


def test_absent_file_and_empty_folder(tmp_path):
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none.pth")
    with pytest.raises(CorruptCheckpointError, match="a folder without `.npy` files"):
        read(tmp_path)
    (tmp_path / "broken.npy").write_bytes(b"")
    with pytest.raises(CorruptCheckpointError, match=r"broken\.npy`. It is empty"):
        read(tmp_path)


@pytest.mark.parametrize("kind", SMALL)
def test_every_truncation_is_an_error(kind):
    content = SMALL[kind]
    for length in range(len(content)):
        with pytest.raises(CorruptCheckpointError):
            load(io.BytesIO(content[:length]))


@pytest.mark.parametrize("path", ["01_dcgan64/netD_epoch_24.pth", "07_hifigan_v3/generator_v3"])
def test_truncations_of_real_files(shared, path):
    content = (shared / "parity/classics" / path).read_bytes()
    for part in range(20):
        with pytest.raises(CorruptCheckpointError):
            load(io.BytesIO(content[: len(content) * part // 20 + part]))


@pytest.mark.parametrize("kind", SMALL)
@settings(
    max_examples=300, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_changed_bytes_end_in_arrays_or_a_checkpoint_error(kind, data):
    content = bytearray(SMALL[kind])
    place = st.integers(0, len(content) - 1)
    for position, byte in data.draw(st.lists(st.tuples(place, st.integers(0, 255)), min_size=1)):
        content[position] = byte
    cut, source = data.draw(place), data.draw(place)
    if data.draw(st.booleans()):  # repeat a part
        content[cut:cut] = content[source : source + 20]
    try:
        arrays = read_bytes(bytes(content))
    except CheckpointError:
        return
    assert all(isinstance(array, np.ndarray) and array.nbytes < 1e9 for array in arrays.values())
    if kind == "zip":  # its checksums notice every change of a value
        original = read_bytes(SMALL[kind])
        assert all(np.array_equal(arrays[key], original[key]) for key in arrays)
