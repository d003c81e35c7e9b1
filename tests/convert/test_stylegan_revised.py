"""Configurations B to D of the official StyleGAN2 against NumPy networks, NCHW as in TensorFlow."""

import numpy as np
import pytest
from stylegan_parity import refusal

from ganzoo.convert.reader import META
from ganzoo.families.stylegan import StyleGAN

SIZE, LATENT, STYLE, LABELS = 16, 5, 7, 3
MAPS = {2: 20, 4: 20, 8: 12, 16: 6}  # 48 / (side / 2), at most 20; of 2 x 2: the dense layer
FILE = "revised"
RANDOM = np.random.RandomState
Z = RANDOM(1).randn(4, LATENT).astype("float32")
LABEL = np.array([0, 2, 1, 2])
IMAGES = RANDOM(2).uniform(-1, 1, (4, SIZE, SIZE, 3)).astype("float32")
SETTINGS = dict(
    num_channels=3, resolution=SIZE, label_size=LABELS, fmap_base=48, fmap_max=20,
)


def layer(shape, bias=None, seed=0):
    random = RANDOM(seed + sum(shape))
    weight = random.randn(*shape).astype("float32")
    return {"weight": weight, "bias": 0.3 * random.randn(bias or shape[-1]).astype("float32")}


def network(name, function, arrays, **settings):
    said = {"class": "dnnlib.tflib.network.Network", "version": 4, "name": name}
    return {META: {**said, "build_func_name": function, "static_kwargs": settings}, **arrays}


def scopes(**groups):
    """{"scope/variable": array}."""
    return {f"{scope}/{k}": array for scope, group in groups.items() for k, array in group.items()}


def styled(shape, seed, **more):
    random = RANDOM(seed)
    return {
        **layer(shape, seed=seed), **more,
        "mod_weight": random.randn(STYLE, shape[2]).astype("float32"),
        "mod_bias": 0.3 * random.randn(shape[2]).astype("float32"),
    }


def generator(name, lod, **settings):
    random = RANDOM(7)
    mapping = {
        "Dense0": layer((2 * LATENT, 6), seed=1), "Dense1": layer((6, STYLE), seed=2),
        "LabelConcat": {"weight": random.randn(LABELS, LATENT).astype("float32")},
    }
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
        "mapping": network("G_mapping", "G_mapping", scopes(**mapping)),
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


# --- the operations


def act(x, bias):
    x = x + bias.reshape(1, -1, *[1] * (x.ndim - 2))
    return np.where(x < 0, 0.2 * x, x) * 2**0.5


def correlate(x, weight, stride=1):
    """x [N, C, H, W], weight [h, w, C, F] or, one for each sample, [N, h, w, C, F]."""
    windows = np.lib.stride_tricks.sliding_window_view(x, weight.shape[-4:-2], (2, 3))
    names = "nihwkl,nklio->nohw" if weight.ndim == 5 else "nihwkl,klio->nohw"
    return np.einsum(names, windows[:, :, ::stride, ::stride], weight)


def pad(x, before, after):
    return np.pad(x, [(0, 0), (0, 0), (before, after), (before, after)])


def fir(x, taps, before, after, gain=1.0):
    kernel = np.outer(taps, taps) / np.sum(taps) ** 2 * gain
    count = x.shape[1]
    flat = pad(x, before, after).reshape(-1, 1, *(np.array(x.shape[2:]) + before + after))
    y = correlate(flat, kernel[:, :, np.newaxis, np.newaxis])
    return y.reshape(-1, count, *y.shape[2:])


def upsampled_conv(x, weight, taps):
    """Zeros between the pixels, the convolution, the filter."""
    wide = np.zeros((*x.shape[:2], 2 * x.shape[2] - 1, 2 * x.shape[3] - 1))
    wide[:, :, ::2, ::2] = x
    p = len(taps) - 2 - 2
    return fir(correlate(pad(wide, 2, 2), weight), taps, (p + 1) // 2 + 1, p // 2 + 1, gain=4.0)


def downsampled_conv(x, weight, taps):
    p = len(taps) - 2 + 2
    return correlate(fir(x, taps, (p + 1) // 2, p // 2), weight, stride=2)


def doubled(x):
    return x.repeat(2, 2).repeat(2, 3)


def halved(x):
    return x.reshape(*x.shape[:2], x.shape[2] // 2, 2, -1, 2).mean((3, 5))


def modulated(x, arrays, scope, w, *, taps=None, demodulate=True):
    weight = arrays[f"{scope}/weight"].astype("float64")
    weight = weight / np.sqrt(np.prod(weight.shape[:3]))
    style = w @ arrays[f"{scope}/mod_weight"] / np.sqrt(STYLE) + arrays[f"{scope}/mod_bias"] + 1
    weight = weight * style[:, np.newaxis, np.newaxis, :, np.newaxis]
    if demodulate:
        weight = weight / np.sqrt((weight**2).sum((1, 2, 3), keepdims=True) + 1e-8)
    if taps is not None:
        return upsampled_conv(x, weight, taps)
    p = weight.shape[1] // 2
    return correlate(pad(x, p, p), weight)


def mapped(arrays):
    embedded = arrays["LabelConcat/weight"][LABEL]
    x = np.concatenate([Z, embedded], 1).astype("float64")
    x = x / np.sqrt(np.mean(x**2, 1, keepdims=True) + 1e-8)
    for i in (0, 1):
        weight = arrays[f"Dense{i}/weight"]
        x = act(x @ weight * 0.5 / np.sqrt(len(weight)), 0.5 * arrays[f"Dense{i}/bias"])
    return x


def images_of(arrays, w, lod, taps):
    """At the full size; `w`: the same for every layer."""
    def finish(x, scope, number):
        x = x + arrays[f"noise{number}"] * arrays[f"{scope}/noise_strength"]
        return act(x, arrays[f"{scope}/bias"])

    def rgb(x, level):
        scope = f"ToRGB_lod{level}"
        x = modulated(x, arrays, scope, w, demodulate=False)
        return x + arrays[f"{scope}/bias"].reshape(1, -1, 1, 1)

    x = arrays["4x4/Const/const"].astype("float64").repeat(len(w), 0)
    x = finish(modulated(x, arrays, "4x4/Conv", w), "4x4/Conv", 0)
    image = rgb(x, 2)
    for level, side in ((1, 8), (0, 16)):
        up, conv = f"{side}x{side}/Conv0_up", f"{side}x{side}/Conv1"
        x = finish(modulated(x, arrays, up, w, taps=taps), up, 3 - 2 * level)
        x = finish(modulated(x, arrays, conv, w), conv, 4 - 2 * level)
        image, share = doubled(image), np.clip(lod - level, 0, 1)
        image = rgb(x, level) * (1 - share) + image * share
    return image


def scores_of(arrays, images, lod, taps):
    def conv(x, scope, down=False):
        weight = arrays[f"{scope}/weight"].astype("float64")
        weight = weight / np.sqrt(np.prod(weight.shape[:3]))
        p = weight.shape[0] // 2
        x = downsampled_conv(x, weight, taps) if down else correlate(pad(x, p, p), weight)
        return act(x, arrays[f"{scope}/bias"])

    x = conv(images, "FromRGB_lod0")
    for level, side in ((0, 16), (1, 8)):
        x = conv(conv(x, f"{side}x{side}/Conv0"), f"{side}x{side}/Conv1_down", down=True)
        images, share = halved(images), np.clip(lod - level, 0, 1)
        x = x * (1 - share) + conv(images, f"FromRGB_lod{level + 1}") * share
    deviation = np.sqrt(x.var(0) + 1e-8).mean()  # of the whole batch, a group
    x = conv(np.concatenate([x, np.full_like(x[:, :1], deviation)], 1), "4x4/Conv")
    x = x.reshape(len(x), -1)
    for scope in ("4x4/Dense0", "Output"):
        weight, bias = arrays[f"{scope}/weight"], arrays[f"{scope}/bias"]
        x = x @ weight / np.sqrt(len(weight))
        x = act(x, bias) if scope == "4x4/Dense0" else x + bias
    return x[np.arange(len(x)), LABEL, np.newaxis]


def nchw(x):
    return np.moveaxis(np.asarray(x, "float64"), -1, 1)


def off(found, wanted):
    return np.abs(found - wanted).max() / max(1, np.abs(wanted).max())


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
