"""Small StyleGAN2 networks in the layout of the official TensorFlow code, and their operations in
NumPy, NCHW as there.
"""

import numpy as np

from ganzoo.checkpoints.reader import META

SIZE, LATENT, STYLE, LABELS = 16, 5, 7, 3
MAPS = {2: 20, 4: 20, 8: 12, 16: 6}  # 48 / (side / 2), at most 20; of 2 x 2: the dense layer
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


def mapping_arrays():
    """Arrays of a mapping of two layers, labels concatenated."""
    random = RANDOM(7)
    return scopes(
        Dense0=layer((2 * LATENT, 6), seed=1), Dense1=layer((6, STYLE), seed=2),
        LabelConcat={"weight": random.randn(LABELS, LATENT).astype("float32")},
    )


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
    """Convolved: the filter is turned round."""
    kernel = np.outer(taps, taps)[::-1, ::-1] / np.sum(taps) ** 2 * gain
    count = x.shape[1]
    flat = pad(x, before, after).reshape(-1, 1, *(np.array(x.shape[2:]) + before + after))
    y = correlate(flat, kernel[:, :, np.newaxis, np.newaxis])
    return y.reshape(-1, count, *y.shape[2:])


def upsampled_conv(x, weight, taps):
    """Zeros between the pixels, the convolution, the filter."""
    reach = weight.shape[-3] - 1
    wide = pad(spread(x)[:, :, :-1, :-1], reach, reach)
    p = len(taps) - 2 - reach
    return fir(correlate(wide, weight), taps, (p + 1) // 2 + 1, p // 2 + 1, gain=4.0)


def spread(x):
    """A zero behind each row and column."""
    wide = np.zeros((*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3]))
    wide[:, :, ::2, ::2] = x
    return wide


def downsampled_conv(x, weight, taps):
    p = len(taps) - 2 + weight.shape[0] - 1
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


def equalized_conv(x, arrays, scope, *, taps=None):
    """Convolution, halving where there are taps; no bias."""
    weight = arrays[f"{scope}/weight"].astype("float64")
    weight = weight / np.sqrt(np.prod(weight.shape[:3]))
    p = weight.shape[0] // 2
    return correlate(pad(x, p, p), weight) if taps is None else downsampled_conv(x, weight, taps)


def finished(x, arrays, scope, noise):
    """Noise, bias and activation of a layer of the synthesis."""
    return act(x + noise * arrays[f"{scope}/noise_strength"], arrays[f"{scope}/bias"])


def to_rgb(x, arrays, scope, w):
    x = modulated(x, arrays, scope, w, demodulate=False)
    return x + arrays[f"{scope}/bias"].reshape(1, -1, 1, 1)


def scores_of_maps(x, arrays):
    """From maps of 4 x 4: the deviation of the whole batch, the last layers, the label's score."""
    deviation = np.sqrt(x.var(0) + 1e-8).mean()
    x = np.concatenate([x, np.full_like(x[:, :1], deviation)], 1)
    x = act(equalized_conv(x, arrays, "4x4/Conv"), arrays["4x4/Conv/bias"])
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
