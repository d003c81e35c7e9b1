"""The eyes of OmniArt (PyPI `omniart_eye_generator`), a conditional DCGAN of 128 pixels, as data.

Layout: pytorch/examples' `nn.Sequential` named `main`, with a Dropout (0.2) behind the first ReLU,
so that all later numbers are one higher: ConvTranspose2ds `0`, `4`, `7`, ..., BatchNorms `1`, `5`,
`8`, ... The first takes 100 latents and a one-hot label of the eye's colour: amber, blue, brown,
gray, grayscale, green, hazel, red.
The official code is http://github.com/rogierknoester/omniart_eye_generator (MIT).
"""

import re

from ganzoo.convert.table import Recognised, Rule, batch_norm, conv2d, up_stack_sizes

CLASSES = 8
DROPOUT = 0.2


def recognise(arrays) -> Recognised | None:
    """What the arrays are, or `None` for those of another source."""
    matches = [re.fullmatch(r"main\.(\d+)\.\w+", name) for name in arrays]
    if not matches or None in matches:
        return None
    kernels = sorted({int(m[1]) for m in matches if arrays[m[0]].ndim == 4})
    if kernels[:1] != [0] or kernels[1:] != list(range(4, 3 * len(kernels), 3)):
        return None
    if any(f"main.{i}.weight" not in arrays for i in kernels):
        return None
    sizes = up_stack_sizes([arrays[f"main.{i}.weight"].shape for i in kernels])
    if sizes is None or sizes["latent_dim"] <= CLASSES:
        return None
    config = {
        **sizes,
        "latent_dim": sizes["latent_dim"] - CLASSES,
        "num_classes": CLASSES,
        "networks": "dcgan",
        "kernel_size": 4,
        "dropout": DROPOUT,
    }
    return Recognised("cgan", "generator", config, _table(kernels))


def _table(kernels):
    rules = [
        Rule(rf"main\.{number}\.weight", f"up{i}/kernel", conv2d)
        for i, number in enumerate(kernels)
    ]
    norms = enumerate(kernels[:-1])
    return rules + [
        rule for i, number in norms for rule in batch_norm(f"main.{number + 1}", f"norm{i}")
    ]
