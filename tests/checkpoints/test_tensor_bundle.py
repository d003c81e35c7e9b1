"""`checkpoints/tensor_bundle.py`: what TensorFlow wrote is read value for value, or refused.

Oracle: TensorFlow's own reader, on checkpoints that it wrote just before. Layouts that today's
TensorFlow no longer writes (snappy, big-endian) come from `bundle` below.
"""

import gzip
import io
import random
import shutil
import struct
import tarfile

import numpy as np
import pytest
import tensorflow as tf
from mutations import many, mutated, outcomes

from ganzoo.checkpoints import checksums, level_table, reader, tensor_bundle
from ganzoo.errors import CheckpointError, CorruptCheckpointError

VARIABLE = "/.ATTRIBUTES/VARIABLE_VALUE"
DTYPES = (
    "float32 float64 float16 bfloat16 int8 uint8 int16 uint16 int32 uint32 int64 uint64 bool "
    "complex64 complex128"
).split()
tf1 = tf.compat.v1


def assert_as_tensorflow(tree, prefix):
    """Every number of the checkpoint, by TensorFlow's reader."""
    checkpoint = tf.train.load_checkpoint(str(prefix))
    dtypes = checkpoint.get_variable_to_dtype_map()
    names = [name for name, dtype in dtypes.items() if dtype != tf.string]
    arrays = reader.flatten(tree)
    assert sorted(arrays) == sorted(name.removesuffix(VARIABLE) for name in names)
    for name in names:
        array, expected = arrays[name.removesuffix(VARIABLE)], checkpoint.get_tensor(name)
        assert array.dtype == expected.dtype
        assert array.shape == np.shape(expected)
        np.testing.assert_array_equal(array, expected)
        assert not array.flags.writeable


@pytest.fixture(scope="module")
def module():
    """Variables of every type, a large one, an empty one, and text."""
    module = tf.Module()
    for dtype in DTYPES:
        values = tf.cast(tf.reshape(tf.range(6), (2, 3)), dtype)
        setattr(module, dtype, tf.Variable(values, name=f"layer/{dtype}"))
    module.large = tf.Variable(np.random.default_rng(0).normal(size=(90, 1000)), name="large")
    module.none, module.scalar = tf.Variable(tf.zeros((0, 3))), tf.Variable(2.5)
    module.text, module.words = tf.Variable("text"), tf.Variable(["a", "bb"])
    return module


@pytest.fixture(scope="module")
def checkpoint(module, tmp_path_factory):
    """A folder with two checkpoints; the prefix of the second."""
    folder = tmp_path_factory.mktemp("checkpoint")
    writer = tf.train.Checkpoint(module=module)
    writer.save(str(folder / "ckpt"))
    return folder / writer.save(str(folder / "ckpt")).rpartition("/")[2]


@pytest.fixture(scope="module")
def saved_model(module, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved_model")
    tf.saved_model.save(module, str(folder))
    return folder


def packed(folder, prefix="./", **kwargs):
    """A `.tar.gz` of a folder."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz", **kwargs) as archive:
        for path in sorted(folder.rglob("*")):
            archive.add(path, prefix + str(path.relative_to(folder)), recursive=False)
    return target.getvalue()


# --- what TensorFlow writes


def test_checkpoint_by_prefix_index_and_folder(checkpoint):
    for path in (checkpoint, f"{checkpoint}.index", checkpoint.parent):
        assert_as_tensorflow(reader.load(path), checkpoint)


def test_names_of_the_layers(checkpoint):
    names = reader.load(checkpoint)[reader.META]["full_names"]
    assert names["module/float32"] == "layer/float32"
    assert names["module/large"] == "large"


def test_saved_model(saved_model):
    assert_as_tensorflow(reader.load(saved_model), saved_model / "variables" / "variables")
    assert_as_tensorflow(
        reader.load(saved_model / "variables"), saved_model / "variables" / "variables"
    )


@pytest.mark.parametrize("prefix", ["", "./", "deep/" * 60])
@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_archive_as_tf_hub_serves_it(saved_model, prefix, form):
    if form == tarfile.USTAR_FORMAT and len(prefix) > 100:
        prefix = "deep/" * 20
    data = packed(saved_model, prefix, format=form)
    assert_as_tensorflow(
        reader.load(io.BytesIO(data)), saved_model / "variables" / "variables"
    )


def graph_checkpoint(folder, **kwargs):
    """A checkpoint of TF 1 with a variable in three parts."""
    with tf.Graph().as_default(), tf1.Session() as session:
        cut = tf1.fixed_size_partitioner(3)
        with tf1.variable_scope("gen", partitioner=cut):
            tf1.get_variable("rows", (700, 5), initializer=tf1.random_normal_initializer())
        with tf1.variable_scope("gen", partitioner=tf1.fixed_size_partitioner(2, axis=1)):
            tf1.get_variable("columns", (3, 90_000))
        tf1.get_variable("gen/dense/kernel", (4, 3))
        tf1.get_variable("gen/dense/kernel/Adam", (4, 3))
        session.run(tf1.global_variables_initializer())
        return tf1.train.Saver(**kwargs).save(session, str(folder / "model.ckpt"), 123)


def test_tf1_saver_with_partitioned_variables(tmp_path):
    prefix = graph_checkpoint(tmp_path)
    tree = reader.load(prefix)
    assert_as_tensorflow(tree, prefix)
    assert tree["gen/rows"].shape == (700, 5)


def test_tf1_hub_module(tmp_path):
    """`tfhub_module.pb`, `saved_model.pb` and TF 1 variables; only the last are opened."""
    (tmp_path / "variables").mkdir()
    prefix = graph_checkpoint(tmp_path / "variables")
    for path in (tmp_path / "variables").glob("model.ckpt-123.*"):
        path.rename(path.with_name(path.name.replace("model.ckpt-123", "variables")))
    (tmp_path / "tfhub_module.pb").write_bytes(b"\x08\x03")
    (tmp_path / "saved_model.pb").write_bytes(b"no graph at all")
    assert prefix.endswith("model.ckpt-123")
    assert_as_tensorflow(reader.load(tmp_path), tmp_path / "variables" / "variables")
    assert_as_tensorflow(
        reader.load(io.BytesIO(packed(tmp_path, ""))), tmp_path / "variables" / "variables"
    )


def test_several_data_files(checkpoint, tmp_path):
    """The second shard has the bytes of the first; entries point to either."""
    prefix = tmp_path / "two"
    values = np.arange(4, dtype="<f4")
    write(prefix, {b"a": (values, 0), b"b": (values + 9, 1)}, shards=2)
    tree = reader.load(prefix)
    np.testing.assert_array_equal(tree["a"], values)
    np.testing.assert_array_equal(tree["b"], values + 9)
    (tmp_path / "two.data-00001-of-00002").unlink()
    with pytest.raises(CorruptCheckpointError, match="lacks the file `two.data-00001-of-00002`"):
        reader.load(prefix)


# --- a writer of bundles, for what TensorFlow does not write


def varint(number):
    parts = []
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])


def field(number, value):
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    return varint(number << 3) + varint(value)


def table(rows, pack=lambda block: (block, 0)):
    """A LevelDB table of one data block."""

    def block_of(rows):
        body = b"".join(
            varint(0) + varint(len(k)) + varint(len(v)) + k + v for k, v in sorted(rows.items())
        )
        return body + struct.pack("<II", 0, 1)

    def stored(block):
        block, kind = pack(block)
        data = block + bytes([kind])
        return data + struct.pack("<I", checksums.masked_crc32c(data)), len(block)

    data, size = stored(block_of(rows))
    index, index_size = stored(block_of({b"\xff": varint(0) + varint(size)}))
    footer = varint(0) + varint(0) + varint(len(data)) + varint(index_size)
    return data + index + footer.ljust(40, b"\0") + bytes.fromhex("57fb808b247547db")


def entry(array, shard, offset, **changes):
    """`BundleEntryProto` of a float32 array."""
    dims = b"".join(field(2, field(1, n)) for n in array.shape)
    crc = struct.pack("<I", checksums.masked_crc32c(array.tobytes()))
    fields = {1: 1, 2: dims, 3: shard, 4: offset, 5: array.nbytes, **changes.get("fields", {})}
    return b"".join(field(n, v) for n, v in fields.items()) + varint(6 << 3 | 5) + crc


def write(prefix, arrays, *, shards=1, header=b"", pack=lambda block: (block, 0), **changes):
    """A bundle on disk: {key: (array, shard)}."""
    rows, data = {b"": field(1, shards) + header}, [b""] * shards
    for key, (array, shard) in arrays.items():
        rows[key] = entry(array, shard, len(data[shard]), **changes)
        data[shard] += array.tobytes()
    prefix.with_name(f"{prefix.name}.index").write_bytes(table(rows, pack))
    for i, part in enumerate(data):
        prefix.with_name(f"{prefix.name}.data-{i:05d}-of-{shards:05d}").write_bytes(part)


def test_the_writer_agrees_with_tensorflow(tmp_path):
    write(tmp_path / "x", {b"a": (np.arange(6, dtype="<f4").reshape(2, 3), 0)})
    assert_as_tensorflow(reader.load(tmp_path / "x"), tmp_path / "x")


def test_big_endian(tmp_path):
    values = np.arange(6, dtype=">f4").reshape(2, 3)
    write(tmp_path / "x", {b"a": (values, 0)}, header=field(2, 1))
    array = reader.load(tmp_path / "x")["a"]
    np.testing.assert_array_equal(array, values)
    assert array.dtype == np.float32 and array.dtype.isnative


def literals(block):
    """A snappy block of literals only."""
    parts = [block[i : i + 60] for i in range(0, len(block), 60)]
    body = b"".join(bytes([len(part) - 1 << 2]) + part for part in parts)
    return varint(len(block)) + body, 1


def test_snappy_index(tmp_path):
    values = np.arange(60, dtype="<f4")
    write(tmp_path / "x", {b"a": (values, 0), b"b": (values, 0)}, pack=literals)
    np.testing.assert_array_equal(reader.load(tmp_path / "x")["b"], values)
    assert_as_tensorflow(reader.load(tmp_path / "x"), tmp_path / "x")


@pytest.mark.parametrize(
    "packed, expected",
    [
        (b"\x03\x08abc", b"abc"),
        (b"\x0a\x08abc\x0d\x03", b"abcabcabca"),  # copy of 7 bytes, 1-byte offset 3
        (b"\x0a\x08abc\x1a\x03\x00", b"abcabcabca"),  # the same with a 2-byte offset
        (b"\x0a\x08abc\x1b\x03\x00\x00\x00", b"abcabcabca"),  # and with a 4-byte one
        (b"\x3d\xf0\x3c" + b"x" * 61, b"x" * 61),  # a literal with its length in one byte
        (b"\xac\x02\xf4\x2b\x01" + b"y" * 300, b"y" * 300),  # ... in two
    ],
)
def test_snappy_elements(packed, expected):
    assert level_table.unsnappy(packed) == expected


@pytest.mark.parametrize(
    "packed",
    [b"\x04\x08abc", b"\x02\x08abc", b"\x0a\x08abc\x0d\x04", b"\x05\x01\x00", b"\xff\xff\xff\x7f"],
)
def test_damaged_snappy(packed):
    with pytest.raises(CorruptCheckpointError, match="snappy"):
        level_table.unsnappy(packed)


# --- checksums


def test_checksum_known_values():
    assert checksums.crc32c(b"") == 0
    assert checksums.crc32c(b"123456789") == 0xE3069283  # RFC 3720, B.4 and common vectors
    assert checksums.crc32c(bytes(32)) == 0x8A9136AA
    assert checksums.crc32c(bytes(range(32))) == 0x46DD794E


@pytest.mark.parametrize("size", [255, 511, 512, 16_384, 32_767, 32_768, 32_769, 100_003])
def test_checksum_of_rows_and_of_bytes(size):
    data = np.random.default_rng(size).bytes(size)
    bit = 0xFFFFFFFF
    for byte in data:  # by definition, bit by bit over a table of one byte
        bit ^= byte
        for _ in range(8):
            bit = bit >> 1 ^ (0x82F63B78 if bit & 1 else 0)
    assert checksums.crc32c(data) == bit ^ 0xFFFFFFFF


def test_a_changed_bit_is_found(checkpoint, tmp_path):
    for name in (f"{checkpoint.name}.index", f"{checkpoint.name}.data-00000-of-00001"):
        for path in checkpoint.parent.glob(f"{checkpoint.name}.*"):
            shutil.copy(path, tmp_path)
        path = tmp_path / name
        data = bytearray(path.read_bytes())
        data[len(data) // 3] ^= 1
        path.write_bytes(data)
        with pytest.raises(CorruptCheckpointError, match=f"{checkpoint.name}`.*hecksum"):
            reader.load(tmp_path / checkpoint.name)


# --- what is refused


def test_folders_without_one_checkpoint(checkpoint, tmp_path):
    with pytest.raises(CorruptCheckpointError, match="without a TensorFlow checkpoint"):
        reader.load(tmp_path)
    for path in checkpoint.parent.glob("ckpt-*"):
        shutil.copy(path, tmp_path)
    with pytest.raises(CorruptCheckpointError, match="holds several, .*'ckpt-1', 'ckpt-2'"):
        reader.load(tmp_path)
    with pytest.raises(FileNotFoundError):
        reader.load(tmp_path / "ckpt-3")


@pytest.mark.parametrize(
    "fields, message",
    [
        ({5: 8}, "has 8 bytes"),
        ({4: 1 << 40}, "of a data file with 16 bytes"),
        ({3: 7}, "data file 7 of 1"),
        ({1: 20}, "dtype 20"),
        ({2: field(2, field(1, 1 << 62))}, r"shape \(4611686018427387904,\)"),
        ({2: field(2, field(1, (1 << 64) - 1))}, "shape is damaged"),
        ({2: b"".join(field(2, field(1, 1)) for _ in range(40))}, "shape is damaged"),
        ({7: b""}, "lacks a part|parts"),
    ],
)
def test_entries_that_do_not_fit(tmp_path, fields, message):
    write(tmp_path / "x", {b"a": (np.zeros(4, "<f4"), 0)}, fields=fields)
    with pytest.raises(CorruptCheckpointError, match=message):
        reader.load(tmp_path / "x")


def test_tensors_that_claim_the_same_bytes(tmp_path):
    """A thousand names over one megabyte."""
    array = np.zeros(1 << 18, "<f4")
    one = entry(array, 0, 0)
    rows = {b"": field(1, 1)} | {f"x{i}".encode(): one for i in range(1000)}
    (tmp_path / "x.index").write_bytes(table(rows))
    (tmp_path / "x.data-00000-of-00001").write_bytes(array.tobytes())
    with pytest.raises(CorruptCheckpointError, match="overlap"):
        reader.load(tmp_path / "x")


def test_archives_that_are_refused(saved_model, tmp_path):
    with pytest.raises(CorruptCheckpointError, match="unpacks to more than"):
        reader.load(io.BytesIO(gzip.compress(bytes(100 << 20))))
    with pytest.raises(CheckpointError, match="one TensorFlow checkpoint .* has 0"):
        reader.load(io.BytesIO(packed(tmp_path)))
    with pytest.raises(CheckpointError, match="gzip"):
        reader.load(io.BytesIO(gzip.compress(b"a text")))
    with pytest.raises(CorruptCheckpointError, match="ends early"):
        reader.load(io.BytesIO(packed(saved_model)[:-50]))


def test_paths_of_an_archive_are_never_opened(saved_model, tmp_path):
    """Links and absolute or climbing names are names, or nothing."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        for path in sorted((saved_model / "variables").iterdir()):
            archive.add(path, f"../../x/{path.name}")
        link = tarfile.TarInfo("/etc/link.index")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    before = sorted(tmp_path.iterdir())
    tree = reader.load(io.BytesIO(target.getvalue()))
    assert_as_tensorflow(tree, saved_model / "variables" / "variables")
    assert sorted(tmp_path.iterdir()) == before


# --- damaged files


def parts():
    """Rows of a variable of shape (5, 2) in two parts."""
    values = np.arange(10, dtype="<f4").reshape(5, 2)
    cuts = [[(0, 3), (0, -1)], [(3, 2), (0, -1)]]

    def extent(start, length):
        return field(1, field(1, start) + (field(2, length) if length >= 0 else b""))

    slices = b"".join(field(7, b"".join(extent(*e) for e in cut)) for cut in cuts)
    dims = field(2, field(2, field(1, 5)) + field(2, field(1, 2)))
    rows = {b"p": field(1, 1) + dims + slices}
    for cut in cuts:
        (start, length), _ = cut
        part = values[start : start + length]
        rows[tensor_bundle.slice_key(b"p", cut)] = entry(part, 0, 8 * start)
    return rows, values


def graph():
    """An object graph with the full name of one variable."""
    attribute = field(1, b"V") + field(2, b"dense/kernel") + field(3, b"a" + VARIABLE.encode())
    text = field(1, field(2, attribute))
    return varint(len(text)) + bytes(4) + text


def small_bundle(pack=lambda block: (block, 0)):
    """(index, data file) with parts, an object graph and plain tensors."""
    rows, values = parts()
    data = values.tobytes() + graph()
    rows[b""] = field(1, 1)
    key = tensor_bundle.OBJECT_GRAPH.encode()
    rows[key] = field(1, 7) + field(2, b"") + field(4, 40) + field(5, len(graph()))
    rows[b"a" + VARIABLE.encode()] = entry(values[:2], 0, 0)
    return table(rows, pack), data


def load_bundle(folder):
    """Function of (index, data file), giving the tree, by way of the disk."""

    def load(files):
        (folder / "x.index").write_bytes(files[0])
        (folder / "x.data-00000-of-00001").write_bytes(files[1])
        return reader.load(folder / "x")

    return load


def test_small_bundle(tmp_path):
    """What the mutations start from is read in full."""
    for pack in (lambda block: (block, 0), literals):
        tree = load_bundle(tmp_path)(small_bundle(pack))
        np.testing.assert_array_equal(tree["p"], np.arange(10).reshape(5, 2))
        np.testing.assert_array_equal(tree["a"], np.arange(4).reshape(2, 2))
        assert tree[reader.META] == {"full_names": {"a": "dense/kernel"}}


def test_damaged_bundles(tmp_path):
    index, data = small_bundle()
    cases = [(case, data) for case in many([index, small_bundle(literals)[0]], 400)]
    cases += [(index, case) for case in many([data], 100, seed=1)]
    ends = outcomes(load_bundle(tmp_path), cases)
    assert ends.total() == 500 and ends["CorruptCheckpointError"] > 350, ends


@pytest.mark.parametrize("pack", [lambda block: (block, 0), literals])
def test_damage_below_the_checksums(tmp_path, pack):
    """Blocks that were changed before they got their checksum."""
    rng = random.Random(2)

    def damaged(block):
        block, kind = pack(block)
        return (mutated(block, rng) if rng.random() < 0.7 else block), kind

    _, data = small_bundle()
    cases = ((small_bundle(damaged)[0], data) for _ in range(1000))
    ends = outcomes(load_bundle(tmp_path), cases)
    assert ends.total() == 1000 and ends["read"] > 20, ends


def test_damaged_archives(tmp_path):
    folder = tmp_path / "module" / "variables"
    folder.mkdir(parents=True)
    index, data = small_bundle()
    (folder / "variables.index").write_bytes(index)
    (folder / "variables.data-00000-of-00001").write_bytes(data)
    packed_file = packed(tmp_path / "module")
    tar = gzip.decompress(packed_file)[:6144]
    cases = [*many([packed_file], 300)]
    cases += [gzip.compress(case, 1) for case in many([tar], 600, seed=3)]
    ends = outcomes(lambda case: reader.load(io.BytesIO(case)), cases)
    assert ends.total() == 900 and ends["CorruptCheckpointError"] > 300, ends
