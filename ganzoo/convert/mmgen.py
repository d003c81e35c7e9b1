"""DCGAN-like checkpoints of MMGeneration (configs dcgan, and lsgan and ggan with its networks).

Layout: `state_dict` holds `generator.` and `discriminator.` side by side. Generator: `noise2feat`,
`upsampling.<i>`, `output_layer`; discriminator: `downsamples.<i>`, `output_layer`; each is mmcv's
ConvModule, a convolution `conv` and, but for the image's and the logit's neighbours, a BatchNorm
`bn`. The layers without one have biases. All kernels are 4 x 4; the discriminator's LeakyReLUs have
PyTorch's slope 0.01. Trained on BGR images (`to_rgb=False`): channels are turned round here, once.
Which loss the networks were trained with the content does not tell. Left out: the networks of
lsgan-archi (strides padded in another way than in the official LSGAN) and of wgan-gp (those of
ProGAN's paper).
The official code is https://github.com/open-mmlab/mmgeneration (Apache-2.0).
"""

import re

from ganzoo.convert.table import (
    Recognised,
    Rule,
    batch_norm,
    conv2d,
    down_stack_sizes,
    layer,
    up_stack_sizes,
)

FAMILIES = {
    "dcgan": {},
    "lsgan": {"networks": "dcgan", "kernel_size": 4, "prior": "normal"},
}
SHARED = {"use_bias": True, "leak": 0.01}
LAYERS = {"generator": "upsampling", "discriminator": "downsamples"}


def recognise(arrays) -> list[Recognised] | None:
    """What the arrays are (a list of `Recognised`), or `None` for those of another source."""
    layers = r"(noise2feat|output_layer|upsampling\.\d+|downsamples\.\d+)"
    pattern = rf"(generator|discriminator)\.{layers}\.(conv|bn)\.\w+"
    if not arrays or not all(re.fullmatch(pattern, name) for name in arrays):
        return None
    found = []
    for network, infer, table in (
        ("generator", _generator_config, _generator_table),
        ("discriminator", _discriminator_config, _discriminator_table),
    ):
        own = _share(arrays, network)
        if not own:
            continue
        config = infer(own)
        if config is None:
            return None
        found += [
            Recognised(
                family, network, {**config, **SHARED, **more}, table(_count(own, network)),
                _prepare(network),
            )
            for family, more in FAMILIES.items()
        ]
    return found


def _share(arrays, network):
    """The network's arrays, without its prefix."""
    prefix = f"{network}."
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def _prepare(network):
    return lambda arrays: _share(arrays, network)


def _count(own, network):
    pattern = rf"{LAYERS[network]}\.\d+\.conv\.weight"
    return sum(re.fullmatch(pattern, name) is not None for name in own)


def _generator_config(own):
    names = ["noise2feat", *(f"upsampling.{i}" for i in range(_count(own, "generator")))]
    return up_stack_sizes(_shapes(own, [*names, "output_layer"]))


def _discriminator_config(own):
    names = [f"downsamples.{i}" for i in range(_count(own, "discriminator"))]
    sizes = down_stack_sizes(_shapes(own, [*names, "output_layer"]))
    return sizes and {**sizes, "discriminator_width": sizes["width"]}


def _shapes(own, names):
    return [own[f"{name}.conv.weight"].shape for name in names if f"{name}.conv.weight" in own]


def _generator_table(count):
    rules = [Rule(r"noise2feat\.conv\.weight", "up0/kernel", conv2d)]
    rules += batch_norm("noise2feat.bn", "norm0")
    for i in range(count):
        name = f"upsampling.{i}"
        rules.append(Rule(rf"upsampling\.{i}\.conv\.weight", f"up{i + 1}/kernel", conv2d))
        rules += batch_norm(f"{name}.bn", f"norm{i + 1}")
    return rules + layer("output_layer.conv", f"up{count + 1}", _bgr_kernel, bias=_bgr)


def _discriminator_table(count):
    rules = layer("downsamples.0.conv", "down0", _bgr_kernel)
    for i in range(1, count):
        rules.append(Rule(rf"downsamples\.{i}\.conv\.weight", f"down{i}/kernel", conv2d))
        rules += batch_norm(f"downsamples.{i}.bn", f"norm{i}")
    return rules + layer("output_layer.conv", "logit", conv2d)


def _bgr_kernel(x):
    """The kernel next to the image, whose channels are its second axis in both directions."""
    return conv2d(x[:, ::-1])


def _bgr(x):
    return x[::-1]
