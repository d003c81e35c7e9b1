"""The official StyleGAN2 files: options of their constructors, and what is damaged or unknown."""


import numpy as np
import pytest
from stylegan_parity import refusal

from ganzoo.checkpoints import reader
from ganzoo.checkpoints.reader import META
from ganzoo.convert import stylegan2_tf, stylegan2_torch

TORCH = "parity/stylegan/sg2ada_64_cond/network.pkl"
TF_ADA = "parity/stylegan/sg2adatf_32_cifar_cond/network.pkl"
TF = "parity/stylegan/sg2tf_64_configf/network.pkl"


@pytest.fixture(scope="module")
def trees(shared):
    return {name: reader.load(shared / name) for name in (TORCH, TF_ADA, TF)}


def test_configuration_of_torch(load):
    gan, held = load(TORCH)
    assert held == {"generator", "discriminator", "generator_ema"}
    config = gan.get_config()
    assert config["mapping"] == {
        "num_layers": 2, "average_decay": 0.995, "activation": "lrelu", "lr_multiplier": 0.01,
        "hidden_dim": 64, "embed_dim": 64,
    }
    assert config["discriminator"] == {
        "channel_base": 768, "channel_max": 24, "architecture": "resnet", "activation": "lrelu",
        "conv_clamp": None, "group_size": 4, "std_channels": 1, "projection_dim": 24,
        "mapping": {"num_layers": 0, "average_decay": None, "embed_dim": 24}, "taps": [1, 3, 3, 1],
        "half_precision_blocks": 0,
    }
    assert (config["image_size"], config["num_classes"], config["taps"]) == (64, 10, [1, 3, 3, 1])


@pytest.mark.parametrize("key, network", stylegan2_torch.NETWORKS.items())
def test_one_network_alone(load, key, network):
    """In a file without the others."""
    _, held = load(TORCH, lambda tree: {"snapshot": tree[key]} if key == "D" else {key: tree[key]})
    assert held == {network}


def test_configuration_of_tensorflow(load):
    gan, held = load(TF_ADA)
    assert held == {"generator", "discriminator", "generator_ema"}
    assert gan.style_mixing == 0.0  # None in the file
    assert gan.config["mapping"]["conditioning"] == "embed"
    own = gan.config["discriminator"]
    assert (own["architecture"], own["group_size"], own["conv_clamp"]) == ("orig", 32, 256)
    assert own["mapping"]["lr_multiplier"] == 0.1 and own["mapping"]["num_layers"] == 0


@pytest.mark.parametrize("name, group", [(TF, 4), (TF_ADA, None)])
def test_group_of_the_standard_deviation(load, name, group):
    """Where the file does not say: four in StyleGAN2, the whole batch in ADA."""

    def change(tree):
        tree[1][META]["static_kwargs"].pop("mbstd_group_size", None)

    assert load(name, change)[0].config["discriminator"]["group_size"] == group


def test_labels_of_the_first_tensorflow_code(load):
    """Concatenated before all are normalised; one logit for each class."""
    random = np.random.RandomState(0)
    labels, width = 3, 5

    def change(tree):
        for i in (0, 2):
            mapping = tree[i]["mapping"]
            mapping["LabelConcat/weight"] = random.randn(labels, width).astype("float32")
            shape = (64 + width, mapping["Dense0/weight"].shape[1])
            mapping["Dense0/weight"] = random.randn(*shape).astype("float32")
        tree[1]["Output/weight"] = random.randn(26, labels).astype("float32")
        tree[1]["Output/bias"] = random.randn(labels).astype("float32")
        for network in tree:
            network[META]["static_kwargs"]["label_size"] = labels

    gan, _ = load(TF, change)
    images = random.uniform(-1, 1, (3, 64, 64, 3)).astype("float32")
    every = [gan.discriminator((images, np.full(3, k))) for k in range(labels)]
    assert len({float(logits[0, 0]) for logits in every}) == labels
    mixed = gan.discriminator((images, np.array([2, 0, 1])))[:, 0]
    np.testing.assert_allclose(mixed, [every[k][i, 0] for i, k in enumerate((2, 0, 1))], rtol=1e-5)
    embedding = gan.generator_ema.get_layer("mapping").embed
    assert embedding.path == "generator_ema/mapping/embedding"


def test_a_wider_layer_behind_the_last_convolution(load, trees):
    """`fmap_max` limits neither: the dense layer has twice the maps of 4 x 4."""

    def change(tree):
        weights = tree[1]
        for layer, axis in (("4x4/Dense0/weight", 1), ("4x4/Dense0/bias", 0), ("Output/weight", 0)):
            weights[layer] = np.repeat(weights[layer], 2, axis)
        # each of two equal outputs counts half, and sqrt(2) is lost to the larger fan-in
        weights["Output/weight"] = weights["Output/weight"] * np.float32(0.5**0.5)

    images = np.random.RandomState(0).uniform(-1, 1, (4, 64, 64, 3)).astype("float32")
    wide, narrow = load(TF, change)[0].discriminator, load(TF)[0].discriminator
    assert wide.config["hidden"] == 52
    np.testing.assert_allclose(wide(images), narrow(images), rtol=1e-5, atol=1e-6)


def of_diffaugment(tree, labels=0, width=64):
    """As mit-han-lab/data-efficient-gans writes its networks."""
    for network in tree:
        network[META]["static_kwargs"].update(impl="cuda", label_size=labels)
    if labels:
        random = np.random.RandomState(1)
        for i in (0, 2):
            mapping = tree[i]["mapping"]
            weight = random.randn(labels, width) / tree[i][META]["static_kwargs"]["mapping_lrmul"]
            mapping["LabelConcat/weight"] = weight.astype("float32")
            shape = (64 + width, mapping["Dense0/weight"].shape[1])
            mapping["Dense0/weight"] = random.randn(*shape).astype("float32")
        tree[1]["Output/weight"] = random.randn(26, labels).astype("float32")
        tree[1]["Output/bias"] = random.randn(labels).astype("float32")


def test_diffaugments_files(load):
    """Its code is StyleGAN2's with another argument, without which all is the same."""
    (ours, held), (official, _) = load(TF, of_diffaugment), load(TF)
    assert held == {"generator", "discriminator", "generator_ema"}
    assert ours.get_config() | {"name": ""} == official.get_config() | {"name": ""}
    z = np.random.RandomState(0).randn(2, 64).astype("float32")
    images = [g.generate(latents=z, noise="const") for g in (ours, official)]
    np.testing.assert_array_equal(*images)


def test_diffaugments_labels(load, trees):
    """Their weights are stored with an equalised learning rate, unlike StyleGAN2's."""
    change = {"mapping_lrmul": 0.05}

    def conditional(tree):
        for network in tree:
            network[META]["static_kwargs"].update(change)
        of_diffaugment(tree, labels=3)

    gan, _ = load(TF, conditional)
    stored = np.random.RandomState(1).randn(3, 64)  # before `of_diffaugment` divides
    embedding = gan.generator.get_layer("mapping").embed
    np.testing.assert_allclose(embedding, stored, rtol=1e-6)


def without_layer(tree):
    del tree["G_ema"]["synthesis"]["b16"]["conv1"]["weight"]
    del tree["G_ema"]["mapping"]["fc1"]["bias"]


def with_more(tree):
    tree["G_ema"]["synthesis"]["b16"]["conv1"]["extra"] = np.zeros(3, "float32")


def without_bias(tree):
    del tree[2]["synthesis"]["8x8/Conv1/bias"]


def without_epilogue(tree):
    del tree["D"]["b4"]


def test_missing_and_extra_tensors_are_named(load):
    message = refusal(load, TORCH, without_layer)
    assert "`synthesis/b16/conv1/kernel`" in message and "`mapping/fc1/bias`" in message
    assert "synthesis.b16.conv1.extra" in refusal(load, TORCH, with_more)
    assert "`synthesis/b8/conv1/bias`" in refusal(load, TF, without_bias)
    message = refusal(load, TORCH, without_epilogue)
    assert "lacks 'b4'" in message and "['D']" in message


@pytest.mark.parametrize(
    "name, change, words",
    [
        (TORCH, lambda t: t["G"][META]["init_kwargs"].update(noise_kind="x"), "'noise_kind': 'x'"),
        (
            TORCH,
            lambda t: t["G_ema"][META]["init_kwargs"]["synthesis_kwargs"].update(fancy=1),
            "'synthesis_kwargs.fancy': 1",
        ),
        (
            TORCH,
            lambda t: t["D"][META]["init_kwargs"]["epilogue_kwargs"].update(heads=2),
            "'epilogue_kwargs.heads': 2",
        ),
        (TF, lambda t: t[0][META]["static_kwargs"].update(fmap_decay=1.5), "'fmap_decay': 1.5"),
        (TF, lambda t: t[1][META]["static_kwargs"].update(heads=2), "'heads': 2"),
        (TF, lambda t: t[1][META]["static_kwargs"].update(avg_pooling=True), "'avg_pooling': True"),
        (TF, lambda t: t[1][META].update(version=9), "of version 9 of the file format"),
        (
            TF,
            lambda t: t[0]["synthesis"][META].update(build_func_name="G_synthesis_other"),
            "made by `G_synthesis_other`; ganzoo knows",
        ),
    ],
)
def test_unknown_options_and_versions(load, name, change, words):
    assert words in refusal(load, name, change)


def test_blocks_of_different_filters(load):
    def change(tree):
        tree["D"]["b32"]["resample_filter"] = np.ones((2, 2), "float32") / 4

    assert "one and the same `resample_filter`" in refusal(load, TORCH, change)


def test_other_filters_are_read(load):
    taps = np.outer([1, 2, 1], [1, 2, 1]).astype("float32") / 16

    def change(tree):
        for side in (64, 32, 16, 8):
            tree["D"][f"b{side}"]["resample_filter"] = taps

    assert load(TORCH, change)[0].config["discriminator"]["taps"] == taps.tolist()


@pytest.mark.parametrize("source", [stylegan2_tf, stylegan2_torch])
def test_other_trees_are_left_alone(source):
    for tree in ({}, [], {"G": np.zeros(3)}, {"a": {"b": {}}}, [{META: {"class": "Other"}}]):
        assert source.recognise_networks(tree) == []
