"""FID's Inception against the recorded outputs of pytorch-fid, torch-fidelity and clean-fid."""

import json
import re

import keras
import numpy as np
import pytest

from ganzoo.addresses import addresses
from ganzoo.checkpoints import reader
from ganzoo.convert import inception as convert
from ganzoo.metrics.inception import OUTPUTS, inception, select
from ganzoo.metrics.resize import resize

RELATIVE = 1e-4  # of the largest value of a vector
SCALES = {  # reference -> resizer, function of [0, 255]
    "pytorchfid": ("torch", lambda x: x / 255 * 2 - 1),
    "torchfidelity": ("tf1", lambda x: (x - 128) / 128),
    "cleanfid": ("clean", lambda x: (x - 128) / 128),
}


@pytest.fixture(scope="module")
def folder(shared):
    return shared / "parity/classics/10_fid_inception"


@pytest.fixture(scope="module")
def arrays(folder):
    return reader.read(folder / "pt_inception-random.pth.xz")


@pytest.fixture(scope="module")
def network(arrays):
    network = inception(tuple(OUTPUTS))
    convert.fill(network, arrays)
    return network


@pytest.fixture(scope="module")
def recorded(folder):
    with np.load(folder / "golden.npz") as file:
        return dict(file)


def error(found, expected):
    return np.abs(found - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize("reference", SCALES)
@pytest.mark.parametrize("image", ["img0", "img1", "img2", "img3"])
def test_every_recorded_output(network, recorded, image, reference):
    resizer, scale = SCALES[reference]
    wanted = {
        key.split(f"{reference}_")[1]: value
        for key, value in recorded.items()
        if key.startswith(f"{image}/{reference}_")
    }
    assert "2048" in wanted
    found = network(scale(resize(recorded[image][None], 299, resizer)))
    for name, expected in wanted.items():
        assert found[name].shape == (1, OUTPUTS[name])
        assert error(found[name].numpy()[0], expected) < RELATIVE, name


def test_every_recorded_array_is_of_a_known_kind(recorded):
    known = r"img\d(/(pytorchfid|torchfidelity|cleanfid)_(\w+)|/resized_\w+)?"
    assert all(re.fullmatch(known, key) for key in recorded)


@pytest.mark.parametrize("other", ["half-pixel", "scale"])
def test_another_front_end_is_noticed(network, recorded, other):
    image, expected = recorded["img0"], recorded["img0/torchfidelity_2048"]
    if other == "half-pixel":
        x = SCALES["torchfidelity"][1](resize(image[None], 299, "torch"))
    else:
        x = SCALES["pytorchfid"][1](resize(image[None], 299, "tf1"))
    assert error(network(x)["2048"].numpy()[0], expected) > 10 * RELATIVE


def test_names_and_shapes_are_those_of_the_published_file(folder, arrays):
    keys = json.loads((folder / "keys.json").read_text())
    assert len(keys) == 566
    assert {name: list(array.shape) for name, array in arrays.items()} == keys


def test_size_of_the_network(network):
    trunk = 23_834_568 - 2_049_000  # torchvision's Inception v3 without its 1000 classes
    channels = 17_216  # of all convolutions: a gain and a shift each, now one bias
    assert network.count_params() == trunk - channels + 2048 * 1008 + 1008
    assert len(network.weights) == 2 * 94 + 2
    assert all(variable.dtype == "float32" for variable in network.weights)
    assert "Mixed_7c_branch3x3dbl_3b/kernel" in addresses(network)


def test_a_part_of_it_shares_weights(network):
    part = select(network, ("192",))
    x = np.random.default_rng(0).uniform(-1, 1, (1, 299, 299, 3)).astype("f4")
    found = part(x)
    assert list(found) == ["192"] and len(part.weights) == 10
    np.testing.assert_array_equal(found["192"], network(x)["192"])


def test_unknown_outputs():
    with pytest.raises(ValueError, match="2047"):
        inception(("2047",))
    with pytest.raises(ValueError, match="outputs"):
        inception(())


def test_the_users_defaults_do_not_matter():
    keras.config.set_dtype_policy("mixed_float16")
    keras.config.set_image_data_format("channels_first")
    try:
        made = inception()
    finally:
        keras.config.set_dtype_policy("float32")
        keras.config.set_image_data_format("channels_last")
    assert {layer.dtype_policy.name for layer in made.layers[1:]} == {"float32"}
    assert made.get_layer("Mixed_7c").output.shape == (None, 8, 8, 2048)


# The converter


def layer(rng, out=4, size=3):
    return {
        "L.conv.weight": rng.normal(size=(out, size, 1, 1)).astype("f4"),
        "L.bn.weight": rng.normal(size=out).astype("f4"),
        "L.bn.bias": rng.normal(size=out).astype("f4"),
        "L.bn.running_mean": rng.normal(size=out).astype("f4"),
        "L.bn.running_var": rng.uniform(0.01, 2, size=out).astype("f4"),
        "L.bn.num_batches_tracked": np.array(0),
    }


def test_folding_is_the_normalisation():
    rng = np.random.default_rng(1)
    arrays = layer(rng)
    x = rng.normal(size=3)
    y = arrays["L.conv.weight"][:, :, 0, 0] @ x
    y = (y - arrays["L.bn.running_mean"]) / np.sqrt(arrays["L.bn.running_var"] + 1e-3)
    y = y * arrays["L.bn.weight"] + arrays["L.bn.bias"]
    folded = convert.fold({**arrays, "fc.bias": x})
    assert sorted(folded) == ["L.bias", "L.weight", "fc.bias"]
    np.testing.assert_allclose(folded["L.weight"][:, :, 0, 0] @ x + folded["L.bias"], y, rtol=1e-5)


def test_a_missing_statistic_is_named():
    arrays = layer(np.random.default_rng(2))
    del arrays["L.bn.running_var"]
    with pytest.raises(ValueError, match="L.bn.running_var"):
        convert.fold(arrays)


def test_a_missing_and_an_extra_array_are_named(arrays, network):
    before = network.get_weights()[0].copy()
    changed = dict(arrays, **{"AuxLogits.fc.weight": np.zeros((2, 2), "f4")})
    del changed["fc.bias"]
    with pytest.raises(ValueError, match="AuxLogits.fc.weight(.|\n)*logits/bias"):
        convert.fill(network, changed)
    np.testing.assert_array_equal(network.get_weights()[0], before)


def test_another_number_of_classes_is_refused(arrays, network):
    changed = dict(arrays, **{"fc.weight": np.zeros((1000, 2048), "f4")})
    with pytest.raises(ValueError, match=r"\(2048, 1000\)"):
        convert.fill(network, changed)
