"""From latents and labels to styles: the mapping network of StyleGAN2 and StyleGAN3."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from ganzoo.arguments import captured
from ganzoo.layers.bias_act import bias_act, check_activation, standard_normal
from ganzoo.layers.equalized import EqualizedDense

CONDITIONING = ("embed", "concat")
EPSILON = 1e-8  # inside the root of the second moment


def normalize_second_moment(x) -> tf.Tensor:
    """x / sqrt(mean x^2 + 1e-8), over the last axis."""
    return x * tf.math.rsqrt(tf.reduce_mean(tf.square(x), -1, keepdims=True) + EPSILON)


# --- labels


def one_hot(labels, num_classes) -> tf.Tensor | None:
    """Labels as the official networks take them.

    Args:
        labels: int [N] in [0, num_classes), or float [N, num_classes]; without classes `None` or
            [N, 0]. Lists do as well.
        num_classes: int >= 0.

    Returns: float32 [N, num_classes]; `None` without classes.
    Raises: ValueError: if the shape, the type or a class number does not fit.
    """
    if isinstance(labels, (list, tuple)):
        labels = np.asarray(labels)
    if labels is None or (len(labels.shape) == 2 and labels.shape[1] == 0):
        if num_classes:
            raise ValueError(
                f"This network has {num_classes} classes and needs labels, int [N] or float "
                f"[N, {num_classes}]. Received: labels=None"
            )
        return None
    dtype = keras.backend.standardize_dtype(labels.dtype)
    whole = "int" in dtype
    wanted = 1 if whole else 2
    if not num_classes or len(labels.shape) != wanted or labels.shape[1:] not in (
        (), (num_classes,),
    ):
        legal = f"int [N] in [0, {num_classes}) or float [N, {num_classes}]"
        raise ValueError(
            f"Labels must be {legal if num_classes else 'left out: there are no classes here'}. "
            f"Received: {dtype} of shape {tuple(labels.shape)}"
        )
    if not whole:
        return ops.cast(labels, "float32")
    if isinstance(labels, (np.ndarray, np.generic)) or tf.is_tensor(labels):
        _check_range(labels, num_classes)
    return ops.one_hot(labels, num_classes, dtype="float32")


def _check_range(labels, num_classes):
    value = tf.get_static_value(tf.convert_to_tensor(labels))
    if value is None:
        return
    wrong = value[(value < 0) | (value >= num_classes)]
    if wrong.size:
        raise ValueError(f"Labels must be in [0, {num_classes}). Received: {wrong.flat[0]}")


def with_one_hot(inputs, num_classes) -> tf.Tensor | list[tf.Tensor]:
    """`inputs`, a tensor or (tensor, labels), with labels as `one_hot` gives them.

    Returns: the tensor, or a list of both where there are classes.
    Raises: ValueError: as `one_hot`, and for more or fewer labels than rows of the tensor.
    """
    x, labels = inputs if isinstance(inputs, (list, tuple)) else (inputs, None)
    labels = one_hot(labels, num_classes)
    if labels is None:
        return x
    x = ops.convert_to_tensor(x)
    check_rows(x, labels)
    return [x, labels]


def check_rows(x, labels) -> None:
    """Raises `ValueError` unless there is a label for each row of `x`, where both are known."""
    if None not in (x.shape[0], labels.shape[0]) and x.shape[0] != labels.shape[0]:
        raise ValueError(
            f"There must be a label for each of {x.shape[0]} latents or images. "
            f"Received: {labels.shape[0]} labels"
        )


# --- styles


def check_cutoff(cutoff, num_ws) -> None:
    """Raises `ValueError` unless it is `None` or an int in [0, num_ws]."""
    whole = isinstance(cutoff, (int, np.integer)) and not isinstance(cutoff, bool)
    if cutoff is not None and not (whole and 0 <= cutoff <= num_ws):
        raise ValueError(
            f"`truncation_cutoff` must be `None` or an int in [0, {num_ws}], the number of layers "
            f"that take a style. Received: truncation_cutoff={cutoff!r}"
        )


def check_truncation(truncation) -> None:
    """Raises `ValueError` unless it is a tensor or a finite number."""
    if tf.is_tensor(truncation):
        return
    number = isinstance(truncation, (int, float, np.number)) and not isinstance(truncation, bool)
    if not number or not np.isfinite(truncation):
        raise ValueError(
            "`truncation` must be a finite number, such as 0.7; 1 leaves w as it is. "
            f"Received: truncation={truncation!r}"
        )


@keras.saving.register_keras_serializable(package="ganzoo")
@captured
class StyleMapping(keras.layers.Layer):
    """Latents and labels to one style per layer.

    z and the embedded label are each scaled to a second moment of 1, concatenated, and go through
    dense layers. Truncation: w' = average + truncation (w - average) in the first layers.

    Args:
        style_dim: int > 0. Numbers of a style.
        num_ws: int > 0. Layers that take a style each, or `None`: one vector comes out.
        num_layers: int >= 0. Dense layers. Defaults to 8.
        hidden_dim, embed_dim: int > 0. Widths of all but the last dense layer, and of the label's
            embedding. Default to `style_dim`.
        conditioning: `"embed"`, or `"concat"` (StyleGAN 1 and the TensorFlow StyleGAN2): an
            embedding without bias or scale, concatenated before both are scaled together. Defaults
            to `"embed"`.
        activation: of the dense layers, see `bias_act.ACTIVATIONS`. Defaults to `"lrelu"`.
        lr_multiplier: float > 0. Of the dense layers' weights. Defaults to 0.01.
        average_decay: float in [0, 1], or `None` for no average. What `w_avg` keeps of itself at
            each update. Defaults to 0.998.

    Call arguments:
        latents: float [N, latent_dim], or `None`: only labels go in.
        label: float [N, num_classes], see `one_hot`; `None` without classes.
        truncation: float, or a scalar tensor. Defaults to 1.
        truncation_cutoff: int in [0, num_ws] or `None`. The number of first layers that are
            truncated. Defaults to all.
        update_average: bool. Moves `w_avg` towards this batch's mean. Defaults to `False`.
    Output shape: float32 [N, num_ws, style_dim], or [N, style_dim].
    Reference: Karras et al. 2019 (arXiv:1812.04948), section 2; 2020 (arXiv:2006.06676), appendix.
    """

    def __init__(
        self,
        style_dim,
        num_ws,
        *,
        num_layers=8,
        hidden_dim=None,
        embed_dim=None,
        conditioning="embed",
        activation="lrelu",
        lr_multiplier=0.01,
        average_decay=0.998,
        name="mapping",
        **kwargs,
    ):
        super().__init__(name=name, **{"dtype": "float32", **kwargs})
        if conditioning not in CONDITIONING:
            raise ValueError(
                f"`conditioning` must be one of {CONDITIONING}. "
                f"Received: conditioning={conditioning!r}"
            )
        self.style_dim = style_dim
        self.num_ws = num_ws
        self.num_layers = num_layers
        self.hidden_dim = hidden_dim
        self.embed_dim = embed_dim
        self.conditioning = conditioning
        self.activation = check_activation(activation)
        self.lr_multiplier = lr_multiplier
        self.average_decay = average_decay

    def build(self, latents_shape=None, label_shape=None):
        width = 0 if latents_shape is None else latents_shape[-1]
        if label_shape is not None:
            width += self._build_label(label_shape)
        self.dense = []
        for i in range(self.num_layers):
            last = i == self.num_layers - 1
            units = self.style_dim if last else self.hidden_dim or self.style_dim
            layer = EqualizedDense(
                units, lr_multiplier=self.lr_multiplier, dtype=self.dtype_policy, name=f"fc{i}"
            )
            layer.build((None, width))
            self.dense.append(layer)
            width = units
        self.w_avg = None
        if self.average_decay is not None:
            self.w_avg = self.add_weight(
                (self.style_dim,), "zeros", trainable=False, aggregation="mean", name="w_avg"
            )

    def _build_label(self, label_shape):
        """Width of the label's embedding."""
        units = self.embed_dim or self.style_dim
        if self.conditioning == "concat":
            self.embed = self.add_weight(
                (label_shape[-1], units), standard_normal(), name="embedding"
            )
        else:
            self.embed = EqualizedDense(units, dtype=self.dtype_policy, name="embed")
            self.embed.build(label_shape)
        return units

    def call(
        self, latents, label=None, *, truncation=1.0, truncation_cutoff=None, update_average=False
    ):
        if latents is not None and label is not None:
            check_rows(latents, label)
        w = self._joined(latents, label)
        for layer in self.dense:
            w = bias_act(layer(w), activation=self.activation)
        if update_average and self.w_avg is not None:
            mean = tf.reduce_mean(tf.stop_gradient(w), 0)
            self.w_avg.assign(mean + self.average_decay * (self.w_avg.value - mean))
        if self.num_ws is None:
            return w
        check_cutoff(truncation_cutoff, self.num_ws)
        check_truncation(truncation)
        if not tf.is_tensor(truncation) and truncation == 1.0:
            return tf.repeat(w[:, tf.newaxis], self.num_ws, 1)
        return self._truncated(w, truncation, truncation_cutoff)

    def _joined(self, latents, label):
        parts = [] if latents is None else [latents]
        if self.conditioning == "concat":
            parts += [] if label is None else [tf.matmul(label, self.embed.value)]
            return normalize_second_moment(tf.concat(parts, -1))
        parts += [] if label is None else [self.embed(label)]
        return tf.concat([normalize_second_moment(x) for x in parts], -1)

    def _truncated(self, w, truncation, cutoff):
        average = self.w_avg.value
        near = average + tf.cast(truncation, w.dtype) * (w - average)
        first = self.num_ws if cutoff is None else cutoff
        layers = [tf.repeat(near[:, tf.newaxis], first, 1)]
        layers += [tf.repeat(w[:, tf.newaxis], self.num_ws - first, 1)]
        return tf.concat(layers, 1)

    def compute_output_shape(self, latents_shape=None, label_shape=None):
        count = (latents_shape or label_shape)[0]
        middle = () if self.num_ws is None else (self.num_ws,)
        return (count, *middle, self.style_dim)
