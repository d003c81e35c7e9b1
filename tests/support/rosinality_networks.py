"""A small StyleGAN2 in rosinality's and MMGeneration's layouts; in NumPy, from the paper."""

import numpy as np
from layouts import fill

MAPS = {4: 6, 8: 6, 16: 4, 32: 2}
STYLE, LAYERS = 5, 3
RENAMED = [  # rosinality's names as MMGeneration has them, in the order of replacement
    ("style.", "style_mapping."),
    ("input.input", "constant_input.input"),
    ("noises.noise_", "injected_noise_"),
    ("modulation.weight", "modulation.linear.weight_orig"),
    ("modulation.", "style_modulation."),
    ("noise.weight", "noise_injector.weight"),
    ("conv.weight", "conv.weight_orig"),
]


def kernel(gain):
    return np.outer([1, 3, 3, 1], [1, 3, 3, 1]).astype("float32") * np.float32(gain / 64)


def generator():
    """Arrays of rosinality's generator."""
    shapes = {"input.input": (1, MAPS[4], 4, 4)}
    for i in range(1, LAYERS + 1):
        shapes |= {f"style.{i}.weight": (STYLE, STYLE), f"style.{i}.bias": (STYLE,)}
    arrays, before = {}, MAPS[4]
    layers = [("conv1", "to_rgb1", 4)]
    for i, side in enumerate([8, 16, 32]):
        layers += [(f"convs.{2 * i}", None, side), (f"convs.{2 * i + 1}", f"to_rgbs.{i}", side)]
        arrays[f"convs.{2 * i}.conv.blur.kernel"] = kernel(4)
        arrays[f"to_rgbs.{i}.upsample.kernel"] = kernel(4)
    for i, (conv, image, side) in enumerate(layers):
        after = MAPS[side]
        shapes[f"{conv}.conv.weight"] = (1, after, before, 3, 3)
        shapes |= modulation(conv, before)
        shapes |= {f"{conv}.noise.weight": (1,), f"{conv}.activate.bias": (after,)}
        shapes[f"noises.noise_{i}"] = (1, 1, side, side)
        if image:
            shapes |= {f"{image}.conv.weight": (1, 3, after, 1, 1), f"{image}.bias": (1, 3, 1, 1)}
            shapes |= modulation(image, after)
        before = after
    found = fill(shapes)
    for name in found:
        if name.endswith("modulation.bias"):
            found[name] += 1
        elif name.startswith("style.") and name.endswith("weight"):
            found[name] *= 100
    return found | arrays


def modulation(name, maps):
    return {
        f"{name}.conv.modulation.weight": (maps, STYLE),
        f"{name}.conv.modulation.bias": (maps,),
    }


def discriminator():
    """Arrays of rosinality's discriminator."""
    shapes = {"convs.0.0.weight": (MAPS[32], 3, 1, 1), "convs.0.1.bias": (MAPS[32],)}
    kernels = {}
    for i, side in enumerate([32, 16, 8], 1):
        before, after = MAPS[side], MAPS[side // 2]
        shapes |= {f"convs.{i}.conv1.0.weight": (before, before, 3, 3)}
        shapes |= {f"convs.{i}.conv1.1.bias": (before,)}
        shapes |= {f"convs.{i}.conv2.1.weight": (after, before, 3, 3)}
        shapes |= {f"convs.{i}.conv2.2.bias": (after,)}
        shapes |= {f"convs.{i}.skip.1.weight": (after, before, 1, 1)}
        kernels |= {f"convs.{i}.{name}.0.kernel": kernel(1) for name in ("conv2", "skip")}
    maps = MAPS[4]
    shapes |= {"final_conv.0.weight": (maps, maps + 1, 3, 3), "final_conv.1.bias": (maps,)}
    shapes |= {"final_linear.0.weight": (maps, 16 * maps), "final_linear.0.bias": (maps,)}
    shapes |= {"final_linear.1.weight": (1, maps), "final_linear.1.bias": (1,)}
    return {name: 2 * x for name, x in fill(shapes).items()} | kernels


def mmgen_generator():
    found = {}
    for name, array in generator().items():
        for old, new in RENAMED:
            name = name.replace(old, new)
        if name.startswith("style_mapping"):
            name = name.replace("weight", "linear.weight_orig")
        found[name] = array
    return found


def mmgen_discriminator():
    part = {True: "linear.weight_orig", False: "conv.weight_orig"}
    return {
        name.replace("weight", part["linear" in name]): array
        for name, array in discriminator().items()
    }


# --- the networks, in NCHW


def lrelu(x, bias):
    x = x + bias.reshape(1, -1, *[1] * (x.ndim - 2))
    return 2**0.5 * np.where(x < 0, 0.2 * x, x)


def linear(x, arrays, name, scale=1.0):
    weight = arrays[f"{name}.weight"].astype("float64")
    x = x @ weight.T * (scale / np.sqrt(weight.shape[1]))
    return x + scale * arrays[f"{name}.bias"]


def correlate(x, weight):
    """Valid correlation of x [N, I, H, W] with weight [O, I, k, k]."""
    windows = np.lib.stride_tricks.sliding_window_view(x, weight.shape[2:], (2, 3))
    return np.einsum("nihwkl,oikl->nohw", windows, weight)


def convolve(x, weight):
    weight = weight.astype("float64") / np.sqrt(np.prod(weight.shape[1:]))
    p = weight.shape[2] // 2
    return correlate(np.pad(x, [(0, 0), (0, 0), (p, p), (p, p)]), weight)


def spread(x):
    """x with a zero behind each row and column."""
    out = np.zeros((*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3]))
    out[:, :, ::2, ::2] = x
    return out


def filtered(x, pad, gain):
    x = np.pad(x, [(0, 0), (0, 0), pad, pad])
    maps = x.shape[1]
    one = correlate(x.reshape(-1, 1, *x.shape[2:]), kernel(gain)[None, None].astype("float64"))
    return one.reshape(-1, maps, *one.shape[2:])


def styled(x, w, arrays, name, *, up=False, demodulated=True):
    """Each sample convolved with its own kernel, as the paper has it."""
    style = linear(w, arrays, f"{name}.conv.modulation")
    raw = arrays[f"{name}.conv.weight"][0].astype("float64")
    raw /= np.sqrt(np.prod(raw.shape[1:]))
    out = []
    for sample, s in zip(x, style):
        weight = raw * s[None, :, None, None]
        if demodulated:
            weight /= np.sqrt(np.square(weight).sum((1, 2, 3), keepdims=True) + 1e-8)
        if up:  # a transposed convolution is a correlation with the kernel turned round
            wide = np.pad(spread(sample[None])[:, :, :-1, :-1], [(0, 0), (0, 0), (2, 2), (2, 2)])
            wide = correlate(wide, weight[:, :, ::-1, ::-1])
            out.append(filtered(wide, (1, 1), 4))
        else:
            p = weight.shape[2] // 2
            wide = np.pad(sample[None], [(0, 0), (0, 0), (p, p), (p, p)])
            out.append(correlate(wide, weight))
    return np.concatenate(out)


def styles_of(z, arrays):
    w = z / np.sqrt(np.mean(z**2, 1, keepdims=True) + 1e-8)
    for i in range(1, LAYERS + 1):
        w = lrelu(linear(w, arrays, f"style.{i}", 0.01), np.zeros(1))
    return w


def images_of(w, arrays):
    x = np.repeat(arrays["input.input"], len(w), 0)
    image, noise = 0, 0
    layers = [("conv1", "to_rgb1")]
    for i in range(3):
        layers += [(f"convs.{2 * i}", None), (f"convs.{2 * i + 1}", f"to_rgbs.{i}")]
    for number, (conv, rgb) in enumerate(layers):
        x = styled(x, w, arrays, conv, up=number % 2 == 1)
        noise = arrays[f"noises.noise_{number}"]
        x = lrelu(x + arrays[f"{conv}.noise.weight"] * noise, arrays[f"{conv}.activate.bias"])
        if rgb:
            own = styled(x, w, arrays, rgb, demodulated=False) + arrays[f"{rgb}.bias"]
            image = own + (filtered(spread(image), (2, 1), 4) if number else 0)
    return image


def logits_of(x, arrays):
    x = lrelu(convolve(x, arrays["convs.0.0.weight"]), arrays["convs.0.1.bias"])
    for i in range(1, 4):
        at = f"convs.{i}"
        y = lrelu(convolve(x, arrays[f"{at}.conv1.0.weight"]), arrays[f"{at}.conv1.1.bias"])
        weight = arrays[f"{at}.conv2.1.weight"].astype("float64")
        weight /= np.sqrt(np.prod(weight.shape[1:]))
        y = lrelu(correlate(filtered(y, (2, 2), 1), weight)[:, :, ::2, ::2],
                  arrays[f"{at}.conv2.2.bias"])
        skip = convolve(filtered(x, (1, 1), 1)[:, :, ::2, ::2], arrays[f"{at}.skip.1.weight"])
        x = (y + skip) / 2**0.5
    spread_ = np.sqrt(x.var(0) + 1e-8).mean()  # three samples are one group
    x = np.concatenate([x, np.full((len(x), 1, 4, 4), spread_)], 1)
    x = lrelu(convolve(x, arrays["final_conv.0.weight"]), arrays["final_conv.1.bias"])
    x = lrelu(linear(x.reshape(len(x), -1), arrays, "final_linear.0"), np.zeros(1))
    return linear(x, arrays, "final_linear.1")
