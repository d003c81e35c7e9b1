"""Which frequencies StyleGAN3's maps hold, and how many samples and maps they have.

Paper: arXiv:2106.12423, section 3.2, figure 4 and appendix F.
"""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Band:
    """A square map as a sampled signal.

    Args:
        size: int > 0. Samples along a side, with those in the margin around the image.
        rate: int > 0. Samples along the side of the image itself.
        cutoff: float > 0. Highest frequency that is meant to be there, in periods per image.
        half_width: float > 0. From the cutoff to where nothing is left.
    """

    size: int
    rate: int
    cutoff: float
    half_width: float


def layer_bands(
    image_size,
    *,
    num_layers=14,
    num_critical=2,
    first_cutoff=2.0,
    first_stopband=2**2.1,
    last_stopband_ratio=2**0.3,
    margin=10,
) -> list[Band]:
    """The signal behind each layer: cutoffs and stopbands grow geometrically.

    Args:
        image_size: int, a power of two.
        num_layers: int > `num_critical`. Layers before the image's own.
        num_critical: int >= 0. Last layers that use the whole band of the image.
        first_cutoff, first_stopband: float > 0. Of the first layer, in periods per image.
        last_stopband_ratio: float >= 1. Of the last stopband to the last cutoff.
        margin: int >= 0. Samples around the image on each side.
    Returns: list of `Band`, num_layers + 1 of them; the last is the image's.
    Reference: arXiv:2106.12423, section 3.2, figure 4 and appendix F.
    """
    share = np.minimum(np.arange(num_layers + 1) / (num_layers - num_critical), 1)
    last_cutoff = image_size / 2
    cutoffs = first_cutoff * (last_cutoff / first_cutoff) ** share
    stopbands = first_stopband * (last_cutoff * last_stopband_ratio / first_stopband) ** share
    rates = np.exp2(np.ceil(np.log2(np.minimum(2 * stopbands, image_size))))
    half_widths = np.maximum(stopbands, rates / 2) - cutoffs
    sizes = rates + 2 * margin
    sizes[-2:] = image_size
    return [
        Band(int(size), int(rate), float(cutoff), float(half_width))
        for size, rate, cutoff, half_width in zip(
            sizes, rates, cutoffs, half_widths, strict=True
        )
    ]


def layer_widths(bands, channel_base, channel_max, channels) -> list[int]:
    """Maps behind each layer: channel_base / 2 / cutoff, at most `channel_max`."""
    widths = [int(np.rint(min(channel_base / 2 / b.cutoff, channel_max))) for b in bands]
    return [*widths[:-1], channels]
