"""The DCGAN paper's own checkpoints (Newmu/dcgan_code, Theano), as data.

Layout: joblib's folder of one `.npy` per array, `<epoch>_gen_params.jl_01.npy` onwards. Generator:
the dense layer's kernel [latents, maps * 4 * 4], gain and bias of its batch normalisation (one per
unit), then kernel [in, out, 5, 5], gain and bias of each transposed convolution, the last without
gain and bias. Discriminator: a kernel [out, in, 5, 5] without normalisation, then kernel, gain and
bias of each convolution, then the kernel [maps * 4 * 4, 1] of the logit. Nothing has biases of its
own. Theano's convolutions turn their kernels round; epsilon is 1e-8.

The files hold no running statistics, for the official code always normalises with the batch's
(and estimates fixed ones for its classifier, `svhn_semisup_analysis.py`). Here they are estimated
at conversion: the generator's from `SAMPLES` latents N(0, 1), the discriminator's from the images
of those, so that it judges fakes as in training. A discriminator without its generator is left
alone. Of the published models this is the one for house numbers; the one for ImageNet has layers of
stride 1, which `DCGAN` has not.
The official code is https://github.com/Newmu/dcgan_code (MIT).
"""

import functools
import re

import numpy as np

from ganzoo.convert.table import Recognised, Rule, dense_to_nhwc

SAMPLES, SEED = 1000, 0  # of the estimated statistics
MAX_BLOCKS = 4  # 64 pixels, the official code's largest; more would need much memory to estimate
SIDE = 4  # of the dense layer's maps
KERNEL = 5
PADDING = 2
EPSILON = 1e-8


def recognise(arrays) -> list[Recognised] | None:
    """What the arrays are (a list of `Recognised`), or `None` for those of another source."""
    generator = _numbered(arrays, "gen")
    discriminator = _numbered(arrays, "discrim")
    if len(generator) + len(discriminator) != len(arrays) or not _is_generator(generator):
        return None
    width, channels = generator[-1].shape[:2]
    blocks = len(generator) // 3
    config = {
        "image_size": SIDE * 2**blocks,
        "latent_dim": generator[0].shape[0],
        "width": width,
        "channels": channels,
        "variant": "dcgan_code",
        "prior": "normal",
    }
    run = functools.cache(lambda: _run_generator(generator))  # seconds of work, for both networks
    table = _generator_table(blocks, width)
    found = [Recognised("dcgan", "generator", config, table, lambda _: run()[0])]
    if discriminator:
        if not _is_discriminator(discriminator, blocks, channels):
            return None
        config = {"discriminator_width": discriminator[0].shape[0]}
        table = _discriminator_table(blocks, config["discriminator_width"])
        prepare = functools.partial(_judge, discriminator, generator, run)
        found.append(Recognised("dcgan", "discriminator", config, table, prepare))
    return found


# Layout


def _numbered(arrays, player):
    """The player's arrays in order; empty if a number is missing."""
    found = {}
    for name, array in arrays.items():
        match = re.fullmatch(rf"\w*{player}_params\.jl_(\d+)", name)
        if match:
            found[int(match[1])] = array
    return [found[i] for i in sorted(found)] if sorted(found) == [*range(1, len(found) + 1)] else []


def _is_generator(arrays):
    """Whether the arrays are dense, gain, bias, then (kernel, gain, bias)s, then a kernel."""
    blocks = len(arrays) // 3
    if len(arrays) != 3 * blocks + 1 or not 1 <= blocks <= MAX_BLOCKS or arrays[-1].ndim != 4:
        return False
    width, channels = arrays[-1].shape[:2]
    maps = [width * 2**i for i in reversed(range(blocks))]
    units = maps[0] * SIDE**2
    expected = [(arrays[0].shape[0], units), (units,), (units,)]
    for before, after in zip(maps, maps[1:]):
        expected += [(before, after, KERNEL, KERNEL), (after,), (after,)]
    expected.append((width, channels, KERNEL, KERNEL))
    return [array.shape for array in arrays] == expected


def _is_discriminator(arrays, blocks, channels):
    """Whether the arrays are a kernel, then (kernel, gain, bias)s, then the logit's."""
    width = arrays[0].shape[0]
    expected = [(width, channels, KERNEL, KERNEL)]
    for i in range(1, blocks):
        maps = width * 2**i
        expected += [(maps, maps // 2, KERNEL, KERNEL), (maps,), (maps,)]
    expected.append((width * 2 ** (blocks - 1) * SIDE**2, 1))
    return [array.shape for array in arrays] == expected


# Tables, about the names that `_named` gives


def _generator_table(blocks, width):
    per_unit = dense_to_nhwc(width * 2 ** (blocks - 1), SIDE, SIDE)
    rules = [Rule("kernel0", "up0/kernel", _dense_to_image)]
    rules += _norm(0, per_unit)
    for i in range(1, blocks):
        rules += [Rule(f"kernel{i}", f"up{i}/kernel", _turned), *_norm(i)]
    return [*rules, Rule(f"kernel{blocks}", f"up{blocks}/kernel", _turned)]


def _discriminator_table(blocks, width):
    rules = [Rule("kernel0", "down0/kernel", _turned)]
    for i in range(1, blocks):
        rules += [Rule(f"kernel{i}", f"down{i}/kernel", _turned), *_norm(i)]
    return [*rules, Rule(f"kernel{blocks}", "logit/kernel", _image_to_dense)]


def _norm(i, transform=np.asarray):
    parts = ("gamma", "beta", "moving_mean", "moving_variance")
    return [Rule(f"{part}{i}", f"norm{i}/{part}", transform) for part in parts]


def _turned(x):
    """[a, b, h, w] of a convolution that turns its kernel round, to [h, w, b, a]."""
    return x[:, :, ::-1, ::-1].transpose(2, 3, 1, 0)


def _dense_to_image(x):
    """[latents, C * H * W] to [H, W, C, latents]."""
    return x.reshape(len(x), -1, SIDE, SIDE).transpose(2, 3, 1, 0)


def _image_to_dense(x):
    """[C * H * W, 1] to [H, W, C, 1]."""
    return x.reshape(-1, SIDE, SIDE, 1).transpose(1, 2, 0, 3)


# Running statistics


def _run_generator(arrays):
    """({name: array} of a generator with statistics, maps [B, H, W, C] before its last layer)."""
    kernels, named = _named(arrays, normed=range(len(arrays) // 3))
    z = np.random.RandomState(SEED).randn(SAMPLES, len(kernels[0])).astype("float32")
    x = np.maximum(_normalise(z @ kernels[0], named, 0), 0)
    x = x.reshape(SAMPLES, -1, SIDE, SIDE).transpose(0, 2, 3, 1)
    for i, kernel in enumerate(kernels[1:-1], start=1):
        x = np.maximum(_normalise(_up(x, kernel), named, i), 0)
    return named, x


def _judge(arrays, generator, run, _):
    """{name: array} of a discriminator, with statistics of the generator's images."""
    kernels, named = _named(arrays, normed=range(1, len(arrays) // 3 + 1))
    images = np.tanh(_up(run()[1], generator[-1]))
    x = _down(images, kernels[0])
    for i, kernel in enumerate(kernels[1:-1], start=1):
        x = _normalise(_down(np.maximum(x, 0.2 * x), kernel), named, i)
    return named


def _named(arrays, normed):
    """(kernels, {name: array}) of arrays in the files' order; `normed` kernels have gain, bias."""
    rest, kernels, named = iter(arrays), [], {}
    for i, kernel in enumerate(rest):
        kernels.append(kernel)
        named[f"kernel{i}"] = kernel
        if i in normed:
            named |= {f"gamma{i}": next(rest), f"beta{i}": next(rest)}
    return kernels, named


def _normalise(x, named, i):
    """Batch normalisation of [..., C], whose statistics are added to `named`."""
    axes = tuple(range(x.ndim - 1))
    mean = x.mean(axes, dtype="float64").astype("float32")
    variance = np.square(x - mean).mean(axes, dtype="float64").astype("float32")
    named |= {f"moving_mean{i}": mean, f"moving_variance{i}": variance}
    return (x - mean) / np.sqrt(variance + EPSILON) * named[f"gamma{i}"] + named[f"beta{i}"]


def _up(x, kernel):
    """Transposed convolution of stride 2: [B, H, W, C] to [B, 2 H, 2 W, D]."""
    taps = _taps(kernel)
    count, height, width, depth = x.shape
    sides = (2 * height + KERNEL - 2, 2 * width + KERNEL - 2)
    y = np.zeros((count, *sides, kernel.shape[1]), "float32")
    x = x.reshape(-1, depth)  # one large matrix product is far quicker than many small ones
    for (a, b), tap in taps.items():
        pixels = (x @ tap).reshape(count, height, width, -1)
        y[:, a : a + 2 * height : 2, b : b + 2 * width : 2] += pixels
    return y[:, PADDING : PADDING + 2 * height, PADDING : PADDING + 2 * width]


def _down(x, kernel):
    """Convolution of stride 2: [B, 2 H, 2 W, C] to [B, H, W, D]."""
    taps = _taps(kernel.transpose(1, 0, 2, 3))
    count, height, width, depth = len(x), x.shape[1] // 2, x.shape[2] // 2, x.shape[3]
    x = np.pad(x, ((0, 0), (PADDING, PADDING), (PADDING, PADDING), (0, 0)))
    y = np.zeros((count * height * width, len(kernel)), "float32")
    for (a, b), tap in taps.items():
        y += x[:, a : a + 2 * height : 2, b : b + 2 * width : 2].reshape(-1, depth) @ tap
    return y.reshape(count, height, width, -1)


def _taps(kernel):
    """{(row, column): [C, D]} of [C, D, h, w], turned round."""
    kernel = np.ascontiguousarray(kernel[:, :, ::-1, ::-1].transpose(2, 3, 0, 1))
    return {(a, b): kernel[a, b] for a in range(KERNEL) for b in range(KERNEL)}
