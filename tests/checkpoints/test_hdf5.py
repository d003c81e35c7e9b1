"""`checkpoints/hdf5.py`: what Keras and h5py wrote is read value for value; the rest is refused.

Oracle: h5py, on files that it or Keras wrote just before.
"""

import io
import json
import tracemalloc
import zipfile
import zlib

import h5py
import keras
import ml_dtypes
import numpy as np
import pytest
from mutations import many, outcomes

from ganzoo.checkpoints import hdf5, reader
from ganzoo.ema import EMA
from ganzoo.errors import CorruptCheckpointError
from ganzoo.families.dcgan import DCGAN

META = reader.META
WRITERS = {
    "default": {},
    "latest": {"libver": "latest"},
    "ordered": {"track_order": True},
    "latest-ordered": {"libver": "latest", "track_order": True},
}
DTYPES = "f2 f4 f8 >f4 i1 u1 i2 u2 i4 u4 i8 u8 >i4 bool c8 c16".split()


def written(fill, **kwargs):
    """The bytes of an HDF5 file that `fill(file)` fills."""
    target = io.BytesIO()
    with h5py.File(target, "w", **kwargs) as file:
        fill(file)
    return target.getvalue()


def loaded(data):
    return reader.load(io.BytesIO(data))


def by_h5py(data):
    """{path: array} of a file's numbers, read by the HDF5 library."""
    found = {}

    def visit(path, item):
        if isinstance(item, h5py.Dataset) and item.dtype.kind not in "OS":
            value = item[()]
            bfloat16 = item.attrs.get("dtype") == "bfloat16"
            found[path] = np.asarray(value.view(ml_dtypes.bfloat16) if bfloat16 else value)

    with h5py.File(io.BytesIO(data), "r") as file:
        file.visititems(visit)
    return found


def assert_same(arrays, expected):
    assert sorted(arrays) == sorted(path.replace("/", ".") for path in expected)
    for path, value in expected.items():
        array = arrays[path.replace("/", ".")]
        assert array.dtype == value.dtype.newbyteorder("=")
        assert array.shape == value.shape
        np.testing.assert_array_equal(array, value)
        assert not array.flags.writeable or not array.size


def refused(data, message):
    with pytest.raises(CorruptCheckpointError, match=message):
        loaded(data)


# --- what h5py writes


@pytest.mark.parametrize("writer", WRITERS)
def test_numbers_of_every_type(writer):
    def fill(file):
        group = file.create_group("deep/er")
        for dtype in DTYPES:
            group[dtype] = np.arange(6).reshape(2, 3).astype(dtype)
        group["scalar"], group["none"] = np.float32(2.5), np.zeros((0, 3))
        group["bf"] = np.arange(5).astype(ml_dtypes.bfloat16)
        group["bf"].attrs["dtype"] = "bfloat16"

    data = written(fill, **WRITERS[writer])
    assert_same(reader.flatten(loaded(data)), by_h5py(data))


@pytest.mark.parametrize("writer", WRITERS)
def test_groups_with_many_members_and_attributes(writer):
    """Trees of several nodes; links and attributes in heaps."""

    def fill(file):
        group = file.create_group("many", track_order="ordered" in writer)
        for i in range(700):
            group[f"v{i}"] = np.float32(i)
        for i in range(60):
            group.attrs[f"a{i}"] = f"{i}" * 20

    data = written(fill, **WRITERS[writer])
    tree = loaded(data)
    assert_same(reader.flatten(tree), by_h5py(data))
    assert tree["many"][META] == {f"a{i}": f"{i}" * 20 for i in range(60)}


def test_attributes_are_plain_values():
    def fill(file):
        file.attrs["fixed"] = np.array([b"a", b"bcd"])
        file.attrs["variable"] = ["\u00e4", ""]
        file.attrs["text"], file.attrs["bytes"] = "\u00fc", b"raw"
        file.attrs["number"], file.attrs["yes"] = 2.5, True
        file.attrs["grid"] = np.arange(4).reshape(2, 2)
        file.attrs["empty"], file.attrs["link"] = h5py.Empty("f4"), file.ref
        file["words"] = ["x", "yy"]

    assert loaded(written(fill))[META] == {
        "fixed": ["a", "bcd"],
        "variable": ["\u00e4", ""],
        "text": "\u00fc",
        "bytes": "raw",
        "number": 2.5,
        "yes": True,
        "grid": [[0, 1], [2, 3]],
        "words": ["x", "yy"],
    }


@pytest.mark.parametrize("options", [{}, {"compression": "gzip"}, {"shuffle": True}])
@pytest.mark.parametrize("shape, chunks", [((30, 4, 5), (8, 3, 5)), ((700,), (3,)), ((5,), (9,))])
def test_chunks(shape, chunks, options):
    values = np.random.default_rng(0).normal(size=shape).astype("f4")
    grows = tuple(None for _ in shape)
    data = written(
        lambda f: f.create_dataset("x", data=values, chunks=chunks, maxshape=grows, **options)
    )
    np.testing.assert_array_equal(loaded(data)["x"], values)


def test_gzip_with_shuffle_and_the_newest_layout():
    values = np.arange(999).reshape(27, 37)
    options = dict(data=values, compression="gzip", shuffle=True)
    for libver in ("earliest", "latest"):
        data = written(
            lambda f: f.create_dataset("x", chunks=(27, 37), **options), libver=libver
        )
        np.testing.assert_array_equal(loaded(data)["x"], values)


def test_shared_members_are_one_array():
    def fill(file):
        file["a"] = np.arange(3.0)
        file["b"] = file["a"]

    tree = loaded(written(fill))
    assert tree["a"] is tree["b"]


# --- what Keras writes


@pytest.fixture(scope="module")
def model():
    """A trained model with convolution, normalisation and optimizer state."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(4, 3, name="conv"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.Flatten(),
            keras.layers.Dense(3, name="out"),
        ],
        name="net",
    )
    model.compile("adam", "mse")
    x = np.random.default_rng(0).normal(size=(8, 8, 8, 1))
    model.fit(x, np.zeros((8, 3)), verbose=0)
    return model


def test_keras_3_weights(model, tmp_path):
    model.save_weights(tmp_path / "m.weights.h5")
    data = (tmp_path / "m.weights.h5").read_bytes()
    arrays = reader.read(tmp_path / "m.weights.h5")
    assert_same(arrays, by_h5py(data))
    np.testing.assert_array_equal(arrays["layers.conv2d.vars.0"], model.get_layer("conv").kernel)
    moved = model.get_layer("norm").moving_variance
    np.testing.assert_array_equal(arrays["layers.batch_normalization.vars.3"], moved)


def test_keras_file_with_its_configuration(model, tmp_path):
    model.save(tmp_path / "m.keras")
    tree = reader.load(tmp_path / "m.keras")
    np.testing.assert_array_equal(
        tree["layers"]["conv2d"]["vars"]["0"], model.get_layer("conv").kernel
    )
    assert tree[META]["config"]["config"]["name"] == "net"
    assert tree[META]["metadata"]["keras_version"] == keras.__version__


def test_keras_configuration_is_only_data(model, tmp_path):
    """A configuration that Keras would run is returned as text."""
    model.save(tmp_path / "m.keras")
    hostile = {"module": "builtins", "class_name": "exec", "config": {"code": "1/0"}}
    with zipfile.ZipFile(tmp_path / "m.keras") as old:
        weights = old.read("model.weights.h5")
    with zipfile.ZipFile(tmp_path / "n.keras", "w") as new:
        new.writestr("config.json", json.dumps(hostile))
        new.writestr("model.weights.h5", weights)
    assert reader.load(tmp_path / "n.keras")[META] == {"config": hostile}


def test_whole_model_in_the_old_format(model, tmp_path):
    model.save(tmp_path / "m.h5")
    tree = reader.load(tmp_path / "m.h5")
    assert json.loads(tree[META]["model_config"])["config"]["name"] == "net"
    assert_same(reader.flatten(tree), by_h5py((tmp_path / "m.h5").read_bytes()))
    layer = tree["model_weights"]["conv"]
    assert tree["model_weights"][META]["backend"] == "tensorflow"
    assert layer[META]["weight_names"] == ["net/conv/kernel", "net/conv/bias"]
    np.testing.assert_array_equal(layer["net"]["conv"]["bias"], model.get_layer("conv").bias)
    assert "optimizer_weights" in tree


def test_weights_of_keras_2():
    kernel = np.arange(6, dtype="f4").reshape(2, 3)

    def fill(file):
        file.attrs["layer_names"] = np.array([b"dense_1", b"re_lu"])
        file.attrs["backend"], file.attrs["keras_version"] = b"tensorflow", b"2.1.6-tf"
        group = file.create_group("dense_1")
        group.attrs["weight_names"] = np.array([b"dense_1/kernel:0"])
        group["dense_1/kernel:0"] = kernel
        file.create_group("re_lu").attrs["weight_names"] = np.array([], "S1")

    tree = loaded(written(fill))
    assert tree[META]["layer_names"] == ["dense_1", "re_lu"]
    assert tree["re_lu"][META] == {"weight_names": []}
    arrays = reader.flatten(tree)
    assert list(arrays) == ["dense_1.dense_1.kernel:0"]
    np.testing.assert_array_equal(arrays["dense_1.dense_1.kernel:0"], kernel)


# --- arrays by their paths


def assert_by_path(arrays, data):
    """The arrays are those that h5py finds in the HDF5 file `data`, under the same paths."""
    expected = by_h5py(data)
    assert sorted(arrays) == sorted(expected) and arrays
    for path, value in expected.items():
        assert arrays[path].dtype == value.dtype and arrays[path].shape == value.shape
        np.testing.assert_array_equal(arrays[path], value)


@pytest.fixture(scope="module")
def gan():
    """A trained GAN: two optimizers with slots, counters without axes, layers without weights."""
    gan = DCGAN(image_size=16, latent_dim=4, width=2, channels=1, ema=EMA(decay=0.5))
    gan.compile()
    gan.fit(np.zeros((4, 16, 16, 1), "uint8"), batch_size=2, verbose=0)
    return gan


def test_weights_of_a_gan_by_path(gan, tmp_path):
    gan.save_weights(tmp_path / "gan.weights.h5")
    data = (tmp_path / "gan.weights.h5").read_bytes()
    with open(tmp_path / "gan.weights.h5", "rb") as file:
        for source in (file, tmp_path / "gan.weights.h5", data, memoryview(data), io.BytesIO(data)):
            assert_by_path(hdf5.arrays(source), data)
    arrays = hdf5.arrays(data)
    kernel = gan.generator.get_layer("up0").kernel
    np.testing.assert_array_equal(arrays["generator/layers/conv2d_transpose/vars/0"], kernel)
    assert arrays["generator_optimizer/vars/0"] == 2
    assert {str(array.dtype) for array in arrays.values()} == {"float32", "int64"}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_weights_within_a_keras_file_by_path(gan, tmp_path, method):
    gan.save(tmp_path / "gan.keras")
    with zipfile.ZipFile(tmp_path / "gan.keras") as old:
        entries = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(tmp_path / "packed.keras", "w", method) as new:
        for name, content in entries.items():
            new.writestr(name, content)
    for source in (tmp_path / "packed.keras", (tmp_path / "packed.keras").read_bytes()):
        arrays = hdf5.arrays(source, hdf5.KERAS_WEIGHTS)
        assert_by_path(arrays, entries[hdf5.KERAS_WEIGHTS])
    with zipfile.ZipFile(tmp_path / "packed.keras") as archive:
        with archive.open(hdf5.KERAS_WEIGHTS) as member:
            assert_by_path(hdf5.arrays(member), entries[hdf5.KERAS_WEIGHTS])
    with pytest.raises(CorruptCheckpointError, match="lacks the entry `other.h5`"):
        hdf5.arrays(tmp_path / "packed.keras", "other.h5")


class Flags(keras.layers.Layer):
    """Weights of types that a network seldom has."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.flags = self.add_weight(shape=(3,), dtype="bool", initializer="ones", name="flags")
        self.none = self.add_weight(shape=(0, 2), initializer="zeros", name="none")
        self.small = self.add_weight(shape=(), dtype="uint8", initializer="ones", name="small")
        self.seed = self.add_weight(shape=(2,), dtype="uint32", initializer="ones", name="seed")

    def call(self, x):
        return x


@pytest.mark.parametrize("policy", ["float32", "bfloat16", "mixed_bfloat16", "float16"])
def test_other_types_of_weights_by_path(policy, tmp_path):
    """bfloat16 as Keras marks it, booleans, a seed, and layers that have nothing but groups."""
    layers = [keras.Input((3,)), keras.layers.Dense(2, dtype=policy), Flags()]
    net = keras.Sequential([*layers, keras.layers.Dropout(0.5, seed=7), keras.layers.ReLU()])
    net.save_weights(tmp_path / "net.weights.h5")
    data = (tmp_path / "net.weights.h5").read_bytes()
    arrays = hdf5.arrays(data)
    assert_by_path(arrays, data)
    dtypes = {str(array.dtype) for array in arrays.values()}
    kernels = "float32" if policy == "mixed_bfloat16" else policy
    assert dtypes == {kernels, "float32", "bool", "uint8", "uint32"}
    np.testing.assert_array_equal(
        arrays["layers/dense/vars/0"].astype("f4"), np.asarray(net.layers[0].kernel).astype("f4")
    )


@pytest.mark.parametrize("entry", [None, hdf5.KERAS_WEIGHTS])
def test_damaged_arrays_are_typed(gan, tmp_path, entry):
    """Whatever is wrong, without the help of `reader.load`."""
    gan.save(tmp_path / "gan.keras")
    with zipfile.ZipFile(tmp_path / "gan.keras") as archive:
        whole = archive.read(hdf5.KERAS_WEIGHTS)

    def read(weights):
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w") as archive:
            archive.writestr(hdf5.KERAS_WEIGHTS, weights)
        return hdf5.arrays(target if entry else weights, entry)

    ends = outcomes(read, many([whole], 300))
    assert ends.total() == 300 and set(ends) == {"read", "CorruptCheckpointError"}, ends
    for data in (b"", b"PK", bytes(2000), whole[:-1]):
        with pytest.raises(CorruptCheckpointError):
            hdf5.arrays(data, entry)
    with pytest.raises(FileNotFoundError):
        hdf5.arrays(tmp_path / "absent.h5", entry)


def test_arrays_take_no_more_than_the_file_justifies():
    chunk = zlib.compress(bytes(1 << 24))

    def fill(file):
        data = file.create_dataset("x", (1 << 28,), "u1", chunks=(1 << 24,), compression="gzip")
        for start in range(0, 1 << 28, 1 << 24):
            data.id.write_direct_chunk((start,), chunk)

    with pytest.raises(CorruptCheckpointError, match="parts claim far more bytes"):
        hdf5.arrays(written(fill))


# --- what is refused


def test_links_are_not_followed(tmp_path):
    (tmp_path / "other.h5").write_bytes(written(lambda f: f.create_dataset("x", data=1.0)))
    soft, far = h5py.SoftLink("/a"), h5py.ExternalLink(str(tmp_path / "other.h5"), "x")
    refused(written(lambda f: f.__setitem__("s", soft)), "`s` in `/` is a soft link")
    refused(written(lambda f: f.__setitem__("s", soft), libver="latest"), "`s` .* soft link")
    refused(written(lambda f: f.__setitem__("e", far)), "`e` in `/` is a link to another file")


def test_storage_elsewhere_is_refused(tmp_path):
    (tmp_path / "raw").write_bytes(bytes(64))
    outside = [(str(tmp_path / "raw"), 0, 64)]
    refused(
        written(lambda f: f.create_dataset("x", (16,), "f4", external=outside)),
        "`/x` is stored in another file",
    )
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource(str(tmp_path / "raw.h5"), "x", (4,))
    refused(
        written(lambda f: f.create_virtual_dataset("x", layout), libver="latest"),
        "`/x` is virtual",
    )


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(data=np.zeros(9), chunks=(3,), compression="lzf"), "filter 32000 'lzf'"),
        (dict(data=np.zeros(9), chunks=(3,), fletcher32=True), "filter 3 "),
        (dict(data=np.zeros(3, [("a", "f4"), ("b", "i4")])), "`/x` is of type compound"),
        (dict(data=np.zeros(3, "V5")), "`/x` is of type opaque"),
        (dict(shape=(3,), dtype=h5py.ref_dtype), "`/x` is of type reference"),
        (dict(shape=(3,), dtype="f4"), "`/x` was never written"),
        (dict(shape=(9,), dtype="f4", chunks=(3,)), "`/x` (was never written|has 0 of its 3)"),
    ],
)
def test_storage_that_is_not_read(options, message):
    refused(written(lambda f: f.create_dataset("x", **options)), message)


def test_newest_index_of_chunks_is_named():
    def fill(file):
        file.create_dataset("x", data=np.zeros(90), chunks=(3,))

    refused(written(fill, libver="latest"), 'libver="latest"')


def test_missing_chunk():
    def fill(file):
        file.create_dataset("x", (9,), "f4", chunks=(3,))[:3] = 1

    refused(written(fill), "`/x` has 1 of its 3 chunks")


# --- hostile files


def test_a_group_that_holds_itself():
    def fill(file):
        group = file.create_group("a")
        group["b"] = group

    refused(written(fill), "`/a/b` holds itself")


def test_groups_that_hold_one_another_many_times():
    """2 ** 60 paths; the tree is small, and to flatten it is refused."""

    def fill(file):
        group = file
        for _ in range(60):
            inner = group.create_group("a")
            group["b"] = inner
            group = inner
        group["x"] = 1.0

    with pytest.raises(CorruptCheckpointError, match="entries"):
        reader.flatten(loaded(written(fill)))


def test_deep_groups():
    refused(written(lambda f: f.create_group("/".join("a" * 150))), "100 deep")


def test_data_sets_that_claim_the_same_bytes():
    """A thousand data sets over one of 2 MB: 2 GB out of a file of 3 MB."""
    size = (1 << 21).to_bytes(8, "little")
    unwritten = bytes([255] * 8) + size

    def fill(file):
        file["x"] = np.ones(1 << 18)
        addresses.append(file["x"].id.get_offset())
        for i in range(1000):
            file.create_dataset(f"y{i}", (1 << 18,), "f8")

    addresses = []
    data = written(fill)
    assert data.count(unwritten) == 1000
    refused(
        data.replace(unwritten, addresses[0].to_bytes(8, "little") + size),
        "parts claim far more bytes",
    )


def test_packed_zeros():
    """A gigabyte of zeros in a megabyte."""
    chunk = zlib.compress(bytes(1 << 24))

    def fill(file):
        data = file.create_dataset("x", (1 << 30,), "u1", chunks=(1 << 24,), compression="gzip")
        for start in range(0, 1 << 30, 1 << 24):
            data.id.write_direct_chunk((start,), chunk)

    data = written(fill)
    assert len(data) < 2 << 20
    refused(data, "parts claim far more bytes")


@pytest.mark.parametrize("stored", [b"short", bytes(100), bytes(101)])
def test_packed_chunks_of_another_size(stored):
    def fill(file):
        data = file.create_dataset("x", (100,), "u1", chunks=(100,), compression="gzip")
        data.id.write_direct_chunk((0,), zlib.compress(stored))

    if len(stored) == 100:
        assert not loaded(written(fill))["x"].any()
    else:
        refused(written(fill), "chunk")


def test_a_file_that_ends_early():
    data = written(lambda f: f.create_dataset("x", data=np.arange(1000)))
    refused(data[:-1], "It ends early: it says that it has .* copy may be incomplete.*HDF5")
    refused(data[:40], "ends early|but has 40")


def test_reading_takes_little_more_than_the_arrays(tmp_path):
    (tmp_path / "x.h5").write_bytes(
        written(lambda f: [f.create_dataset(f"x{i}", data=np.zeros(1 << 18)) for i in range(10)])
    )
    tracemalloc.start()
    try:
        arrays = reader.read(tmp_path / "x.h5")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(array.nbytes for array in arrays.values()) == 10 << 21
    assert peak < 1.2 * (10 << 21)


# --- damaged files


def small(**kwargs):
    """Files of a few kilobytes with everything that is read."""

    def fill(file):
        file.attrs["names"], file.attrs["text"] = np.array([b"a", b"bc"]), "words"
        file.attrs["list"] = ["x", "yy"]
        group = file.create_group("layers/dense/vars")
        group["0"], group["1"] = np.arange(12, dtype="f4").reshape(3, 4), np.ones(4, "?")
        packed = dict(compression="gzip", shuffle=True)
        group.create_dataset("2", data=np.arange(40).reshape(8, 5), chunks=(8, 5), **packed)
        if kwargs.get("libver") != "latest":
            group.create_dataset("3", data=np.arange(40).reshape(8, 5), chunks=(3, 2), **packed)
        many = file.create_group("many", **{k: v for k, v in kwargs.items() if k != "libver"})
        for i in range(12):
            many[f"{i}"], many.attrs[f"{i}"] = np.float32(i), i

    return written(fill, **kwargs)


@pytest.mark.parametrize("writer", WRITERS)
def test_damaged_hdf5(writer):
    data = small(**WRITERS[writer])
    ends = outcomes(loaded, many([data], 600))
    assert ends.total() == 600 and set(ends) == {"read", "CorruptCheckpointError"}, ends


def test_files_cut_at_every_length():
    data = small(libver="latest")
    cut = (data[:length] for length in range(0, len(data), 7))
    assert set(outcomes(loaded, cut)) == {"CorruptCheckpointError"}


def test_damaged_keras_files(model, tmp_path):
    model.save(tmp_path / "m.keras")
    data = (tmp_path / "m.keras").read_bytes()
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        weights = archive.read("model.weights.h5")

    def zipped(weights):
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w") as archive:
            archive.writestr("config.json", "{}")
            archive.writestr("model.weights.h5", weights)
        return loaded(target.getvalue())

    ends = outcomes(loaded, many([data], 400)) + outcomes(zipped, many([weights], 400, seed=1))
    assert ends.total() == 800 and ends["CorruptCheckpointError"] > 300, ends


def test_names_of_odd_length():
    for libver in ("earliest", "latest"):
        data = written(lambda f: f.create_group("n" * 1001), libver=libver)
        refused(data, "exceeds 1000 bytes")
