"""Configurations B to D of the official StyleGAN2 against NumPy networks, NCHW as in TensorFlow."""

import numpy as np
import pytest
from stylegan_parity import refusal
from tf_stylegan2 import (
    IMAGES,
    LABEL,
    LABELS,
    LATENT,
    MAPS,
    RANDOM,
    SETTINGS,
    STYLE,
    Z,
    act,
    doubled,
    equalized_conv,
    finished,
    halved,
    layer,
    mapped,
    mapping_arrays,
    modulated,
    nchw,
    network,
    off,
    scopes,
    scores_of_maps,
    styled,
    to_rgb,
)

from ganzoo.checkpoints.reader import META
from ganzoo.families.stylegan import StyleGAN

FILE = "revised"


def generator(name, lod, **settings):
    random = RANDOM(7)
    strength = {"noise_strength": np.array(0.4, "float32")}
    groups = {"4x4/Const": {"const": random.randn(1, MAPS[4], 4, 4).astype("float32")}}
    groups["4x4/Conv"] = styled((3, 3, MAPS[4], MAPS[4]), 3, **strength)
    groups["ToRGB_lod2"] = styled((1, 1, MAPS[4], 3), 4)
    for k, side in enumerate((8, 16)):
        first, second = (3, 3, MAPS[side // 2], MAPS[side]), (3, 3, MAPS[side], MAPS[side])
        groups[f"{side}x{side}/Conv0_up"] = styled(first, 10 + k, **strength)
        groups[f"{side}x{side}/Conv1"] = styled(second, 20 + k, **strength)
        groups[f"ToRGB_lod{1 - k}"] = styled((1, 1, MAPS[side], 3), 30 + k)
    synthesis = scopes(**groups) | {"lod": np.array(0.0, "float32")}
    for i in range(5):
        side = 2 ** ((i + 5) // 2)
        synthesis[f"noise{i}"] = random.randn(1, 1, side, side).astype("float32")
    settings = {**SETTINGS, "latent_size": LATENT, "dlatent_size": STYLE, **settings}
    settings |= dict(mapping_layers=2, mapping_fmaps=6, mapping_lrmul=0.5)
    settings["synthesis_func"] = "G_synthesis_stylegan_revised"
    parts = {
        "mapping": network("G_mapping", "G_mapping", mapping_arrays()),
        "synthesis": network("G_synthesis", "G_synthesis_stylegan_revised", synthesis),
        "lod": np.array(lod, "float32"), "dlatent_avg": random.randn(STYLE).astype("float32"),
    }
    return network(name, "G_main", parts, **settings)


def discriminator(lod, **settings):
    groups = {
        "4x4/Conv": layer((3, 3, MAPS[4] + 1, MAPS[4])), "FromRGB_lod2": layer((1, 1, 3, MAPS[4])),
        "4x4/Dense0": layer((16 * MAPS[4], MAPS[2])), "Output": layer((MAPS[2], LABELS)),
    }
    for side, lod_of in ((8, 1), (16, 0)):
        groups[f"FromRGB_lod{lod_of}"] = layer((1, 1, 3, MAPS[side]))
        groups[f"{side}x{side}/Conv0"] = layer((3, 3, MAPS[side], MAPS[side]))
        groups[f"{side}x{side}/Conv1_down"] = layer((3, 3, MAPS[side], MAPS[side // 2]))
    arrays = scopes(**groups) | {"lod": np.array(lod, "float32")}
    return network("D", "D_stylegan", arrays, **{**SETTINGS, **settings})


def tree_of(lod=0.0, **settings):
    tree = [generator("G", lod, **settings), discriminator(lod, **settings)]
    return (*tree, generator("Gs", lod, **settings))


@pytest.fixture
def trees():
    return {FILE: tree_of()}


# --- the networks


def images_of(arrays, w, lod, taps):
    """At the full size; `w`: the same for every layer."""
    x = arrays["4x4/Const/const"].astype("float64").repeat(len(w), 0)
    x = finished(modulated(x, arrays, "4x4/Conv", w), arrays, "4x4/Conv", arrays["noise0"])
    image = to_rgb(x, arrays, "ToRGB_lod2", w)
    for level, side in ((1, 8), (0, 16)):
        up, conv = f"{side}x{side}/Conv0_up", f"{side}x{side}/Conv1"
        noise = [arrays[f"noise{i - 2 * level}"] for i in (3, 4)]
        x = finished(modulated(x, arrays, up, w, taps=taps), arrays, up, noise[0])
        x = finished(modulated(x, arrays, conv, w), arrays, conv, noise[1])
        image, share = doubled(image), np.clip(lod - level, 0, 1)
        image = to_rgb(x, arrays, f"ToRGB_lod{level}", w) * (1 - share) + image * share
    return image


def scores_of(arrays, images, lod, taps):
    def conv(x, scope, taps=None):
        return act(equalized_conv(x, arrays, scope, taps=taps), arrays[f"{scope}/bias"])

    x = conv(images, "FromRGB_lod0")
    for level, side in ((0, 16), (1, 8)):
        x = conv(conv(x, f"{side}x{side}/Conv0"), f"{side}x{side}/Conv1_down", taps)
        images, share = halved(images), np.clip(lod - level, 0, 1)
        x = x * (1 - share) + conv(images, f"FromRGB_lod{level + 1}") * share
    return scores_of_maps(x, arrays)


# --- tests


@pytest.mark.parametrize(
    "lod, kernel, taps",
    [(0.0, [1, 3, 3, 1], [1, 3, 3, 1]), (0.3, [1, 3, 3, 1], [1, 3, 3, 1]), (1.6, None, [1, 1])],
)
def test_networks_are_those_of_their_operations(load, trees, lod, kernel, taps):
    trees[FILE] = tree = tree_of(lod, resample_kernel=kernel)
    gan, held = load(FILE)
    assert type(gan) is StyleGAN and held == {"generator", "discriminator", "generator_ema"}
    w = mapped(tree[0]["mapping"])
    generator = gan.generator_ema
    ws = generator.mapping(Z, labels=LABEL)
    assert ws.shape == (4, 6, STYLE) and off(ws, w[:, np.newaxis].repeat(6, 1)) <= 2e-6
    wanted = images_of(tree[2]["synthesis"], w, lod, taps)
    assert np.ptp(wanted) > 1
    assert off(nchw(generator.synthesis(ws)), wanted) <= 1e-5
    assert off(nchw(generator((Z, LABEL))), wanted) <= 1e-5
    truncated = generator.mapping(Z, labels=LABEL, truncation=0.6)
    average = tree[2]["dlatent_avg"]
    assert off(truncated[:, 0], average + 0.6 * (w - average)) <= 2e-6
    scores = scores_of(tree[1], nchw(IMAGES), lod, taps)
    assert np.ptp(scores) > 0.1
    assert off(gan.discriminator((IMAGES, LABEL)), scores) <= 1e-5


def test_uint8_images_and_noise(load, trees):
    gan, _ = load(FILE)
    images = gan.generate(latents=Z, labels=LABEL)
    average = trees[FILE][2]
    wanted = images_of(average["synthesis"], mapped(average["mapping"]), 0, [1, 3, 3, 1])
    wanted = np.clip(np.rint(wanted * 127.5 + 127.5), 0, 255).transpose(0, 2, 3, 1)
    assert np.abs(images.astype("float64") - wanted).max() <= 1
    ws = gan.generator_ema.mapping(Z, labels=LABEL)
    kinds = [gan.generator_ema.synthesis(ws, noise) for noise in ("const", "none", "random")]
    assert all(np.abs(a - b).max() > 0.01 for a, b in zip(kinds, kinds[1:]))


def test_it_trains_on(load):
    gan, _ = load(FILE)
    before = {v.path: v.numpy() for v in gan.trainable_variables}
    gan.compile()
    log = gan.fit(IMAGES, LABEL, batch_size=4, epochs=2, verbose=0).history
    assert all(np.isfinite(values).all() for values in log.values())
    still = {v.path for v in gan.trainable_variables if np.array_equal(before[v.path], v.numpy())}
    idle = ("b4/torgb", "b8/torgb", "b4/fromrgb", "b8/fromrgb")  # an image leaves at 16 alone
    assert {path for path in still if not any(name in path for name in idle)} == set()
    assert any("b8/torgb" in path for path in still)


def test_configurations_are_kept(load, tmp_path):
    gan, _ = load(FILE)
    config = gan.get_config()
    assert (config["layers"], config["taps"]) == ("stylegan2", [1, 3, 3, 1])
    again = StyleGAN.from_config(config)
    addresses = [v.path for v in gan.generator.variables]
    assert [v.path for v in again.generator.variables] == addresses


def test_missing_and_unknown(load):
    def without(tree):
        del tree[2]["synthesis"]["ToRGB_lod1/weight"]

    assert "`synthesis/b8/torgb/kernel`" in refusal(load, FILE, without)

    def decayed(tree):
        tree[1][META]["static_kwargs"]["fmap_decay"] = 2.0

    assert "'fmap_decay': 2.0" in refusal(load, FILE, decayed)

    def other(tree):
        tree[0]["synthesis"][META]["build_func_name"] = "G_synthesis_other"

    assert "made by `G_synthesis_other`; ganzoo knows" in refusal(load, FILE, other)


@pytest.mark.parametrize(
    "options", [{"first": "dense"}, {"epilogue": ["noise", "style"]}, {"taps": None}]
)
def test_layers_that_do_not_have_that(options):
    with pytest.raises(ValueError, match="With layers='stylegan2'"):
        StyleGAN(8, 4, 4, layers="stylegan2", **options)


def test_layers_that_do_not_exist():
    with pytest.raises(ValueError, match=r"one of \('stylegan', 'stylegan2'\).*'stylegan3'"):
        StyleGAN(8, 4, 4, layers="stylegan3")
