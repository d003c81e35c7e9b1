"""Trees as `reader` makes them of the official pickles; the pickles: families/test_stylegan3.py."""

import copy

import numpy as np
import pytest

import ganzoo
from ganzoo.checkpoints import reader
from ganzoo.convert import stylegan3_torch
from ganzoo.errors import WeightsError
from ganzoo.families.stylegan3 import StyleGAN3

META = reader.META
OPTIONS = {  # official: none at its default
    "channel_base": 64,
    "channel_max": 6,
    "num_layers": 4,
    "num_critical": 1,
    "first_cutoff": 1.5,
    "first_stopband": 4.0,
    "last_stopband_rel": 1.3,
    "margin_size": 4,
    "output_scale": 0.5,
    "num_fp16_res": 2,
    "conv_kernel": 1,
    "filter_size": 4,
    "lrelu_upsampling": 3,
    "use_radial_filters": True,
    "conv_clamp": None,
    "magnitude_ema_beta": 0.7,
}
OURS = dict(
    image_size=16,
    latent_dim=5,
    style_dim=7,
    channels=2,
    num_classes=3,
    equivariance="rotation",
    channel_base=64,
    channel_max=6,
    mapping={"num_layers": 3, "lr_multiplier": 0.02, "average_decay": 0.9},
    bands={
        "num_layers": 4,
        "num_critical": 1,
        "first_cutoff": 1.5,
        "first_stopband": 4.0,
        "last_stopband_ratio": 1.3,
        "margin": 4,
    },
    layers_options={
        "output_scale": 0.5,
        "half_precision_rates": 2,
        "filter_size": 4,
        "oversampling": 3,
        "clamp": None,
        "magnitude_beta": 0.7,
    },
)


def module(kind, *args, attributes=(), **options):
    return {
        META: {
            "class": kind,
            "init_args": list(args),
            "init_kwargs": options,
            "attributes": dict(attributes),
        }
    }


def dense(layer):
    return {"weight": layer.kernel.numpy().T, "bias": layer.bias.numpy()}


def layer_tree(layer):
    found = {
        "weight": layer.kernel.numpy().transpose(3, 2, 0, 1),
        "bias": layer.bias.numpy(),
        "magnitude_ema": np.array(layer.magnitude.numpy()),
        "affine": dense(layer.affine),
    }
    for key, taps in (("up_filter", layer.up_taps), ("down_filter", layer.down_taps)):
        if taps is not None:
            found[key] = taps.numpy()
    return found


def generator_tree(generator):
    """The official layout of one of our generators."""
    layers = generator.get_layer("synthesis").convolutions
    names = [f"L{i}_{layer.target.size}_{layer.filters}" for i, layer in enumerate(layers)]
    features = generator.get_layer("synthesis").features
    mapping = generator.get_layer("mapping")
    tree = module(
        "Generator", 5, 3, 7, 16, 2,
        mapping_kwargs={"num_layers": 3, "lr_multiplier": 0.02, "w_avg_beta": 0.9}, **OPTIONS,
    )
    tree["synthesis"] = {
        **module("SynthesisNetwork", attributes={"layer_names": names}),
        "input": {
            "weight": features.kernel.numpy().T,
            "affine": dense(features.affine),
            "freqs": features.frequencies.numpy(),
            "phases": features.phases.numpy(),
            "transform": features.transform.numpy(),
        },
        **{name: layer_tree(layer) for name, layer in zip(names, layers)},
    }
    tree["mapping"] = {f"fc{i}": dense(layer) for i, layer in enumerate(mapping.dense)}
    tree["mapping"] |= {"embed": dense(mapping.embed), "w_avg": mapping.w_avg.numpy()}
    return tree


@pytest.fixture(scope="module")
def generator():
    found = StyleGAN3(**OURS, ema=None, discriminator={"channel_max": 4}).generator
    random = np.random.RandomState(0)
    found.set_weights([w + random.uniform(0, 0.3, np.shape(w)) for w in found.get_weights()])
    return found


@pytest.fixture
def tree(generator):
    return {"G_ema": copy.deepcopy(generator_tree(generator)), "augment_pipe": None}


@pytest.fixture
def load(monkeypatch, tmp_path):
    """Loads a tree as if a file held it."""
    path = tmp_path / "network.pkl"
    path.write_bytes(b"")

    def load(tree):
        monkeypatch.setattr(reader, "load", lambda *args, **kwargs: tree)
        return ganzoo.load(str(path))

    return load


def test_every_option_is_read(generator, tree, load):
    gan = load(tree)
    z = generator.latents(2, 0)
    labels = np.array([2, 1])
    ws = generator.mapping(z, labels, truncation=0.5)
    np.testing.assert_array_equal(gan.generator_ema.mapping(z, labels, truncation=0.5), ws)
    np.testing.assert_array_equal(gan.generator_ema.synthesis(ws), generator.synthesis(ws))
    found = gan.generator_ema.get_layer("synthesis").get_config()
    wanted = generator.get_layer("synthesis").get_config()
    assert {**found, "trainable": True} == wanted
    assert gan.get_config()["equivariance"] == "rotation"


def test_a_generator_alone_is_recognised(tree):
    found = stylegan3_torch.recognise_networks(tree["G_ema"])
    assert [(where, part.network) for where, part, _ in found] == [("", "generator")]


def test_other_trees_are_not():
    for other in ({}, {"G_ema": None}, {"G": module("Generator")}, [], {"D": module("Generator")}):
        assert stylegan3_torch.recognise_networks(other) == []


def test_an_unknown_option_is_named(tree, load):
    tree["G_ema"][META]["init_kwargs"]["pixel_shuffle"] = 2
    with pytest.raises(WeightsError, match=r"\['G_ema'\].*'pixel_shuffle': 2"):
        load(tree)


def test_an_unknown_option_of_the_mapping_is_named(tree, load):
    tree["G_ema"][META]["init_kwargs"]["mapping_kwargs"]["layers"] = 2
    with pytest.raises(WeightsError, match="'layers': 2"):
        load(tree)


def test_missing_and_extra_tensors_are_all_named(tree, load):
    synthesis = tree["G_ema"]["synthesis"]
    name = synthesis[META]["attributes"]["layer_names"][1]
    del synthesis[name]["magnitude_ema"]
    synthesis["input"]["shift"] = np.zeros(3, "float32")
    with pytest.raises(WeightsError, match="(?s)input.shift.*layer1/magnitude.*receives nothing"):
        load(tree)


def test_a_tensor_of_another_shape_is_named(tree, load):
    tree["G_ema"]["mapping"]["w_avg"] = np.zeros(6, "float32")
    with pytest.raises(WeightsError, match=r"mapping\.w_avg.*\(6,\).*\(7,\)"):
        load(tree)
