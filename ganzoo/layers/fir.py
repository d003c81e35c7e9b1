"""Resampling of images by FIR filters: insert zeros, pad or crop, filter, keep every n-th pixel.

The conventions are those of the official `upfirdn2d` and `conv2d_resample`, in NHWC: a filter of
one axis is separable and applied along both; `padding` counts pixels of the upsampled image, at its
left, right, top and bottom; negative padding crops. A filter is convolved, hence flipped; `flip=
"correlate"` leaves it as it is.

Reference: Karras et al. 2020 (arXiv:1912.04958), section 3 and appendix B; the polyphase form:
Vaidyanathan, "Multirate Systems and Filter Banks", 1993, section 4.3.
"""

import numpy as np
import tensorflow as tf

from ganzoo.layers.convolution import MAPS, are_phases_quicker, conv2d, interleaved

DIRECTIONS = ("convolve", "correlate")


def setup_filter(taps, *, normalize=True, gain=1.0, separable=None) -> np.ndarray:
    """A filter for the functions of this module.

    Args:
        taps: float, [n] or [n, m]; `None` for no filter.
        normalize: bool. Divide by the sum. Defaults to `True`.
        gain: float. The image's gain, over both axes. Defaults to 1.
        separable: bool. Keep a filter of one axis as it is; otherwise it becomes its outer product.
            Defaults to whether it has 8 taps or more.

    Returns: float32, [n] or [n, m].
    Raises: ValueError: for taps of another rank, or none.
    """
    taps = np.asarray(1.0 if taps is None else taps, "float32")
    if taps.ndim > 2 or taps.size == 0:
        raise ValueError(f"`taps` must be [n] or [n, m]. Received: shape {taps.shape}")
    taps = np.atleast_1d(taps)
    if separable is None:
        separable = taps.ndim == 1 and taps.size >= 8
    if taps.ndim == 1 and not separable:
        taps = np.outer(taps, taps)
    if normalize:
        taps = taps / taps.sum()
    return (taps * gain ** (taps.ndim / 2)).astype("float32")


def _pair(value, name):
    """(along x, along y) of an int or of two."""
    pair = (value, value) if isinstance(value, (int, np.integer)) else tuple(value)
    if len(pair) != 2 or any(int(v) != v or v < 1 for v in pair):
        raise ValueError(f"`{name}` must be an int >= 1 or two of them. Received: {name}={value!r}")
    return int(pair[0]), int(pair[1])


def _borders(value):
    """(left, right, top, bottom) of an int, (x, y), or all four."""
    values = (value,) * 4 if isinstance(value, (int, np.integer)) else tuple(value)
    if len(values) == 2:
        values = (values[0], values[0], values[1], values[1])
    if len(values) != 4:
        raise ValueError(
            "`padding` must be an int, (x, y) or (left, right, top, bottom). "
            f"Received: padding={value!r}"
        )
    return tuple(int(v) for v in values)


def _check(x, taps, flip):
    if x.shape.rank != 4 or None in x.shape[1:]:
        raise ValueError(f"`x` must be [N, H, W, C] of known size. Received: shape {x.shape}")
    if taps.shape.rank not in (1, 2):
        raise ValueError(f"`taps` must be [n] or [n, m]. Received: shape {taps.shape}")
    _check_flip(flip)


def _check_flip(flip):
    if flip not in DIRECTIONS:
        raise ValueError(f"`flip` must be one of {DIRECTIONS}. Received: flip={flip!r}")


def upfirdn(x, taps, *, up=1, down=1, padding=0, gain=1.0, flip="convolve") -> tf.Tensor:
    """Upsamples with zeros, pads, filters, downsamples.

    Args:
        x: float [N, H, W, C], H, W and C known.
        taps: float [n] (separable) or [n, m]; `None` for no filter. A constant: it gets no
            gradient.
        up, down: int >= 1, or (x, y). Default to 1.
        padding: int, (x, y) or (left, right, top, bottom). Defaults to 0.
        gain: float. Factor of the image. Defaults to 1.
        flip: `"convolve"` or `"correlate"`. Defaults to `"convolve"`.

    Returns: [N, (H * up + top + bottom - n) // down + 1, ..., C], dtype of `x`. Differentiable any
        number of times with respect to `x`: the gradient is another call, up and down exchanged.
    Raises: ValueError: for other shapes, or an image smaller than the filter.
    """
    given = taps
    taps = tf.cast(tf.convert_to_tensor(np.ones([1, 1]) if taps is None else taps), x.dtype)
    _check(x, taps, flip)
    up, down, padding = _pair(up, "up"), _pair(down, "down"), _borders(padding)
    size = [taps.shape[-1], taps.shape[0]]  # along x, along y
    sides = [x.shape[2], x.shape[1]]
    outputs = [
        (sides[i] * up[i] + padding[2 * i] + padding[2 * i + 1] - size[i]) // down[i] + 1
        for i in (0, 1)
    ]
    if min(outputs) < 1:
        raise ValueError(
            "The padded image must not be smaller than the filter. Received: "
            f"image {tuple(x.shape)}, up={up}, padding={padding}, filter {tuple(taps.shape)}"
        )

    @tf.custom_gradient
    def apply(x):
        y = _filter(x, _oriented(taps, gain, flip), up, down, padding, outputs)

        def gradient(dy):
            back = []
            for i in (0, 1):
                start, step = padding[2 * i], outputs[i] * down[i]
                back += [size[i] - start - 1, sides[i] * up[i] - step + start - up[i] + 1]
            other = DIRECTIONS[1 - DIRECTIONS.index(flip)]
            # inside `tf.cond` the tensor of the taps would belong to another graph
            return upfirdn(dy, given, up=down, down=up, padding=back, gain=gain, flip=other)

        return y, gradient

    return apply(x)


def _oriented(taps, gain, flip):
    """Taps of a correlation, with the gain."""
    if flip == "convolve":
        taps = tf.reverse(taps, list(range(taps.shape.rank)))
    return taps * tf.cast(gain ** (taps.shape.rank / 2), taps.dtype)


def _filter(x, taps, up, down, padding, outputs):
    if taps.shape.rank == 2:
        return _along(x, taps, up, down, padding, outputs)
    here = [outputs[0], x.shape[1]]
    x = _along(x, taps[None, :], (up[0], 1), (down[0], 1), [*padding[:2], 0, 0], here)
    return _along(x, taps[:, None], (1, up[1]), (1, down[1]), [0, 0, *padding[2:]], outputs)


def _along(x, taps, up, down, padding, outputs):
    """A correlation with taps [y, x]; where both up and down are asked for, down is a slice."""
    if up == (1, 1):
        return _strided(x, taps, down, padding, outputs)
    full = [(outputs[i] - 1) * down[i] + 1 for i in (0, 1)]
    counts = [-(-full[i] // up[i]) for i in (0, 1)]
    rows = []
    for j in range(up[1]):
        row = [_phase(x, taps, up, (i, j), padding, counts) for i in range(up[0])]
        rows.append(_interleave(row, 3))
    y = _interleave(rows, 2)
    return y[:, : full[1] : down[1], : full[0] : down[0]]


def _phase(x, taps, up, phase, padding, counts):
    """Output pixels `phase`, `phase + up`, ...: those taps that do not meet inserted zeros."""
    firsts = [(padding[2 * i] - phase[i]) % up[i] for i in (0, 1)]
    taps = taps[firsts[1] :: up[1], firsts[0] :: up[0]]
    if 0 in taps.shape:
        return tf.zeros([tf.shape(x)[0], counts[1], counts[0], x.shape[3]], x.dtype)
    borders = []
    for i, side in ((0, 2), (1, 1)):
        start = (padding[2 * i] - phase[i] - firsts[i]) // up[i]
        end = counts[i] + taps.shape[1 - i] - 1 - start - x.shape[side]
        borders += [start, end]
    return _strided(x, taps, (1, 1), borders, counts)


def _interleave(parts, axis):
    """Merges n tensors so that their entries alternate along `axis`."""
    if len(parts) == 1:
        return parts[0]
    shape = [-1, *parts[0].shape[1:]]
    shape[axis - 1] *= len(parts)
    return tf.reshape(tf.stack(parts, axis), shape)


def _strided(x, taps, down, padding, outputs):
    """Padding, correlation and downsampling in one depthwise convolution."""
    x, padding = _cropped(x, padding)
    borders = [[0, 0], padding[2:], padding[:2], [0, 0]]
    if taps.shape == (1, 1):
        x = tf.pad(x, borders) if any(padding) else x
        return taps[0, 0] * x[:, :: down[1], :: down[0]][:, : outputs[1], : outputs[0]]
    if down[0] != down[1] and 1 in taps.shape:
        return _one_axis(x, taps, down, borders)
    kernel = tf.tile(taps[:, :, None, None], [1, 1, x.shape[3], 1])
    step = down[0] if down[0] == down[1] else 1  # the operation has one stride for both axes
    y = _depthwise(x, kernel, step, borders)
    return y if down[0] == down[1] else y[:, :: down[1], :: down[0]]


def _depthwise(x, kernel, step, borders):
    """Without a neighbour to fuse with.

    TensorFlow 2.21's graph optimizer forgets the padding when it fuses this operation with a bias,
    and aborts the process.
    """
    y = tf.nn.depthwise_conv2d(x, kernel, [1, step, step, 1], borders)
    return tf.ensure_shape(y, y.shape)


def _one_axis(x, taps, down, borders):
    """`_strided` along one axis, with the other one folded into the batch or the channels."""
    _, height, width, depth = x.shape
    vertical = taps.shape[1] == 1
    if down[1 if not vertical else 0] != 1:
        across = x[:, :, :: down[0]] if vertical else x[:, :: down[1]]
        return _one_axis(across, taps, (1, down[1]) if vertical else (down[0], 1), borders)
    shape = [-1, height, 1, width * depth] if vertical else [-1, width, 1, depth]
    folded = tf.reshape(x, shape)
    kernel = tf.tile(tf.reshape(taps, [-1, 1, 1, 1]), [1, 1, shape[3], 1])
    step, border = max(down), borders[1 if vertical else 2]
    y = _depthwise(folded, kernel, step, [[0, 0], border, [0, 0], [0, 0]])
    rest = [y.shape[1], width] if vertical else [height, y.shape[1]]
    return tf.reshape(y, [-1, *rest, depth])


def _cropped(x, padding):
    """The image without what negative padding takes away, and the padding that is left."""
    left, right, top, bottom = padding
    height, width = x.shape[1:3]
    if min(padding) < 0:
        rows = slice(max(-top, 0), height - max(-bottom, 0))
        x = x[:, rows, max(-left, 0) : width - max(-right, 0)]
    return x, [max(p, 0) for p in padding]


# --- the usual cases: pixels stay where they are


def _sizes(taps):
    """Of the filter along x and y; `None` is one tap."""
    shape = (1,) if taps is None else np.shape(taps)
    return shape[-1], shape[0]


def filter2d(x, taps, *, padding=0, gain=1.0, flip="convolve") -> tf.Tensor:
    """Filters an image, whose size stays.

    Args: as for `upfirdn`; `padding` is in addition to what keeps the size.
    """
    extra = _borders(padding)
    borders = []
    for i, n in enumerate(_sizes(taps)):
        borders += [extra[2 * i] + n // 2, extra[2 * i + 1] + (n - 1) // 2]
    return upfirdn(x, taps, padding=borders, gain=gain, flip=flip)


def upsample2d(x, taps, up=2, *, padding=0, gain=1.0, flip="convolve") -> tf.Tensor:
    """Makes an image `up` times as large, of the same brightness.

    Args: as for `upfirdn`; `padding` is in addition to what makes the size `up` times as large.
    """
    steps = _pair(up, "up")
    borders, gain = _up_borders(taps, steps, padding), gain * steps[0] * steps[1]
    return upfirdn(x, taps, up=steps, padding=borders, gain=gain, flip=flip)


def _up_borders(taps, up, padding):
    steps, extra = _pair(up, "up"), _borders(padding)
    borders = []
    for i, n in enumerate(_sizes(taps)):
        start, end = (n + steps[i] - 1) // 2, (n - steps[i]) // 2
        borders += [extra[2 * i] + start, extra[2 * i + 1] + end]
    return borders


def downsample2d(x, taps, down=2, *, padding=0, gain=1.0, flip="convolve") -> tf.Tensor:
    """Makes an image `down` times as small.

    Args: as for `upfirdn`; `padding` is in addition to what makes the size a `down`-th.
    """
    return upfirdn(
        x, taps, down=down, padding=_down_borders(taps, down, padding), gain=gain, flip=flip
    )


def _down_borders(taps, down, padding):
    steps, extra = _pair(down, "down"), _borders(padding)
    borders = []
    for i, n in enumerate(_sizes(taps)):
        start, end = (n - steps[i] + 1) // 2, (n - steps[i]) // 2
        borders += [extra[2 * i] + start, extra[2 * i + 1] + end]
    return borders


# --- convolutions at another size


def resampled_conv2d(
    x, kernel, taps=None, *, up=1, down=1, padding=0, flip="correlate"
) -> tf.Tensor:
    """Upsampling by a filter, a convolution, downsampling by the filter.

    Args:
        x: float [N, H, W, C].
        kernel: float [h, w, C, F].
        taps: the filter, as for `upfirdn`; symmetric, or the two orders of computing differ.
        up, down: int >= 1. Default to 1.
        padding: int, (x, y) or (left, right, top, bottom): of the convolution, in pixels of the
            upsampled image. Defaults to 0.
        flip: `"correlate"` (what neural networks call a convolution) or `"convolve"`: the kernel's.
            Defaults to `"correlate"`.

    Returns: float [N, ..., F]; with `padding` half the kernel's size, [N, H * up / down, ..., F].
    """
    _check_flip(flip)
    borders = _borders(padding)
    if up > 1:
        borders = _up_borders(taps, up, borders)
    if down > 1:
        borders = _down_borders(taps, down, borders)
    if up > 1 and down == 1 and kernel.shape[:2] != (1, 1):
        # a transposed convolution applies its kernel flipped
        return _upsampled(x, _turned(kernel, flip == "correlate"), taps, up, borders)
    kernel = _turned(kernel, flip == "convolve")
    if up > 1 and down == 1:
        return upfirdn(_conv(x, kernel), taps, up=up, padding=borders, gain=up * up)
    if up > 1:
        x = upfirdn(x, taps, up=up, padding=borders, gain=up * up)
        return upfirdn(_conv(x, kernel), taps, down=down)
    if down > 1:
        pointwise = kernel.shape[:2] == (1, 1)
        x = upfirdn(x, taps, down=down if pointwise else 1, padding=borders)
        return _conv(x, kernel, 1 if pointwise else down)
    return _conv(x, kernel, 1, borders)


def _turned(kernel, turn):
    return tf.reverse(kernel, [0, 1]) if turn else kernel


def _conv(x, kernel, step=1, borders=(0, 0, 0, 0)):
    x, borders = _cropped(x, borders)
    return conv2d(x, kernel, step, _named_padding(kernel, step, borders))


def _named_padding(kernel, step, borders):
    """`"VALID"` or `"SAME"` where they mean the borders: only for these are the gradients fast."""
    if not any(borders):
        return "VALID"
    height, width = kernel.shape[:2]
    half = [(width - 1) // 2, width // 2, (height - 1) // 2, height // 2]
    if step == 1 and list(borders) == half:
        return "SAME"
    return [[0, 0], borders[2:], borders[:2], [0, 0]]


def _upsampled(x, kernel, taps, up, borders):
    """The convolution before the filter: at the small size, and transposed."""
    height, width = kernel.shape[:2]
    left, right, top, bottom = borders
    borders = [left - width + 1, right - width + up, top - height + 1, bottom - height + up]
    if up == 2 and height == width == 3 and kernel.shape[3] <= MAPS and are_phases_quicker():
        left, right, top, bottom = borders
        rest = [left, right - 1, top, bottom - 1]  # there is a row and a column of zeros already
        return upfirdn(interleaved(x, kernel), taps, padding=rest, gain=up * up)
    shape = [(x.shape[i] - 1) * up + kernel.shape[i - 1] for i in (1, 2)]
    shape = tf.stack([tf.shape(x)[0], *shape, kernel.shape[3]])
    y = tf.nn.conv2d_transpose(x, tf.transpose(kernel, [0, 1, 3, 2]), shape, up, "VALID")
    return upfirdn(y, taps, padding=borders, gain=up * up)
