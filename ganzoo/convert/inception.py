"""FID's Inception weights in the layout of the torch ports, for `ganzoo.metrics.inception`.

Layout of `pt_inception-2015-12-05-6726825d.pth` (mseitzer/pytorch-fid, release `fid_weights`; the
same file is `weights-inception-2015-12-05-6726825d.pth` of toshas/torch-fidelity): a state dict of
566 arrays with torchvision's names, `<block>.<branch>.conv.weight` and `<block>.<branch>.bn.*`, and
`fc.weight`, `fc.bias` of 1008 classes. The weights are Apache-2.0.

The network has no normalisations: `fold` makes each part of its convolution.
"""

import numpy as np

from ganzoo.convert.table import Rule, assign, conv2d, dense

EPSILON = 1e-3  # of TensorFlow's graph; torch's default 1e-5 would move features by more than 1
STATISTICS = ("weight", "bias", "running_mean", "running_var")
TABLE = [
    Rule(r"(Conv2d_\w+)\.weight", r"\1/kernel", conv2d),
    Rule(r"(Conv2d_\w+)\.bias", r"\1/bias"),
    Rule(r"(Mixed_\w+)\.(\w+)\.weight", r"\1_\2/kernel", conv2d),
    Rule(r"(Mixed_\w+)\.(\w+)\.bias", r"\1_\2/bias"),
    Rule(r"fc\.weight", "logits/kernel", dense),
    Rule(r"fc\.bias", "logits/bias"),
]


def fold(arrays) -> dict[str, np.ndarray]:
    """The arrays with every normalisation made part of its convolution.

    w' = w * s, b' = beta - mean * s, with s = gamma / sqrt(variance + 1e-3), in float64.

    Args: arrays: mapping from foreign name to array.
    Returns: dict: float32 `<layer>.weight` and `<layer>.bias` in place of `<layer>.conv.weight` and
        `<layer>.bn.*`; all else as it is.
    Raises: ValueError: if a convolution lacks its normalisation.
    """
    layers = [name.removesuffix(".conv.weight") for name in arrays if name.endswith(".conv.weight")]
    parts = [f"{layer}.bn.{part}" for layer in layers for part in STATISTICS]
    missing = [name for name in parts if name not in arrays]
    if missing:
        raise ValueError(
            "Expected a normalisation for each convolution of an Inception network. "
            f"Received: {len(layers)} convolutions without {missing[:10]}"
        )
    folded = {}
    for layer in layers:
        gain, shift, mean, variance = (
            np.asarray(arrays[f"{layer}.bn.{part}"], "f8") for part in STATISTICS
        )
        scale = gain / np.sqrt(variance + EPSILON)
        kernel = np.asarray(arrays[f"{layer}.conv.weight"], "f8") * scale[:, None, None, None]
        folded[f"{layer}.weight"] = kernel.astype("f4")
        folded[f"{layer}.bias"] = (shift - mean * scale).astype("f4")
    counters = [f"{layer}.bn.num_batches_tracked" for layer in layers]
    used = {*parts, *counters, *(f"{layer}.conv.weight" for layer in layers)}
    return folded | {name: array for name, array in arrays.items() if name not in used}


def fill(network, arrays) -> None:
    """Fills a network of `ganzoo.metrics.inception`: all of it or nothing.

    Args:
        network: `inception(...)` with all its outputs.
        arrays: mapping from foreign name to array, of a state dict of the torch ports.
    Raises: ValueError: listing what does not fit, with names and shapes.
    """
    assign(network, fold(arrays), TABLE)
