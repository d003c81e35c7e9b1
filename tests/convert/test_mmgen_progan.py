"""MMGeneration's ProGAN generators against a NumPy network with its own order of operations."""

import numpy as np
import pytest
from layouts import fill, pickled

import ganzoo
from ganzoo.convert import mmgen, mmgen_progan, mmgen_stylegan2
from ganzoo.errors import WeightsError
from ganzoo.families.progan import ProGAN

MAPS, LATENT = [6, 4, 2], 5
Z = np.random.RandomState(1).randn(3, LATENT).astype("float32")


def generator(prefix="generator_ema."):
    shapes = {"noise2feat.linear.weight_orig": (16 * MAPS[0], LATENT)}
    shapes |= {"noise2feat.bias": (1, MAPS[0], 1, 1)}
    shapes |= convolution("conv_blocks.0", (MAPS[0], MAPS[0], 3, 3))
    for i, maps in enumerate(MAPS):
        shapes |= convolution(f"torgb_layers.{i}", (3, maps, 1, 1))
        if i:
            up = convolution(f"conv_blocks.{2 * i - 1}", (MAPS[i - 1], maps, 3, 3))
            up[f"conv_blocks.{2 * i - 1}.conv.bias"] = (maps,)
            shapes |= up | convolution(f"conv_blocks.{2 * i}", (maps, maps, 3, 3))
    return {prefix + name: 2 * array for name, array in fill(shapes).items()}


def convolution(name, shape):
    return {f"{name}.conv.weight_orig": shape, f"{name}.conv.bias": shape[:1]}


def normed(x):
    return x / (np.sqrt(np.mean(x**2, 1, keepdims=True)) + 1e-6)


def activated(x):
    return normed(np.where(x < 0, 0.2 * x, x))


def correlate(x, weight, bias):
    p = weight.shape[2] // 2
    x = np.pad(x, [(0, 0), (0, 0), (p, p), (p, p)])
    windows = np.lib.stride_tricks.sliding_window_view(x, weight.shape[2:], (2, 3))
    return np.einsum("nihwkl,oikl->nohw", windows, weight) + bias.reshape(1, -1, 1, 1)


def transposed(x, weight, bias):
    """Each pixel adds its part of a 4 x 4 kernel, the sum of four shifted ones of 3 x 3."""
    wide = np.pad(weight, [(0, 0), (0, 0), (1, 1), (1, 1)])
    wide = wide[..., 1:, 1:] + wide[..., 1:, :-1] + wide[..., :-1, 1:] + wide[..., :-1, :-1]
    side = x.shape[2]
    out = np.zeros((len(x), weight.shape[1], 2 * side + 2, 2 * side + 2))
    for i in range(side):
        for j in range(side):
            part = np.einsum("ni,iokl->nokl", x[:, :, i, j], wide)
            out[:, :, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4] += part
    return out[:, :, 1:-1, 1:-1] + bias.reshape(1, -1, 1, 1)


def steps(arrays):
    """Images of 4, 8, ... pixels."""
    def layer(name, gain=2**0.5):  # the scale is by the second axis, whatever it is
        weight = arrays[f"{name}.conv.weight_orig"].astype("float64")
        fan = np.prod(weight.shape[1:])
        return weight * gain / np.sqrt(fan), arrays[f"{name}.conv.bias"]

    dense = arrays["noise2feat.linear.weight_orig"].astype("float64")
    x = normed(Z.astype("float64")) @ dense.T * (2**0.5 / 4 / np.sqrt(LATENT))
    x = activated(x.reshape(len(Z), -1, 4, 4) + arrays["noise2feat.bias"])
    x = activated(correlate(x, *layer("conv_blocks.0")))
    found = [correlate(x, *layer("torgb_layers.0", 1))]
    for i in range(1, len(MAPS)):
        x = activated(transposed(x, *layer(f"conv_blocks.{2 * i - 1}")))
        x = activated(correlate(x, *layer(f"conv_blocks.{2 * i}")))
        found.append(correlate(x, *layer(f"torgb_layers.{i}", 1)))
    return found


def file(path, arrays):
    return pickled(path / "progan.pth", {"meta": {"iter": 3}, "state_dict": arrays})


def test_images_are_those_of_its_operations(tmp_path):
    other = {"discriminator.conv_blocks.0.conv.bias": np.zeros(6, "float32")}
    gan = ganzoo.load(file(tmp_path, generator() | generator("generator.") | other))
    wanted = steps(generator(""))[-1].transpose(0, 2, 3, 1)[..., ::-1]
    assert type(gan) is ProGAN and np.ptp(wanted) > 1
    assert gan.provenance["discriminator"] == "initial weights"
    for network in (gan.generator, gan.generator_ema):
        error = np.abs(network(Z) - wanted).max() / max(1, np.abs(wanted).max())
        assert error <= 1e-5


def test_growth_is_that_of_the_file(tmp_path):
    growth = {"_curr_scale_int": 8, "_curr_transition_weight": 0.25, "shown_nkimg": 9.5}
    growth = {name: np.array(value, "float32") for name, value in growth.items()}
    gan = ganzoo.load(file(tmp_path, generator() | growth))
    x, last = steps(generator(""))[1], steps(generator(""))[0]
    last = last.repeat(2, 2).repeat(2, 3)
    wanted = (last + 0.25 * (x - last)).transpose(0, 2, 3, 1)[..., ::-1]
    found = np.asarray(gan.generator_ema(Z))[:, ::2, ::2]
    assert np.abs(found - wanted).max() / max(1, np.abs(wanted).max()) <= 1e-5


def test_extra_and_missing_arrays_are_named(tmp_path):
    arrays = generator() | {"generator_ema.norm.weight": np.zeros(2, "float32")}
    del arrays["generator_ema.conv_blocks.3.conv.bias"]
    with pytest.raises(WeightsError, match=r"(?s)`norm\.weight`.*b16/conv0/bias"):
        ganzoo.load(file(tmp_path, arrays))
    del arrays["generator_ema.torgb_layers.0.conv.weight_orig"]
    with pytest.raises(WeightsError, match=r"lacks \['torgb_layers\.0"):
        ganzoo.load(file(tmp_path, arrays))
    with pytest.raises(WeightsError, match=r"nothing else.*\['mean'\]"):
        ganzoo.load(file(tmp_path, generator() | {"mean": np.zeros(1, "float32")}))


def test_maps_of_no_progan_are_refused(tmp_path):
    arrays = generator()
    arrays["generator_ema.torgb_layers.1.conv.weight_orig"] = np.zeros((3, 5, 1, 1), "float32")
    with pytest.raises(WeightsError, match=r"\[6, 5, 2\], from 4 x 4 to 16 x 16"):
        ganzoo.load(file(tmp_path, arrays))


def test_its_neighbours_and_it_leave_each_other_alone():
    assert mmgen.recognise(generator()) is None
    assert mmgen_stylegan2.recognise_networks(generator()) == []
    assert mmgen_progan.recognise_networks(generator("")) == []
    assert mmgen_progan.recognise_networks({"generator.noise2feat.conv.weight": 0}) == []
