"""Configurations E and F of the official StyleGAN2 in all architectures, with labels and another
filter, against NumPy networks, NCHW as in TensorFlow.
"""

import numpy as np
import pytest
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
    equalized_conv,
    finished,
    fir,
    layer,
    mapped,
    mapping_arrays,
    modulated,
    nchw,
    network,
    off,
    scopes,
    scores_of_maps,
    spread,
    styled,
    to_rgb,
    upsampled_conv,
)

from ganzoo.families.stylegan2 import StyleGAN2

FILE = "stylegan2"
ARCHITECTURES = ["orig", "skip", "resnet"]
TAPS = {"usual": [1, 3, 3, 1], "lopsided": [1, 2, 5, 1], "odd": [1, 2, 1]}


def generator(name, architecture, **settings):
    random = RANDOM(7)
    strength = {"noise_strength": np.array(0.4, "float32")}
    groups = {"4x4/Const": {"const": random.randn(1, MAPS[4], 4, 4).astype("float32")}}
    groups["4x4/Conv"] = styled((3, 3, MAPS[4], MAPS[4]), 3, **strength)
    for k, side in enumerate((8, 16)):
        first, second = (3, 3, MAPS[side // 2], MAPS[side]), (3, 3, MAPS[side], MAPS[side])
        groups[f"{side}x{side}/Conv0_up"] = styled(first, 10 + k, **strength)
        groups[f"{side}x{side}/Conv1"] = styled(second, 20 + k, **strength)
        if architecture == "resnet":
            skip = layer((1, 1, *first[2:]), seed=40 + k)
            groups[f"{side}x{side}/Skip"] = {"weight": skip["weight"]}
    for k, side in enumerate((4, 8, 16) if architecture == "skip" else (16,)):
        groups[f"{side}x{side}/ToRGB"] = styled((1, 1, MAPS[side], 3), 30 + k)
    synthesis = scopes(**groups)
    for i in range(5):
        side = 2 ** ((i + 5) // 2)
        synthesis[f"noise{i}"] = random.randn(1, 1, side, side).astype("float32")
    parts = {
        "mapping": network("G_mapping", "G_mapping", mapping_arrays()),
        "synthesis": network("G_synthesis", "G_synthesis_stylegan2", synthesis),
        "lod": np.array(0.0, "float32"), "dlatent_avg": random.randn(STYLE).astype("float32"),
    }
    own = dict(latent_size=LATENT, dlatent_size=STYLE, architecture=architecture)
    own |= dict(mapping_layers=2, mapping_fmaps=6, mapping_lrmul=0.5)
    return network(name, "G_main", parts, **{**SETTINGS, **own, **settings})


def discriminator(architecture, **settings):
    groups = {
        "4x4/Conv": layer((3, 3, MAPS[4] + 1, MAPS[4])),
        "4x4/Dense0": layer((16 * MAPS[4], MAPS[2])), "Output": layer((MAPS[2], LABELS)),
    }
    for side in (8, 16):
        groups[f"{side}x{side}/Conv0"] = layer((3, 3, MAPS[side], MAPS[side]))
        groups[f"{side}x{side}/Conv1_down"] = layer((3, 3, MAPS[side], MAPS[side // 2]))
        if architecture == "resnet":
            skip = layer((1, 1, MAPS[side], MAPS[side // 2]))
            groups[f"{side}x{side}/Skip"] = {"weight": skip["weight"]}
    for side in (4, 8, 16) if architecture == "skip" else (16,):
        groups[f"{side}x{side}/FromRGB"] = layer((1, 1, 3, MAPS[side]))
    own = {**SETTINGS, "architecture": architecture, **settings}
    return network("D", "D_stylegan2", scopes(**groups), **own)


def images_of(arrays, w, architecture, taps):
    """`w`: the same for every layer."""
    x = arrays["4x4/Const/const"].astype("float64").repeat(len(w), 0)
    x = finished(modulated(x, arrays, "4x4/Conv", w), arrays, "4x4/Conv", arrays["noise0"])
    image = to_rgb(x, arrays, "4x4/ToRGB", w) if architecture == "skip" else 0
    for i, side in enumerate((8, 16)):
        up, conv, rgb = (f"{side}x{side}/{name}" for name in ("Conv0_up", "Conv1", "ToRGB"))
        noise = [arrays[f"noise{2 * i + j}"] for j in (1, 2)]
        y = finished(modulated(x, arrays, up, w, taps=taps), arrays, up, noise[0])
        y = finished(modulated(y, arrays, conv, w), arrays, conv, noise[1])
        if architecture == "resnet":
            weight = arrays[f"{side}x{side}/Skip/weight"].astype("float64")
            y = (y + upsampled_conv(x, weight / np.sqrt(weight.shape[2]), taps)) / 2**0.5
        x = y
        if architecture == "skip":
            p = len(taps) - 2
            image = fir(spread(image), taps, (p + 1) // 2 + 1, p // 2, gain=4.0)
        if architecture == "skip" or side == 16:
            image = image + to_rgb(x, arrays, rgb, w)
    return image


def scores_of(arrays, images, architecture, taps):
    def conv(x, scope, taps=None):
        return act(equalized_conv(x, arrays, scope, taps=taps), arrays[f"{scope}/bias"])

    x = 0
    for side in (16, 8):
        if architecture == "skip" or side == 16:
            x = x + conv(images, f"{side}x{side}/FromRGB")
        y = conv(conv(x, f"{side}x{side}/Conv0"), f"{side}x{side}/Conv1_down", taps)
        if architecture == "resnet":
            y = (y + equalized_conv(x, arrays, f"{side}x{side}/Skip", taps=taps)) / 2**0.5
        x = y
        if architecture == "skip":
            p = len(taps) - 2
            images = fir(images, taps, (p + 1) // 2, p // 2)[:, :, ::2, ::2]
    if architecture == "skip":
        x = x + conv(images, "4x4/FromRGB")
    return scores_of_maps(x, arrays)


@pytest.fixture
def trees():
    return {}


@pytest.mark.parametrize("taps", TAPS.values(), ids=TAPS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_networks_are_those_of_their_operations(load, trees, architecture, taps):
    options = dict(architecture=architecture, resample_kernel=taps)
    trees[FILE] = tree = (
        generator("G", **options), discriminator(**options), generator("Gs", **options)
    )
    gan, held = load(FILE)
    assert type(gan) is StyleGAN2 and held == {"generator", "discriminator", "generator_ema"}
    w, generator_ema = mapped(tree[0]["mapping"]), gan.generator_ema
    ws = generator_ema.mapping(Z, labels=LABEL)
    assert off(ws, w[:, np.newaxis].repeat(6, 1)) <= 2e-6
    wanted = images_of(tree[2]["synthesis"], w, architecture, taps)
    assert np.ptp(wanted) > 1
    assert off(nchw(generator_ema.synthesis(ws)), wanted) <= 1e-5
    one = nchw(generator_ema.synthesis(ws[:1]))  # another form of the convolution
    assert off(one, wanted[:1]) <= 1e-5
    scores = scores_of(tree[1], nchw(IMAGES), architecture, taps)
    assert np.ptp(scores) > 0.1
    assert off(gan.discriminator((IMAGES, LABEL)), scores) <= 1e-5
