"""WGAN-GP checkpoints of mimicry (`WGANGPGenerator32`, `WGANGPDiscriminator32`, ...), as data.

Layout: the generator has a Linear `l1`, whose output is viewed as NCHW, residual blocks `block2`
onwards (convolutions `c1`, `c2`, BatchNorms `b1`, `b2`, 1x1 shortcut `c_sc`), then a BatchNorm
`b<n>` and the image's Conv2d `c<n>`. The discriminator has residual blocks `block1` onwards, some
without a shortcut, then a Linear `l<n>`; no normalisation. Files wrap the arrays in
`model_state_dict`. The official code is https://github.com/kwotsin/mimicry (MIT).
"""

import math
import re

from ganzoo.convert.table import (
    Recognised,
    Rule,
    batch_norm,
    conv2d,
    dense,
    dense_to_nhwc,
    layer,
)

PICK = "model_state_dict"
SIZES = (32, 48, 64, 128)  # of mimicry's classes
CRITIC_SIZES = {4: 32, 5: 64, 6: 128}  # by number of blocks; those of 48 and 64 pixels look alike


def generator_table(arrays) -> list[Rule]:
    """Rows of a generator.

    Args: arrays: mapping from foreign name to array; tells the number of blocks and the size of
        the first image, on which the transform of `l1` depends.
    Returns: list of `Rule`.
    Raises: ValueError: if the arrays are not those of such a generator.
    """
    blocks, channels, size = _stem(arrays)
    to_nhwc = dense_to_nhwc(channels, size, size)
    rules = layer("l1", "stem", to_nhwc, bias=to_nhwc)
    for k in range(blocks):
        theirs, ours = f"block{k + 2}", f"block{k}"
        rules += _convolutions(theirs, ours)
        rules += batch_norm(f"{theirs}.b1", f"{ours}_norm1")
        rules += batch_norm(f"{theirs}.b2", f"{ours}_norm2")
    last = blocks + 2
    return rules + batch_norm(f"b{last}", "norm") + layer(f"c{last}", "image", conv2d)


def discriminator_table(arrays) -> list[Rule]:
    """Rows of a discriminator.

    Args: arrays: mapping from foreign name to array; tells the number of blocks.
    Returns: list of `Rule`.
    Raises: ValueError: if the arrays are not those of such a discriminator.
    """
    numbers = _blocks(arrays)
    if not numbers or numbers != list(range(1, len(numbers) + 1)):
        raise ValueError(
            "Expected the arrays of a mimicry discriminator, blocks `block1`, `block2`, ... "
            f"Received: block numbers={numbers}. Read the file with pick={PICK!r}."
        )
    rules = []
    for k in range(len(numbers)):
        rules += _convolutions(f"block{k + 1}", f"block{k}")
    return rules + layer(f"l{len(numbers) + 1}", "logit", dense)


def recognise(arrays) -> Recognised | None:
    """What the arrays are, or `None` for those of another source.

    mimicry's critics of 48 and 64 pixels have the same shapes; a file with nothing else is taken
    for the latter. Its SNGAN generators have these networks too; there the layout says no more.
    """
    for network, guess, table in (
        ("generator", infer, generator_table),
        ("discriminator", infer_discriminator, discriminator_table),
    ):
        try:
            config = guess(arrays)
        except ValueError:
            continue
        if config["image_size"] not in SIZES:
            return None
        return Recognised("wgangp", network, {"networks": "mimicry", **config}, table(arrays))
    return None


def infer(arrays) -> dict[str, int]:
    """The configuration that the shapes of a generator's arrays imply.

    Args: arrays: mapping from foreign name to array, of a generator.
    Returns: dict with image_size, latent_dim, width and channels; `width` is the number of
        channels of the first image.
    Raises: ValueError: if the arrays are not those of such a generator.
    """
    blocks, channels, size = _stem(arrays)
    return {
        "image_size": size * 2**blocks,
        "latent_dim": arrays["l1.weight"].shape[1],
        "width": channels,
        "channels": arrays[f"c{blocks + 2}.weight"].shape[0],
    }


def infer_discriminator(arrays) -> dict[str, int]:
    """The configuration that the shapes of a discriminator's arrays imply.

    Args: arrays: mapping from foreign name to array, of a discriminator.
    Returns: dict with image_size, width, critic_width and channels; both widths are the number of
        inputs of the last layer.
    Raises: ValueError: if the arrays are not those of such a discriminator.
    """
    numbers = _blocks(arrays)
    last = f"l{len(numbers) + 1}.weight"
    spectral = [name for name in arrays if name.endswith(("_sigma", "_u", "_orig"))]
    sound = numbers == list(range(1, len(numbers) + 1)) and len(numbers) in CRITIC_SIZES
    if not sound or last not in arrays or spectral:
        raise ValueError(
            "Expected the arrays of a mimicry discriminator without spectral normalisation, with "
            f"{tuple(CRITIC_SIZES)} blocks `block1`, `block2`, ... and a last `{last}`. "
            f"Received: block numbers={numbers}, spectral={spectral[:3]}"
        )
    width = arrays[last].shape[1]
    return {
        "image_size": CRITIC_SIZES[len(numbers)],
        "width": width,
        "critic_width": width,
        "channels": arrays["block1.c1.weight"].shape[1],
    }


def _convolutions(theirs, ours):
    return [
        *layer(f"{theirs}.c1", f"{ours}_conv1", conv2d),
        *layer(f"{theirs}.c2", f"{ours}_conv2", conv2d),
        *layer(f"{theirs}.c_sc", f"{ours}_shortcut", conv2d),
    ]


def _blocks(arrays):
    matches = (re.fullmatch(r"block(\d+)\.c1\.weight", name) for name in arrays)
    return sorted(int(match[1]) for match in matches if match)


def _stem(arrays):
    """Number of blocks, channels of the first image and its side."""
    numbers = _blocks(arrays)
    last = len(numbers) + 2
    needed = ["l1.weight", "block2.c1.weight", f"c{last}.weight"]
    needed += ["block2.b1.weight", f"b{last}.weight"]  # a conditional normalisation has others
    missing = [name for name in needed if name not in arrays]
    if missing or numbers != list(range(2, len(numbers) + 2)):
        raise ValueError(
            "Expected the arrays of a mimicry generator, with blocks `block2`, `block3`, ... "
            f"Received: block numbers={numbers}, missing={missing}. "
            f"Read the file with pick={PICK!r}."
        )
    channels = arrays["block2.c1.weight"].shape[1]
    outputs = arrays["l1.weight"].shape[0]
    size = math.isqrt(outputs // channels)
    if size * size * channels != outputs:
        raise ValueError(
            "Expected `l1` to make a square image with as many channels as `block2` takes. "
            f"Received: outputs of l1={outputs}, channels={channels}"
        )
    return len(numbers), channels, size
