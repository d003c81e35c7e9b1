"""DCGAN checkpoints of pytorch/examples (`netG_epoch_*.pth`, `netD_epoch_*.pth`), as data.

Layout: one `nn.Sequential` named `main` (`model` in huggan/dcgan-*, generators alone). Generator:
`main.{3i}` is a ConvTranspose2d, `main.{3i+1}` its BatchNorm, none behind the last. Discriminator:
`main.0` is a Conv2d without a BatchNorm, `main.{3i-1}` and `main.{3i}` are the i-th Conv2d and its
BatchNorm, the last Conv2d makes the logit.
The official code is https://github.com/pytorch/examples/tree/main/dcgan (BSD-3-Clause).

`blocks` counts the layers with stride 2: 4 for 64 pixels. Other sizes follow the same pattern.
"""

import re

from ganzoo.convert.table import Recognised, Rule, batch_norm, conv2d


def generator_table(blocks) -> list[Rule]:
    """Rows of a generator.

    Args: blocks: int > 0. Layers that double the size, 4 for 64 pixels.
    Returns: list of `Rule`.
    """
    kernels = [Rule(rf"main\.{3 * i}\.weight", f"up{i}/kernel", conv2d) for i in range(blocks + 1)]
    norms = [rule for i in range(blocks) for rule in batch_norm(f"main.{3 * i + 1}", f"norm{i}")]
    return kernels + norms


def discriminator_table(blocks) -> list[Rule]:
    """Rows of a discriminator.

    Args: blocks: int > 0. Layers that halve the size, 4 for 64 pixels.
    Returns: list of `Rule`.
    """
    first = Rule(r"main\.0\.weight", "down0/kernel", conv2d)
    last = Rule(rf"main\.{3 * blocks - 1}\.weight", "logit/kernel", conv2d)
    kernels = [
        Rule(rf"main\.{3 * i - 1}\.weight", f"down{i}/kernel", conv2d) for i in range(1, blocks)
    ]
    norms = [rule for i in range(1, blocks) for rule in batch_norm(f"main.{3 * i}", f"norm{i}")]
    return [first, *kernels, last, *norms]


def recognise(arrays) -> Recognised | None:
    """What the arrays are, or `None` for those of another source.

    Only kernels of side 4 are taken, as pytorch/examples has them: `DCGAN` then pads alike.
    """
    renamed = "model.0.weight" in arrays
    arrays = _as_main(arrays)
    if not all(re.fullmatch(r"main\.\d+\.\w+", name) for name in arrays):
        return None
    for network, guess, table in (
        ("generator", infer, generator_table),
        ("discriminator", infer_discriminator, discriminator_table),
    ):
        try:
            config = guess(arrays)
        except ValueError:
            continue
        # pix2pix's discriminators have the names `model`, and the shapes, but other strides
        patches = renamed and network == "discriminator"
        if patches or config.pop("kernel_size") != 4:
            return None
        rules = table(_blocks(config["image_size"]))
        return Recognised("dcgan", network, config, rules, _as_main)
    return None


def _as_main(arrays):
    """The arrays with huggan's `model` renamed."""
    return {re.sub(r"^model\.", "main.", name): array for name, array in arrays.items()}


def infer(arrays) -> dict[str, int]:
    """The configuration that the shapes of a generator's arrays imply.

    Args: arrays: mapping from foreign name to array, of a generator.
    Returns: dict with image_size, latent_dim, width, channels and kernel_size; `width` is the
        number of channels before the image, which each earlier layer doubles.
    Raises: ValueError: if the arrays are not those of such a generator.
    """
    kernels = _kernels(arrays)
    shapes = [kernels[i] for i in sorted(kernels)]  # [in, out, height, width]
    _check_generator(kernels, shapes)
    blocks = len(shapes) - 1
    return {
        "image_size": shapes[0][2] * 2**blocks,
        "latent_dim": shapes[0][0],
        "width": shapes[-1][0],
        "channels": shapes[-1][1],
        "kernel_size": shapes[-1][2],
    }


def infer_discriminator(arrays) -> dict[str, int]:
    """The configuration that the shapes of a discriminator's arrays imply.

    Args: arrays: mapping from foreign name to array, of a discriminator.
    Returns: dict with image_size, width, discriminator_width, channels and kernel_size; both
        widths are the number of channels behind the first layer, which each later layer doubles.
    Raises: ValueError: if the arrays are not those of such a discriminator.
    """
    kernels = _kernels(arrays)
    shapes = [kernels[i] for i in sorted(kernels)]  # [out, in, height, width]
    _check_discriminator(kernels, shapes)
    width = shapes[0][0]
    return {
        "image_size": shapes[-1][2] * 2 ** (len(shapes) - 1),
        "width": width,
        "discriminator_width": width,
        "channels": shapes[0][1],
        "kernel_size": shapes[0][2],
    }


def _kernels(arrays):
    """{number in the `nn.Sequential`: shape} of the convolutions."""
    kernels = {}
    for name, array in arrays.items():
        match = re.fullmatch(r"main\.(\d+)\.weight", name)
        if match and array.ndim == 4:
            kernels[int(match[1])] = array.shape
    return kernels


def _blocks(image_size):
    """Layers with stride 2 between the image and a map with a side of 4 to 7."""
    return (image_size // 4).bit_length() - 1


def _check_generator(kernels, shapes):
    blocks = len(shapes) - 1
    sound = blocks > 0 and sorted(kernels) == [3 * i for i in range(blocks + 1)]
    if sound:
        width, size = shapes[-1][0], shapes[-1][2]
        inputs = [shape[0] for shape in shapes[1:]]
        outputs = [shape[1] for shape in shapes[:-1]]
        expected = [width * 2 ** (blocks - 1 - i) for i in range(blocks)]
        sizes = {shape[2:] for shape in shapes[1:]}
        first = shapes[0][2:]
        square = first[0] == first[1] and 4 <= first[0] <= 7 and sizes == {(size, size)}
        sound = inputs == outputs == expected and square
    if not sound:
        raise ValueError(
            "Expected the kernels `main.0.weight`, `main.3.weight`, ... of a generator whose "
            "widths halve from layer to layer, the first kernel square with side 4 to 7, the "
            "others square and alike. "
            f"Received: kernel shapes={kernels}. A discriminator's state has other indices."
        )


def _check_discriminator(kernels, shapes):
    blocks = len(shapes) - 1
    sound = blocks > 0 and sorted(kernels) == [0, *(3 * i - 1 for i in range(1, blocks + 1))]
    if sound:
        width, size = shapes[0][0], shapes[0][2]
        outputs = [shape[0] for shape in shapes]
        inputs = [shape[1] for shape in shapes[1:]]
        expected = [width * 2**i for i in range(blocks)]
        sizes = {shape[2:] for shape in shapes[:-1]}
        last = shapes[-1][2:]
        square = last[0] == last[1] and 4 <= last[0] <= 7 and sizes == {(size, size)}
        sound = outputs == [*expected, 1] and inputs == expected and square
    if not sound:
        raise ValueError(
            "Expected the kernels `main.0.weight`, `main.2.weight`, `main.5.weight`, ... of a "
            "discriminator whose widths double from layer to layer, the last kernel square with "
            "side 4 to 7 and one output, the others square and alike. "
            f"Received: kernel shapes={kernels}. A generator's state has other indices."
        )
