"""Resizers against the recorded outputs of Pillow, PyTorch and torch-fidelity, and by hand."""

import json
import re

import numpy as np
import pytest
import tensorflow as tf

from ganzoo.metrics import resize as module
from ganzoo.metrics.resize import FIXED_POINT, RESIZERS, resize, resize_float

MAXIMUM, MEAN = 1e-4, 1e-5  # of 255
LIBRARIES = {"PIL": "pil-{}", "PyTorch": "torch"}


def images(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype="uint8")


@pytest.fixture(scope="module")
def clean(shared):
    with np.load(shared / "parity/classics/10_cleanfid_resize/golden.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def inception(shared):
    with np.load(shared / "parity/classics/10_fid_inception/golden.npz") as file:
        return {key: file[key] for key in file if "/" not in key or "resized" in key}


def compare(found, expected, *, maximum=MAXIMUM, mean=MEAN):
    error = np.abs(np.asarray(found, "f8") - expected.astype("f8"))
    assert found.shape == expected.shape
    assert error.max() <= maximum and error.mean() <= mean, (error.max(), error.mean())


def test_every_recorded_resize(clean, shared):
    pattern = r"(\d+x\d+)_(PIL|PyTorch)_(\w+)_(float|u8)_to_w(\d+)h(\d+)"
    checked = []
    for key, expected in clean.items():
        if key.startswith("img_"):
            continue
        size, library, name, kind, width, height = re.fullmatch(pattern, key).groups()
        shape = int(height), int(width)
        if library == "PyTorch":  # its name has width first, its size height first
            shape = int(width), int(height)
        method = LIBRARIES[library].format(name) + ("-uint8" if kind == "u8" else "")
        found = resize(clean[f"img_{size}"][None], shape, method)[0].numpy()
        step = 3 if shape == (299, 299) else 1  # the file holds every third pixel of these
        exact = dict(maximum=0, mean=0) if kind == "u8" else {}
        compare(found[::step, ::step], expected, **exact)
        checked.append(key)
    case = json.loads((shared / "parity/classics/10_cleanfid_resize/case.json").read_text())
    assert len(checked) == len(case["options"]["specs"])


@pytest.mark.parametrize("number", [0, 1, 2, 3])
@pytest.mark.parametrize(
    "reference, method, scale",
    [("pytorchfid", "torch", 255), ("tf1", "tf1", 1), ("clean", "clean", 1)],
)
def test_resizes_before_inception(inception, number, reference, method, scale):
    image = inception[f"img{number}"]
    if f"img{number}/resized_{reference}" not in inception:
        assert number > 1  # recorded for two images
        return
    found = resize(image[None], 299, method)[0].numpy()
    expected = inception[f"img{number}/resized_{reference}"].transpose(1, 2, 0) * scale
    compare(found[::3, ::3], expected)


@pytest.mark.parametrize("method", RESIZERS)
def test_the_same_size_is_left_alone(method):
    given = images(2, 7, 9, 3)
    np.testing.assert_array_equal(resize(given, (7, 9), method), given)


@pytest.mark.parametrize("method", RESIZERS)
@pytest.mark.parametrize("size", [3, (29, 5), (64, 1)])
def test_a_constant_image_stays_constant(method, size):
    found = resize(np.full((1, 13, 17, 3), 77, "uint8"), size, method).numpy()
    np.testing.assert_allclose(found, 77, atol=1e-4)


@pytest.mark.parametrize("method", RESIZERS)
def test_range_dtype_and_shape(method):
    found = resize(images(2, 12, 20, 1) // 255 * 255, (31, 8), method).numpy()
    assert found.shape == (2, 31, 8, 1) and found.dtype == np.float32
    assert found.min() >= 0 and found.max() <= 255
    if method.endswith("-uint8"):
        np.testing.assert_array_equal(found, np.round(found))


def test_conventions_by_hand():
    row = np.array([0, 100], "uint8").reshape(1, 1, 2, 1)

    def widened(method):
        return resize(row, (1, 4), method).numpy().ravel().tolist()

    assert widened("tf1") == [0, 50, 100, 100]  # x_in = 0, 0.5, 1, 1.5
    assert widened("torch") == [0, 25, 75, 100]  # x_in = -0.25, 0.25, 0.75, 1.25
    assert widened("pil-nearest") == [0, 0, 100, 100]
    long = np.array([0, 0, 0, 100], "uint8").reshape(1, 1, 4, 1)
    assert resize(long, (1, 2), "torch").numpy().ravel().tolist() == [0, 50]
    assert resize(long, (1, 1), "area").numpy().ravel().tolist() == [25]
    assert resize(long, (1, 1), "tf1").numpy().ravel().tolist() == [0]  # aliases


@pytest.mark.parametrize("method", [name for name in RESIZERS if name not in FIXED_POINT])
def test_floats_are_resized_alike(method):
    given = images(2, 15, 22, 3)
    whole = resize(given, (40, 9), method)
    np.testing.assert_array_equal(resize_float(given.astype("f4"), (40, 9), method), whole)
    half = resize_float((given / 2).astype("f4"), (40, 9), method)
    if "cubic" not in method and method not in ("clean", "pil-lanczos"):  # those are clipped
        np.testing.assert_allclose(half, whole / 2, atol=1e-4)


def test_floats_have_no_fixed_point():
    with pytest.raises(ValueError, match="method='pil-box-uint8'"):
        resize_float(np.zeros((1, 4, 4, 3), "f4"), 8, "pil-box-uint8")
    with pytest.raises(ValueError, match="dtype=uint8"):
        resize_float(images(1, 4, 4, 3), 8, "tf1")


def test_size_is_height_then_width():
    assert resize(images(1, 8, 8, 3), (3, 5), "clean").shape == (1, 3, 5, 3)


def test_the_first_pass_is_that_of_the_named_pillow():
    tall, wide = images(1, 97, 61, 3), images(1, 61, 97, 3)

    def differ(given, size):
        names = ("pil-lanczos-uint8", "pil12-lanczos-uint8")
        new, old = (resize(given, size, name).numpy() for name in names)
        return (new != old).any()

    assert differ(tall, 48) and differ(tall, (13, 100))
    assert not differ(wide, 48) and not differ(tall, (60, 40)) and not differ(tall, 299)


def test_clean_is_pillows_bicubic():
    given = images(2, 21, 33, 3)
    np.testing.assert_array_equal(resize(given, 16, "clean"), resize(given, 16, "pil-bicubic"))


def test_channels_and_images_do_not_mix():
    given = images(3, 16, 16, 3)
    whole = resize(given, 25, "clean").numpy()
    for i in range(3):
        for c in range(3):
            one = resize(given[i : i + 1, :, :, c : c + 1], 25, "clean").numpy()
            np.testing.assert_allclose(whole[i, :, :, c], one[0, :, :, 0], atol=1e-4)


def test_in_a_dataset_of_unknown_batch():
    data = tf.data.Dataset.from_tensor_slices(images(5, 8, 8, 3)).batch(2)
    data = data.map(lambda x: resize(x, 16, "tf1"))
    assert data.element_spec.shape.as_list() == [None, 16, 16, 3]
    assert [len(x) for x in data] == [2, 2, 1]


@pytest.mark.parametrize(
    "given, size, method, message",
    [
        (images(1, 4, 4, 3), 8, "bilinear", "names the reference"),
        (images(1, 4, 4, 3), 0, "tf1", "size=0"),
        (images(1, 4, 4, 3), (4, 4, 4), "tf1", "two of them"),
        (images(1, 4, 4, 3) / 255, 8, "tf1", "dtype=float64"),
        (images(4, 4, 3), 8, "tf1", r"shape=\(4, 4, 3\)"),
    ],
)
def test_bad_input(given, size, method, message):
    with pytest.raises(ValueError, match=message):
        resize(given, size, method)


def test_weights_are_cached_and_protected():
    resize(images(1, 6, 6, 3), 10, "clean")
    with pytest.raises(ValueError, match="read-only"):
        module._matrix("clean", 6, 10)[0, 0] = 1
