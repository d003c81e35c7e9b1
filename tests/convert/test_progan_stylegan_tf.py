"""The official ProGAN and StyleGAN files: options of their functions, and what is damaged."""


import numpy as np
import pytest
from stylegan_parity import refusal

from ganzoo.checkpoints import reader
from ganzoo.checkpoints.reader import META
from ganzoo.convert import progan_tf, stylegan_tf

PROGAN = "parity/stylegan/progan_losses_16/network.pkl"
UNFUSED = "parity/stylegan/progan_32_growing_unfused/network.pkl"
STYLEGAN = "parity/stylegan/sg1_losses_16/network.pkl"


@pytest.fixture(scope="module")
def trees(shared):
    return {name: reader.load(shared / name) for name in (PROGAN, UNFUSED, STYLEGAN)}


def options(**new):
    """A change of all networks' options."""

    def change(tree):
        for network in tree:
            network[META]["static_kwargs"].update(new)

    return change


def test_configuration_of_progan(load):
    gan, held = load(UNFUSED)
    assert held == {"generator", "discriminator", "generator_ema"}
    config = gan.get_config()
    assert (config["image_size"], config["latent_dim"], config["num_classes"]) == (32, 20, 0)
    assert (config["channel_base"], config["channel_max"]) == (8192 // 8, 24)
    assert config["discriminator"] == {
        "channel_base": 1024, "channel_max": 24, "activation": "lrelu", "group_size": 16,
        "std_channels": 1, "pooling": "after",
    }
    assert load(PROGAN)[0].config["discriminator"]["pooling"] == "before"


def test_configuration_of_stylegan(load):
    gan, held = load(STYLEGAN)
    assert held == {"generator", "discriminator", "generator_ema"}
    config = gan.get_config()
    assert config["mapping"] == {
        "num_layers": 3, "activation": "lrelu", "lr_multiplier": 0.01, "average_decay": 1.0,
        "hidden_dim": 13,
    }
    assert config["style_mixing"] == 0.0  # None in the file
    assert (config["latent_dim"], config["style_dim"], config["image_size"]) == (12, 14, 16)
    assert config["epilogue"] == ["noise", "instance_norm", "style"]
    assert config["discriminator"]["group_size"] == 4


@pytest.mark.parametrize("name", [PROGAN, STYLEGAN])
@pytest.mark.parametrize(
    "place, network", [(0, "generator"), (1, "discriminator"), (2, "generator_ema")]
)
def test_one_network_alone(load, name, place, network):
    assert load(name, lambda tree: tree[place])[1] == {network}


def test_widths_as_floats(load):
    """int(fmap_base / 2^stage)."""
    whole, half = (load(PROGAN)[0].config, load(PROGAN, options(fmap_base=64.25))[0].config)
    assert whole["channel_base"] == half["channel_base"] == 128


def test_only_the_generator_of_progan_has_another_activation(load):
    def change(tree):
        for i in (0, 2):
            tree[i][META]["static_kwargs"].update(
                use_leakyrelu=False, use_pixelnorm=False, pixelnorm_epsilon=1e-4
            )

    gan, _ = load(PROGAN, change)
    assert (gan.config["activation"], gan.config["norm"]) == ("relu", "none")
    images = gan.generator.latents(4 * 64).reshape(4, 16, 16, -1)[..., :3]
    np.testing.assert_array_equal(
        gan.discriminator(images), load(PROGAN)[0].discriminator(images)
    )


def test_stored_truncation_is_not_applied(load):
    plain, cut = load(STYLEGAN)[0], load(STYLEGAN, truncate)[0]
    for gan in (plain, cut):
        gan.generator_ema.get_layer("mapping").w_avg.assign(np.ones(14))
    np.testing.assert_array_equal(cut.generate(2), plain.generate(2))
    assert not np.array_equal(plain.generate(2, truncation=0.7, truncation_cutoff=4),
                              plain.generate(2))


def truncate(tree):
    for i in (0, 2):
        tree[i][META]["static_kwargs"].update(truncation_psi=0.7, truncation_cutoff=8)


def test_labels_of_progan(load):
    """They go in as further latents, and come out as further scores."""
    random = np.random.RandomState(0)

    def with_labels(tree):
        for i in (0, 2):
            old = tree[i]["4x4/Dense/weight"]
            more = random.randn(3, old.shape[1]).astype("float32")
            tree[i]["4x4/Dense/weight"] = np.concatenate([old, more])
        for name in ("weight", "bias"):
            old = tree[1][f"4x4/Dense1/{name}"]
            more = random.randn(*old.shape[:-1], 3).astype("float32")
            tree[1][f"4x4/Dense1/{name}"] = np.concatenate([old, more], -1)
        options(label_size=3)(tree)

    def as_latents(tree):
        with_labels(tree)
        options(label_size=0)(tree)
        return tree[2]

    gan, _ = load(PROGAN, with_labels)
    random = np.random.RandomState(0)
    longer, _ = load(PROGAN, as_latents)
    z, hot = gan.generator.latents(4), np.eye(3, dtype="float32")[[2, 0, 1, 1]]
    found = gan.generator_ema([z, hot])
    wanted = longer.generator_ema(np.concatenate([z, hot], 1))
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    plain, _ = load(PROGAN)
    scores, classes = gan.discriminator(found)
    assert classes.shape == (4, 3)
    np.testing.assert_allclose(scores, plain.discriminator(found), rtol=1e-4, atol=1e-5)


def test_labels_of_stylegan(load):
    random = np.random.RandomState(0)

    def change(tree):
        for i in (0, 2):
            mapping = tree[i]["mapping"]
            mapping["LabelConcat/weight"] = random.randn(3, 12).astype("float32")
            old = mapping["Dense0/weight"]
            mapping["Dense0/weight"] = np.concatenate([old, random.randn(*old.shape) * 100])
        old = tree[1]["4x4/Dense1/weight"]
        tree[1]["4x4/Dense1/weight"] = np.concatenate([old, old + 1, old - 1], 1)
        tree[1]["4x4/Dense1/bias"] = np.array([0.0, 1.0, 2.0], "float32")
        options(label_size=3)(tree)

    gan, _ = load(STYLEGAN, change)
    assert gan.generator.num_classes == 3 and gan.config["mapping"]["embed_dim"] == 12
    z = gan.generator.latents(4)
    ws = [gan.generator_ema.mapping(z, np.full(4, k)) for k in range(3)]
    assert np.abs(ws[0] - ws[1]).max() > 1e-3
    images = gan.generator_ema.synthesis(ws[0])
    every = np.concatenate([gan.discriminator((images, np.full(4, k))) for k in range(3)], 1)
    mixed = gan.discriminator((images, np.array([2, 0, 1, 1])))[:, 0]
    np.testing.assert_allclose(mixed, every[range(4), [2, 0, 1, 1]], rtol=1e-5)


@pytest.mark.parametrize("name", [PROGAN, STYLEGAN])
def test_without_minibatch_statistics(load, name):
    def change(tree):
        tree[1][META]["static_kwargs"]["mbstd_group_size"] = 1
        tree[1]["4x4/Conv/weight"] = tree[1]["4x4/Conv/weight"][:, :, :-1]

    assert load(name, change)[0].config["discriminator"]["std_channels"] == 0


def test_fused_kernels_are_turned(load):
    """At 16 pixels "auto" is not fused."""
    plain = load(STYLEGAN)[0].generator.trunk.blocks[1].conv0.kernel.numpy()
    for value in (False, "auto"):
        kernel = load(STYLEGAN, options(fused_scale=value))[0].generator.trunk.blocks[1].conv0
        np.testing.assert_array_equal(kernel.kernel, plain)
    fused = load(STYLEGAN, options(fused_scale=True))[0].generator.trunk.blocks[1].conv0
    np.testing.assert_array_equal(fused.kernel, plain[::-1, ::-1])


def test_other_epilogues(load):
    def change(tree):
        for i in (0, 2):
            held = tree[i]["synthesis"]
            for name in [name for name in held if "Noise" in str(name) or "noise" in str(name)]:
                del held[name]
        options(use_noise=False, use_pixel_norm=True, blur_filter=[])(tree)
        del tree[1][META]["static_kwargs"]["use_noise"]
        del tree[1][META]["static_kwargs"]["use_pixel_norm"]

    gan, _ = load(STYLEGAN, change)
    assert gan.config["epilogue"] == ["pixel_norm", "instance_norm", "style"]
    assert gan.config["taps"] is None


def test_a_first_layer_of_styles(load):
    random = np.random.RandomState(0)

    def change(tree):
        for i in (0, 2):
            held = tree[i]["synthesis"]
            maps = held.pop("4x4/Const/const").shape[1]
            for name in [name for name in held if str(name).startswith("4x4/Const/")]:
                held[name.replace("Const", "Dense")] = held.pop(name)
            held["4x4/Dense/weight"] = random.randn(14, 16 * maps).astype("float32")
            tree[i][META]["static_kwargs"]["const_input_layer"] = False

    gan, _ = load(STYLEGAN, change)
    assert gan.config["first"] == "dense"
    assert gan.generate(2).shape == (2, 16, 16, 3)


def test_fixed_structures(load):
    def change(tree):
        for network in tree:
            for held in (network, network.get("synthesis", {})):
                for name in [name for name in held if "_lod" in str(name)]:
                    if not str(name).split("/")[0].endswith("_lod0"):
                        del held[name]
        options(structure="fixed")(tree)

    assert load(STYLEGAN, change)[0].config["structure"] == "fixed"


def without_layers(tree):
    held = tree[2]
    for part in (held, held.get("synthesis", {})):
        part.pop("8x8/Conv1/bias", None)
        part.pop("ToRGB_lod1/weight", None)


def with_more(tree):
    tree[1]["8x8/Conv2/weight"] = np.zeros((3, 3, 4, 4), "float32")


@pytest.mark.parametrize("name", [PROGAN, STYLEGAN])
def test_missing_and_extra_tensors_are_named(load, name):
    message = refusal(load, name, without_layers)
    assert "synthesis/b8/torgb/kernel" in message and "[2]" in message
    assert "8x8/Conv2/weight" in refusal(load, name, with_more)


@pytest.mark.parametrize(
    "name, change, words",
    [
        (PROGAN, options(fmap_decay=1.5), "'fmap_decay': 1.5"),
        (PROGAN, options(use_wscale=False), "'use_wscale': False"),
        (PROGAN, options(tanh_at_end=1.0), "'tanh_at_end': 1.0"),
        (PROGAN, lambda t: t[1][META].update(version=9), "of version 9 of the file format"),
        (PROGAN, lambda t: t[1].pop("4x4/Conv/bias"), "lacks '4x4/Conv/bias'"),
        (PROGAN, options(fused_scale="auto"), "'fused_scale': 'auto'"),
        (PROGAN, options(normalize_latents=False), "'normalize_latents': False"),
        (PROGAN, lambda t: t[2][META].update(name="Gs_2"), "is named 'Gs_2'"),
        (STYLEGAN, options(use_wscale=False), "'use_wscale': False"),
        (STYLEGAN, options(structure="skip"), "'structure': 'skip'"),
        (STYLEGAN, options(fused_scale=None), "'fused_scale': None"),
        (STYLEGAN, options(nonlinearity="swish"), "'nonlinearity': 'swish'"),
        (STYLEGAN, options(mapping_nonlinearity="tanh"), "'mapping_nonlinearity': 'tanh'"),
        (STYLEGAN, options(use_noise=2), "'use_noise': 2"),
        (STYLEGAN, options(normalize_latents=False), "'normalize_latents': False"),
        (STYLEGAN, options(dtype="float16"), "'dtype': 'float16'"),
        (STYLEGAN, lambda t: t[0][META].update(version=9), "of version 9 of the file format"),
        (
            STYLEGAN,
            lambda t: t[0]["synthesis"][META].update(build_func_name="G_other"),
            "made by `G_other`",
        ),
        (STYLEGAN, lambda t: t[2].pop("synthesis"), "lacks 'synthesis'"),
    ],
)
def test_unknown_options_and_damage(load, name, change, words):
    def changed(tree):
        change(tree)

    assert words in refusal(load, name, changed)


@pytest.mark.parametrize("source", [progan_tf, stylegan_tf])
def test_other_trees_are_left_alone(source):
    for tree in ({}, [], {"G": np.zeros(3)}, {"a": {"b": {}}}, [{META: {"class": "Other"}}]):
        assert source.recognise_networks(tree) == []
