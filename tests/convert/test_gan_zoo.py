"""pytorch_GAN_zoo's ProGAN generators against a NumPy network with its own order of operations."""

import sys
import types

import numpy as np
import pytest
from layouts import fill, pickled

import ganzoo
from ganzoo.convert import gan_zoo, mmgen_progan
from ganzoo.errors import WeightsError
from ganzoo.families.progan import ProGAN

MAPS, LATENT = [8, 8, 4], 5
Z = np.random.RandomState(1).randn(3, LATENT).astype("float32")


def state(inner=""):
    """A generator's `state_dict`; `inner`: the name that some versions put before the arrays."""
    shapes = {"formatLayer": (16 * MAPS[0], LATENT), "groupScale0.0": (MAPS[0], MAPS[0], 3, 3)}
    for i, maps in enumerate(MAPS):
        shapes[f"toRGBLayers.{i}"] = (3, maps, 1, 1)
        if i:
            shapes[f"scaleLayers.{i - 1}.0"] = (maps, MAPS[i - 1], 3, 3)
            shapes[f"scaleLayers.{i - 1}.1"] = (maps, maps, 3, 3)
    arrays = fill({f"{name}.weight": shape for name, shape in shapes.items()})
    arrays |= fill({f"{name}.bias": shape[:1] for name, shape in shapes.items()})
    parts = {name: name.rpartition(".") for name in arrays}
    return {f"{parts[name][0]}.{inner}{parts[name][2]}": 3 * x for name, x in arrays.items()}


def normed(x):
    return x / np.sqrt(np.mean(x**2, 1, keepdims=True) + 1e-8)


def activated(x):
    return normed(np.where(x < 0, 0.2 * x, x))


def layer(arrays, name, x):
    """Convolution or dense layer; bias and all are multiplied by He's constant."""
    weight, bias = arrays[f"{name}.weight"].astype("float64"), arrays[f"{name}.bias"]
    scale = np.sqrt(2 / np.prod(weight.shape[1:]))
    if weight.ndim == 2:
        return (x @ weight.T + bias) * scale
    p = weight.shape[2] // 2
    x = np.pad(x, [(0, 0), (0, 0), (p, p), (p, p)])
    windows = np.lib.stride_tricks.sliding_window_view(x, weight.shape[2:], (2, 3))
    return (np.einsum("nihwkl,oikl->nohw", windows, weight) + bias.reshape(1, -1, 1, 1)) * scale


def doubled(x):
    return x.repeat(2, 2).repeat(2, 3)


def images(arrays, alpha=0.0):
    x = activated(layer(arrays, "formatLayer", normed(Z.astype("float64"))).reshape(3, -1, 4, 4))
    x = activated(layer(arrays, "groupScale0.0", x))
    for i in range(1, len(MAPS)):
        smaller = x
        x = activated(layer(arrays, f"scaleLayers.{i - 1}.0", doubled(x)))
        x = activated(layer(arrays, f"scaleLayers.{i - 1}.1", x))
    last = layer(arrays, f"toRGBLayers.{len(MAPS) - 1}", x)
    below = doubled(layer(arrays, f"toRGBLayers.{len(MAPS) - 2}", smaller))
    return (alpha * below + (1 - alpha) * last).transpose(0, 2, 3, 1)


@pytest.fixture
def settings(monkeypatch):
    """Settings -> an object as the official code pickles them."""
    module = types.ModuleType("models.utils.config")
    module.BaseConfig = type("BaseConfig", (), {"__module__": module.__name__})
    for name in ("models", "models.utils"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)

    def make(**values):
        config = module.BaseConfig()
        vars(config).update({"alpha": 0, "lossCriterion": "WGANGP", **values})
        return config

    return make


def file(path, **tree):
    return pickled(path / "pgan.pth", tree)


@pytest.mark.parametrize("inner", ["", "module."])
def test_images_are_those_of_its_operations(tmp_path, settings, inner):
    discriminator = {"decisionLayer.weight": np.zeros((1, 6), "float32")}
    tree = dict(config=settings(), netG=state(inner), netD=discriminator, avgG=state(inner))
    gan = ganzoo.load(file(tmp_path, **tree))
    wanted = images(state())
    assert type(gan) is ProGAN and np.ptp(wanted) > 1
    assert gan.provenance["discriminator"] == "initial weights"
    for network in (gan.generator, gan.generator_ema):
        error = np.abs(network(Z) - wanted).max() / max(1, np.abs(wanted).max())
        assert error <= 1e-5


def test_a_fade_is_that_of_the_settings(tmp_path, settings):
    gan = ganzoo.load(file(tmp_path, config=settings(alpha=0.25), avgG=state()))
    wanted = images(state(), 0.25)
    assert np.abs(wanted - images(state())).max() > 0.1
    assert np.abs(gan.generator_ema(Z) - wanted).max() / max(1, np.abs(wanted).max()) <= 1e-5


def test_other_settings_are_refused(tmp_path, settings):
    for name, value in {"lossCriterion": "DCGAN", "leakyReluLeak": 0.1}.items():
        with pytest.raises(WeightsError, match=f"Received: {{'{name}': {value!r}}}"):
            ganzoo.load(file(tmp_path, config=settings(**{name: value}), avgG=state()))


def test_extra_and_missing_arrays_are_named(tmp_path):
    arrays = state() | {"norm.weight": np.zeros(2, "float32")}
    del arrays["scaleLayers.1.0.bias"]
    with pytest.raises(WeightsError, match=r"(?s)`norm\.weight`.*b16/conv0/bias"):
        ganzoo.load(file(tmp_path, avgG=arrays))
    with pytest.raises(WeightsError, match=r"lacks `toRGBLayers\.0\.weight`"):
        ganzoo.load(file(tmp_path, avgG={"formatLayer.weight": arrays["formatLayer.weight"]}))


def test_maps_of_no_progan_are_refused(tmp_path):
    arrays = state() | {"toRGBLayers.1.weight": np.zeros((3, 5, 1, 1), "float32")}
    with pytest.raises(WeightsError, match=r"\[8, 5, 4\], from 4 x 4 to 16 x 16"):
        ganzoo.load(file(tmp_path, avgG=arrays))


def test_its_neighbours_and_it_leave_each_other_alone():
    assert mmgen_progan.recognise_networks({"netG": state()}) == []
    for tree in ({}, [], {"netG": np.zeros(2)}, {"netG": {"main.0.weight": np.zeros(2)}}):
        assert gan_zoo.recognise_networks(tree) == []
