"""Alias-free synthesis (StyleGAN3): signals with a known band, and layers that keep them in it.

A map is a sampled continuous signal: its `Band` says how many samples, how many per unit of the
image's side, and which frequencies it may hold. A layer convolves, then applies the leaky ReLU to
an upsampled map, whose new high frequencies the filter of the downsampling removes again.

Reference: Karras et al. 2021, "Alias-Free Generative Adversarial Networks" (arXiv:2106.12423),
sections 2 and 3, appendices C, D and F.
"""

import math

import keras
import numpy as np
import tensorflow as tf

from ganzoo.arguments import captured
from ganzoo.checks import check_choice
from ganzoo.layers.bands import Band
from ganzoo.layers.bias_act import check_clamp, standard_normal
from ganzoo.layers.equalized import EqualizedDense
from ganzoo.layers.fir import upfirdn
from ganzoo.layers.modulated_convolution import demodulation

register = keras.saving.register_keras_serializable(package="ganzoo")
LARGEST = 2**25  # numbers of an upsampled image that are in memory at once


# --- filter design


def kaiser_beta(taps, width, rate) -> float:
    """Shape of the Kaiser window that makes a filter of this length fall within `width`.

    Args:
        taps: int > 0.
        width: float > 0. Of the transition band, both sides together, in the unit of `rate`.
        rate: float > 0. Samples per unit.
    Reference: Kaiser and Reddy 1974; `kaiser_atten` and `kaiser_beta` of SciPy have the formulas.
    """
    attenuation = 2.285 * (taps - 1) * math.pi * (width / (rate / 2)) + 7.95
    if attenuation > 50:
        return 0.1102 * (attenuation - 8.7)
    if attenuation > 21:
        return 0.5842 * (attenuation - 21) ** 0.4 + 0.07886 * (attenuation - 21)
    return 0.0


def _positions(taps):
    """Taps' distances from the filter's centre, in samples."""
    return np.arange(taps) - (taps - 1) / 2


def separable_lowpass(taps, cutoff, width, rate) -> np.ndarray:
    """Windowed sinc: the filter along one axis, to be applied to both.

    Args:
        taps: int > 0. One tap is no filter.
        cutoff: float in (0, rate / 2). Where the amplitude is one half.
        width, rate: see `kaiser_beta`.
    Returns: float32 [taps], of sum 1.
    Reference: arXiv:2106.12423, appendix C.
    """
    sinc = np.sinc(2 * cutoff / rate * _positions(taps))
    return _normalised(sinc * np.kaiser(taps, kaiser_beta(taps, width, rate)))


def radial_lowpass(taps, cutoff, width, rate) -> np.ndarray:
    """Windowed jinc: a filter that treats all directions alike.

    Args: as for `separable_lowpass`.
    Returns: float32 [taps, taps], of sum 1.
    Reference: arXiv:2106.12423, appendix C; the window stays separable.
    """
    x = _positions(taps) / rate
    radius = np.hypot(x, x[:, np.newaxis])
    centre = radius == 0
    far = np.where(centre, 1.0, radius)
    jinc = np.where(centre, cutoff, _bessel_j1(2 * np.pi * cutoff * far) / (np.pi * far))
    window = np.kaiser(taps, kaiser_beta(taps, width, rate))
    return _normalised(jinc * np.outer(window, window))


LOWPASS = {"separable": separable_lowpass, "radial": radial_lowpass}


def _normalised(taps):
    return (taps / taps.sum()).astype("float32")


def _bessel_j1(x):
    """Bessel function of the first kind and order 1, from its integral (12 digits to x = 300)."""
    angles = np.pi * (np.arange(512) + 0.5) / 512  # the integrand's period makes midpoints exact
    x = np.asarray(x, "float64")[..., np.newaxis]
    return np.cos(angles - x * np.sin(angles)).mean(axis=-1)


# --- operations


def filtered_leaky_relu(
    x, up_taps, down_taps, bias, *, up=1, down=1, padding=(0, 0, 0, 0), gain=2**0.5, slope=0.2,
    clamp=None,
) -> tf.Tensor:
    """Leaky ReLU of the continuous signal: bias, upsampling, leaky ReLU, clamp, downsampling.

    Args:
        x: float [B, H, W, C].
        up_taps, down_taps: float32 [T] or [T, T]; `None` for no filter. That of the downsampling
            keeps its scale, that of the upsampling is multiplied by up^2.
        bias: float [C].
        up, down, padding: see `fir.upfirdn`; padding is added once, before the first filter.
        gain: float > 0, in front of the clamp. Defaults to sqrt(2).
        slope: float. Of negative values. Defaults to 0.2.
        clamp: float > 0 or `None`. Bound of the absolute value between the filters.
    Returns: float [B, H', W', C].
    Reference: arXiv:2106.12423, section 3.2 and appendix D.
    """
    x = x + tf.cast(bias, x.dtype)

    def part(x, padding):
        # a positive factor may as well come before the leaky ReLU
        x = _resampled(x, up_taps, up=up, padding=padding, gain=gain * up**2)
        if slope != 1:
            x = tf.nn.leaky_relu(x, slope)
        if clamp is not None:
            x = tf.clip_by_value(x, tf.cast(-clamp, x.dtype), tf.cast(clamp, x.dtype))
        return _resampled(x, down_taps, down=down)

    lengths = [1 if taps is None else taps.shape[0] for taps in (up_taps, down_taps)]
    found = []
    for rows, borders in _bands_of_rows(x.shape, lengths, up, down, tuple(padding)):
        with tf.control_dependencies(found[-1:]):
            found.append(part(x if rows is None else x[:, rows], borders))
    return found[0] if len(found) == 1 else tf.concat(found, 1)


def _bands_of_rows(shape, lengths, up, down, padding):
    """[(rows of the input, padding)] that give the result from top to bottom.

    A large map is computed in bands, one after the other: what is in memory between the filters is
    several times the map. Rows are `None` for all of them.
    """
    left, right, top, bottom = padding
    height = shape[1]
    count = (height * up + top + bottom - lengths[0] + 1 - lengths[1]) // down + 1
    parts = min(math.ceil(math.prod(shape[1:]) * up**2 / LARGEST), count)
    if parts <= 1:
        return [(None, padding)]
    edges = [count * i // parts for i in range(parts + 1)]
    found = []
    for first, last in zip(edges, edges[1:]):
        start = first * down  # of the padded, upsampled rows, and one behind their end
        end = (last - 1) * down + sum(lengths) - 1
        begin = min(max(-((top - start) // up), 0), height - 1)
        stop = min(max((end - 1 - top) // up + 1, begin + 1), height)
        before = top + begin * up - start
        after = end - start - before - (stop - begin) * up
        found.append((slice(begin, stop), (left, right, before, after)))
    return found


def _resampled(x, taps, up=1, down=1, padding=(0, 0, 0, 0), gain=1.0):
    if taps is None and (up, down, gain) == (1, 1, 1) and not any(padding):
        return x
    return upfirdn(x, taps, up=up, down=down, padding=padding, gain=gain)


def modulated_convolution(
    x, kernel, styles, *, padding=(0, 0), demodulate=True, input_gain=None
) -> tf.Tensor:
    """Convolution with a kernel scaled per sample, as scaling before and after a plain one.

    With demodulation the kernel is first divided by its root mean square per output map, and the
    styles by theirs over the batch: that changes the result only through epsilon, and keeps
    half-precision numbers small.

    Args:
        x: float [B, H, W, C].
        kernel: float32 [k, k, C, filters].
        styles: float32 [B, C].
        padding: (int, int). Rows and columns of zeros on both sides. Defaults to none.
        demodulate: bool. Divides each result by the norm of its scaled kernel.
        input_gain: float32 scalar, [C] or [B, C], which demodulation does not undo, or `None`.
    Returns: float [B, H + 2 padding - k + 1, ..., filters].
    Reference: arXiv:2106.12423, appendix F; Karras et al. 2020 (arXiv:1912.04958), equation 3.
    """
    scale = None
    if demodulate:
        kernel = kernel * tf.math.rsqrt(tf.reduce_mean(tf.square(kernel), axis=[0, 1, 2]))
        styles = styles * tf.math.rsqrt(tf.reduce_mean(tf.square(styles)))
        scale = demodulation(kernel, styles)
    if input_gain is not None:
        styles = styles * input_gain
    if x.shape[0] == 1:  # a kernel is smaller than a map
        kernel = kernel * styles[0][:, tf.newaxis]
        kernel = kernel if scale is None else kernel * scale[0]
        return _convolution(x, kernel, padding)
    x = _convolution(x * tf.cast(styles, x.dtype)[:, tf.newaxis, tf.newaxis], kernel, padding)
    return x if scale is None else x * tf.cast(scale, x.dtype)[:, tf.newaxis, tf.newaxis]


def _convolution(x, kernel, padding):
    borders = [[0, 0], [padding[0]] * 2, [padding[1]] * 2, [0, 0]]
    return tf.nn.conv2d(x, tf.cast(kernel, x.dtype), 1, borders)


# --- layers


def _band(value):
    return Band(**value) if isinstance(value, dict) else value


@register
@captured
class FourierFeatures(keras.layers.Layer):
    """The first map: sine waves, turned and shifted by a style, mixed by a matrix.

    Waves have frequencies in a disc of radius `bandwidth` and random phases, both fixed; those
    beyond what the sampling rate can hold fade out. The style gives a rotation (its cosine and
    sine, before normalisation) and a translation, applied before the user's `transform`.

    Args:
        channels: int > 0. Waves, and maps that come out.
        size: int > 0 or (height, width). Samples.
        rate: float > 0. Samples per side of the image.
        bandwidth: float > 0. Radius, in periods per image.
    Weights, not trained: `frequencies` [channels, 2], `phases` [channels], `transform` [3, 3].
    Input shape: style float [B, style_dim]; optionally `transform`, float32 [3, 3] or [B, 3, 3],
        from coordinates of the image (unit: its side, x then y, origin at the centre) to those of
        the waves: the inverse of what moves the content.
    Output shape: float32 [B, height, width, channels].
    Reference: arXiv:2106.12423, section 3.1 and appendix F.
    """

    def __init__(self, channels, size, rate, bandwidth, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.channels, self.rate, self.bandwidth = channels, rate, bandwidth
        self.size = (size, size) if isinstance(size, int) else tuple(size)
        self.config.update(size=list(self.size))
        self.affine = EqualizedDense(
            4,
            kernel_initializer="zeros",
            bias_initializer=_first_is_one,
            dtype="float32",
            name="affine",
        )

    def build(self, style_shape, transform_shape=None):
        self.affine.build(style_shape)
        fixed = dict(trainable=False, dtype="float32")
        self.frequencies = self.add_weight(
            (self.channels, 2), initializer=self._draw_frequencies, name="frequencies", **fixed
        )
        self.phases = self.add_weight(
            (self.channels,),
            initializer=keras.initializers.RandomUniform(-0.5, 0.5),
            name="phases",
            **fixed,
        )
        self.transform = self.add_weight(
            (3, 3), initializer="identity", name="transform", **fixed
        )
        self.kernel = self.add_weight(
            (self.channels, self.channels),
            initializer=standard_normal(),
            name="kernel",
        )

    def _draw_frequencies(self, shape, dtype=None):
        """A normal distribution pulled into the disc of radius `bandwidth`, nearly evenly."""
        normal = keras.random.normal(shape, dtype=dtype)
        squares = keras.ops.sum(keras.ops.square(normal), axis=1, keepdims=True)
        radius = keras.ops.sqrt(squares) * keras.ops.exp(0.25 * squares)
        return normal / radius * self.bandwidth

    def call(self, style, transform=None):
        frequencies, phases = self.waves(style, transform)
        radius = tf.norm(frequencies, axis=-1)
        fade = (radius - self.bandwidth) / (self.rate / 2 - self.bandwidth)
        amplitudes = tf.clip_by_value(1.0 - fade, 0.0, 1.0)
        y, x = ((np.arange(n) + 0.5 - n / 2).astype("float32") / self.rate for n in self.size)
        turns = (
            x[:, np.newaxis] * frequencies[:, tf.newaxis, tf.newaxis, :, 0]
            + y[:, np.newaxis, np.newaxis] * frequencies[:, tf.newaxis, tf.newaxis, :, 1]
            + phases[:, tf.newaxis, tf.newaxis]
        )
        waves = tf.sin(2 * np.pi * turns) * amplitudes[:, tf.newaxis, tf.newaxis]
        return tf.matmul(waves, self.kernel.value / self.channels**0.5)

    def waves(self, style, transform=None) -> tuple[tf.Tensor, tf.Tensor]:
        """Frequencies float32 [B, channels, 2] and phases [B, channels] after the transforms."""
        motion = tf.cast(self.affine(style), "float32")
        motion = motion / tf.norm(motion[:, :2], axis=1, keepdims=True)
        cosine, sine, x, y = (motion[:, i] for i in range(4))
        zero, one = tf.zeros_like(x), tf.ones_like(x)
        rotation = _matrices([[cosine, -sine, zero], [sine, cosine, zero], [zero, zero, one]])
        translation = _matrices([[one, zero, -x], [zero, one, -y], [zero, zero, one]])
        user = self.transform.value if transform is None else transform
        whole = rotation @ translation @ tf.cast(user, "float32")
        frequencies = self.frequencies.value
        phases = self.phases.value + tf.linalg.matvec(frequencies, whole[:, :2, 2])
        return frequencies @ whole[:, :2, :2], phases

    def compute_output_shape(self, style_shape, transform_shape=None):
        return (style_shape[0], *self.size, self.channels)


def _first_is_one(shape, dtype=None):
    return keras.ops.convert_to_tensor(np.eye(1, *shape)[0], dtype=dtype)


def _matrices(rows):
    return tf.stack([tf.stack(row, axis=-1) for row in rows], axis=-2)


@register
@captured
class AliasFreeConv2D(keras.layers.Layer):
    """Modulated convolution and filtered leaky ReLU, from one band to another.

    The input is divided by the root of a running average of its mean square, kept in `magnitude`,
    so that activations stay near unit scale without a normalisation that would depend on the image.

    Args:
        filters: int > 0.
        source, target: `Band`.
        kernel_size: int > 0. Defaults to 3.
        filter_size: int > 0. Taps per sample of the lower of two rates. Defaults to 6.
        oversampling: int > 0. How much above the higher of both rates the leaky ReLU works.
            Defaults to 2.
        activation: `"leaky_relu"` (slope 0.2, gain sqrt(2), with filters and demodulation) or
            `"linear"` (the image's layer: without). Defaults to `"leaky_relu"`.
        lowpass: `"separable"` or `"radial"`. Design of the downsampling's filter.
        clamp: float > 0 or `None`. Bound of activations. Defaults to 256.
        magnitude_beta: float in [0, 1). Share of the old average that is kept. Defaults to 0.999.
    Weights, not trained: `magnitude` [] and, where there are filters, `up_taps` and `down_taps`.
    Input shape: image float [B, size, size, C], style float [B, style_dim]. With
        `update_magnitude=True` the average moves first, then is used.
    Output shape: float [B, target size, target size, filters].
    Reference: arXiv:2106.12423, section 3.2, appendices C, D and F.
    """

    def __init__(
        self,
        filters,
        source,
        target,
        *,
        kernel_size=3,
        filter_size=6,
        oversampling=2,
        activation="leaky_relu",
        lowpass="separable",
        clamp=256,
        magnitude_beta=0.999,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        check_choice("activation", activation, ("leaky_relu", "linear"))
        check_choice("lowpass", lowpass, tuple(LOWPASS))
        self.filters, self.source, self.target = filters, source, target
        self.kernel_size, self.filter_size = kernel_size, filter_size
        self.oversampling, self.activation, self.lowpass = oversampling, activation, lowpass
        self.clamp, self.magnitude_beta = check_clamp(clamp), magnitude_beta
        self.linear = activation == "linear"
        self.rate = max(source.rate, target.rate) * (1 if self.linear else oversampling)
        self.up, self.down = round(self.rate / source.rate), round(self.rate / target.rate)
        self.padding = self._padding()
        self.affine = None

    def _taps(self, factor):
        return 1 if self.linear or factor == 1 else self.filter_size * factor

    def _padding(self):
        """(before, after), of the upsampled map: what brings out `target.size` samples."""
        total = (self.target.size - 1) * self.down + 1
        total -= (self.source.size + self.kernel_size - 1) * self.up
        total += self._taps(self.up) + self._taps(self.down) - 2
        before = (total + self.up) // 2  # centres of both maps coincide
        return before, total - before

    def build(self, image_shape, style_shape):
        depth = image_shape[-1]
        self.affine = EqualizedDense(depth, bias_initializer="ones", dtype="float32", name="affine")
        self.affine.build(style_shape)
        self.kernel = self.add_weight(
            (self.kernel_size, self.kernel_size, depth, self.filters),
            initializer=standard_normal(),
            name="kernel",
            autocast=False,
        )
        self.bias = self.add_weight(
            (self.filters,), initializer="zeros", name="bias", autocast=False
        )
        self.magnitude = self._fixed("magnitude", (), "ones")
        self.up_taps = self._filter("up_taps", self.up, self.source, "separable")
        self.down_taps = self._filter("down_taps", self.down, self.target, self.lowpass)

    def _fixed(self, name, shape, initializer):
        return self.add_weight(
            shape, initializer=initializer, name=name, trainable=False, dtype="float32",
            autocast=False, aggregation="mean",
        )

    def _filter(self, name, factor, band, design):
        taps = self._taps(factor)
        if taps == 1:
            return None
        value = LOWPASS[design](taps, band.cutoff, 2 * band.half_width, self.rate)
        return self._fixed(name, value.shape, lambda *args, **kwargs: value)

    def call(self, image, style, update_magnitude=False):
        if update_magnitude:
            now = tf.reduce_mean(tf.square(tf.cast(image, "float32")))
            before = self.magnitude.value
            self.magnitude.assign(tf.stop_gradient(now + self.magnitude_beta * (before - now)))
        styles = tf.cast(self.affine(style), "float32")
        if self.linear:
            styles = styles / math.prod(self.kernel.shape[:3]) ** 0.5
        x = modulated_convolution(
            tf.cast(image, self.compute_dtype),
            self.kernel.value,
            styles,
            padding=(self.kernel_size - 1,) * 2,
            demodulate=not self.linear,
            input_gain=tf.math.rsqrt(self.magnitude.value),
        )
        return filtered_leaky_relu(
            x,
            None if self.up_taps is None else self.up_taps.value,
            None if self.down_taps is None else self.down_taps.value,
            self.bias.value,
            up=self.up,
            down=self.down,
            padding=self.padding * 2,
            gain=1 if self.linear else 2**0.5,
            slope=1 if self.linear else 0.2,
            clamp=self.clamp,
        )

    def compute_output_shape(self, image_shape, style_shape):
        return (image_shape[0], self.target.size, self.target.size, self.filters)

    @classmethod
    def from_config(cls, config):
        bands = {key: _band(config[key]) for key in ("source", "target")}
        return cls(**{**config, **bands})
