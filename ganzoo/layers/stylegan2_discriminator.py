"""StyleGAN2's discriminator, which StyleGAN3 has too."""

import keras
import tensorflow as tf

from ganzoo.arguments import captured
from ganzoo.layers.bias_act import bias_act
from ganzoo.layers.equalized import EqualizedDense
from ganzoo.layers.fir import downsample2d, setup_filter
from ganzoo.layers.minibatch_std import MinibatchStd
from ganzoo.layers.modulated_convolution import TAPS, ResampledConv2D
from ganzoo.layers.style_mapping import StyleMapping, with_one_hot

ARCHITECTURES = ("resnet", "skip", "orig")
CONDITIONING = ("projection", "selection")
register = keras.saving.register_keras_serializable(package="ganzoo")


def check_architecture(name) -> str:
    """The name, if it is one of `ARCHITECTURES`.

    Raises: ValueError: otherwise.
    """
    if name not in ARCHITECTURES:
        raise ValueError(
            f"`architecture` must be one of {ARCHITECTURES}. Received: architecture={name!r}"
        )
    return name


def block_sizes(image_size) -> list[int]:
    """Sides of the blocks' images, 4 to `image_size`.

    Raises: ValueError: for a size that is no power of two.
    """
    whole = isinstance(image_size, int) and not isinstance(image_size, bool)
    if not whole or image_size < 4 or image_size & (image_size - 1):
        raise ValueError(
            "`image_size` must be a power of two >= 4 (4, 8, ..., 1024), because every block "
            f"doubles the side. Received: image_size={image_size!r}. Pad or resize the images."
        )
    return [2**k for k in range(2, image_size.bit_length())]


def maps_at(side, channel_base, channel_max) -> int:
    """Maps of a block: channel_base / side, at most `channel_max`."""
    return max(1, min(channel_base // side, channel_max))


def block_policy(side, image_size, half_precision_blocks) -> keras.DTypePolicy | str:
    """The dtype policy of a block: the global one for the largest so many, float32 for others."""
    if side > 4 and side * 2**half_precision_blocks > image_size:
        return keras.config.dtype_policy()
    return "float32"


@register
@captured
class DiscriminatorBlock(keras.layers.Layer):
    """Halves the side: two convolutions, with a shortcut or with the image let in.

    Args:
        filters: int > 0. Maps that come out; `inner` of them before.
        inner: int > 0.
        architecture: `"resnet"`, `"skip"` or `"orig"`.
        from_rgb: `"first"` (no maps come in), `"later"` (the image is added), or `"none"`.
        options: dict. `activation`, `conv_clamp` and `taps` of `ResampledConv2D`.

    Call arguments: x: float [N, H, W, C] or `None`; image: float [N, H, W, channels] or `None`.
    Output shape: [N, H / 2, W / 2, filters]; for "skip" a list of it and the smaller image.
    """

    def __init__(self, inner, filters, *, architecture, from_rgb, options, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.inner = inner
        self.filters = filters
        self.architecture = check_architecture(architecture)
        self.from_rgb = from_rgb
        self.options = dict(options)

    def build(self, input_shape):
        x_shape, image_shape = input_shape if isinstance(input_shape, list) else (input_shape, None)
        if self.from_rgb != "none":
            image_shape = image_shape or x_shape
            self.fromrgb = self._conv(self.inner, 1, "fromrgb", image_shape)
            x_shape = (*image_shape[:3], self.inner)
        self.conv0 = self._conv(self.inner, 3, "conv0", x_shape)
        self.conv1 = self._conv(self.filters, 3, "conv1", (*x_shape[:3], self.inner), down=2)
        if self.architecture == "resnet":
            plain = dict(use_bias=False, activation="linear", conv_clamp=None)
            self.skip = self._conv(self.filters, 1, "skip", x_shape, down=2, **plain)

    def _conv(self, filters, kernel_size, name, input_shape, **more):
        layer = ResampledConv2D(
            filters, kernel_size, name=name, dtype=self.dtype_policy, **{**self.options, **more}
        )
        layer.build(input_shape)
        return layer

    def call(self, inputs):
        x, image = self._with_image(inputs)
        if self.architecture == "resnet":
            short = self.skip(x, gain=0.5**0.5)
            x = self.conv1(self.conv0(x), gain=0.5**0.5)
            return short + x
        x = self.conv1(self.conv0(x))
        if self.architecture == "orig":
            return x
        return [x, downsample2d(image, setup_filter(self.options["taps"]))]

    def _with_image(self, inputs):
        if self.from_rgb == "none":
            return inputs, None
        if self.from_rgb == "first":
            return self.fromrgb(inputs), inputs
        x, image = inputs
        return tf.cast(x, self.compute_dtype) + self.fromrgb(image), image


@register
@captured
class DiscriminatorEpilogue(keras.layers.Layer):
    """The last maps, of 4 x 4, to numbers.

    Args:
        units: int > 0. Numbers that come out; 1 for an unconditional logit.
        architecture: `"skip"` takes a list of maps and image.
        group_size, std_channels: of `MinibatchStd`; 0 channels for none.
        hidden: int > 0. Outputs of the first dense layer. Defaults to the number of maps.
        options: dict. `activation`, `conv_clamp` and `taps` of `ResampledConv2D`.
    Output shape: float32 [N, units].
    """

    def __init__(
        self, units, *, architecture, group_size, std_channels, options, hidden=None, **kwargs
    ):
        super().__init__(autocast=False, **{**kwargs, "dtype": "float32"})
        self.units = units
        self.hidden = hidden
        self.architecture = check_architecture(architecture)
        self.group_size = group_size
        self.std_channels = std_channels
        self.options = dict(options)

    def build(self, input_shape):
        x_shape = input_shape[0] if isinstance(input_shape, list) else input_shape
        depth = x_shape[-1]
        conv = dict(dtype="float32", **self.options)
        if self.architecture == "skip":
            # the official one is the only convolution that does not clip
            self.fromrgb = ResampledConv2D(
                depth, 1, name="fromrgb", **{**conv, "conv_clamp": None}
            )
            self.fromrgb.build(input_shape[1])
        self.std = None
        if self.std_channels:
            self.std = MinibatchStd(
                self.group_size, self.std_channels, dtype="float32", name="mbstd"
            )
        self.conv = ResampledConv2D(depth, 3, name="conv", **conv)
        self.conv.build((*x_shape[:3], depth + self.std_channels))
        self.fc = EqualizedDense(self.hidden or depth, dtype="float32", name="fc")
        self.fc.build((None, x_shape[1] * x_shape[2] * depth))
        self.out = EqualizedDense(self.units, dtype="float32", name="out")
        self.out.build((None, self.fc.units))

    def call(self, inputs):
        x = inputs
        if self.architecture == "skip":
            x = tf.cast(inputs[0], "float32") + self.fromrgb(inputs[1])
        x = tf.cast(x, "float32")
        x = x if self.std is None else self.std(x)
        x = self.conv(x)
        x = tf.reshape(x, [-1, x.shape[1] * x.shape[2] * x.shape[3]])
        return self.out(bias_act(self.fc(x), activation=self.options["activation"]))


@register
@captured
class Projection(keras.layers.Layer):
    """Outputs and a label's vector to a logit.

    Args:
        conditioning: `"projection"`: their product / sqrt(length); `"selection"`: the label is
            one-hot and picks its output.
    Input shape: list of float32 [N, F], [N, F].
    Output shape: float32 [N, 1].
    Reference: Miyato and Koyama 2018 (arXiv:1802.05637); Karras et al. 2020 (arXiv:2006.06676).
    """

    def __init__(self, conditioning, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.conditioning = conditioning

    def call(self, inputs):
        outputs, label = inputs
        total = tf.reduce_sum(outputs * label, 1, keepdims=True)
        return total * outputs.shape[1] ** -0.5 if self.conditioning == "projection" else total


@register
@captured
class StyleGAN2Discriminator(keras.Model):
    """Images, and labels where there are classes, to logits.

    Args:
        image_size: int, a power of two >= 8. Defaults to 256.
        channels: int > 0. Defaults to 3.
        num_classes: int. 0 = unconditional. Defaults to 0.
        channel_base, channel_max: int > 0. A block has channel_base / side maps, at most
            channel_max. Default to 32768 and 512.
        architecture: `"resnet"`, `"skip"` or `"orig"`. Defaults to `"resnet"`.
        activation: see `bias_act.ACTIVATIONS`. Defaults to `"lrelu"`.
        conv_clamp: float > 0 or `None`. Every convolution's result is clipped to it, but for that
            of the smallest image in architecture "skip".
        group_size: int > 0, or `None` for the whole batch. Of the minibatch standard deviation.
            Defaults to 4.
        std_channels: int >= 0. Its maps; 0 for none. Defaults to 1.
        hidden: int > 0. Outputs of the first dense layer. Defaults to the maps of the last block.
        conditioning: `"projection"`, or `"selection"` (the TensorFlow StyleGAN2): one logit per
            class. Defaults to `"projection"`.
        projection_dim: int > 0. Defaults to the maps of the last block.
        mapping: dict. Options of the label's `StyleMapping`. Defaults to its own, 8 layers.
        taps: the filter of the resampling, see `fir.setup_filter`. Defaults to (1, 3, 3, 1).
        half_precision_blocks: int >= 0. The largest so many blocks compute in the global dtype
            policy, the others in float32. Defaults to 4.
    Input shape: float [B, image_size, image_size, channels] in [-1, 1]; with classes also labels,
        int32 [B] or float [B, num_classes].
    Output shape: float32 [B, 1].
    Raises: ValueError: for an option or a label that does not fit.
    Reference: Karras et al. 2020 (arXiv:1912.04958), figure 7 and appendix B.
    """

    def __init__(
        self,
        image_size=256,
        *,
        channels=3,
        num_classes=0,
        channel_base=32768,
        channel_max=512,
        architecture="resnet",
        activation="lrelu",
        conv_clamp=None,
        group_size=4,
        std_channels=1,
        hidden=None,
        conditioning="projection",
        projection_dim=None,
        mapping=None,
        taps=TAPS,
        half_precision_blocks=4,
        name="discriminator",
        **kwargs,
    ):
        if conditioning not in CONDITIONING:
            raise ValueError(
                f"`conditioning` must be one of {CONDITIONING}. "
                f"Received: conditioning={conditioning!r}"
            )
        self.config.update(taps=list(taps))
        # Graph
        with keras.name_scope(name):
            images = keras.Input((image_size, image_size, channels), name="images")
            inputs, label = images, None
            if num_classes:
                label = keras.Input((num_classes,), name="label")
                inputs = [images, label]
            logits = _logits(_trunk(images, self.config), label, self.config)
        super().__init__(inputs, logits, name=name, **kwargs)
        self.num_classes = num_classes

    def __call__(self, inputs, *args, **kwargs):
        return super().__call__(with_one_hot(inputs, self.num_classes), *args, **kwargs)


def _options(config):
    return {key: config[key] for key in ("activation", "conv_clamp", "taps")}


def _trunk(images, config):
    """The blocks: maps [N, 4, 4, C], for "skip" a list of them and the image of that size."""
    size, architecture = config["image_size"], config["architecture"]
    x, sides = images, block_sizes(size)[:0:-1]
    if not sides:
        raise ValueError("A discriminator needs `image_size` >= 8. Received: image_size=4")
    for side in sides:
        base, maximum = config["channel_base"], config["channel_max"]
        first = "first" if side == size else "none"
        x = DiscriminatorBlock(
            maps_at(side, base, maximum), maps_at(side // 2, base, maximum),
            architecture=architecture,
            from_rgb="later" if architecture == "skip" and side != size else first,
            options=_options(config), name=f"b{side}",
            dtype=block_policy(side, size, config["half_precision_blocks"]),
        )(x)
    return x


def _logits(x, label, config):
    maps = maps_at(4, config["channel_base"], config["channel_max"])
    units = 1
    if label is not None:
        projected = config["conditioning"] == "projection"
        units = config["projection_dim"] or maps if projected else config["num_classes"]
    x = DiscriminatorEpilogue(
        units, architecture=config["architecture"], group_size=config["group_size"],
        std_channels=config["std_channels"], hidden=config["hidden"], options=_options(config),
        name="b4",
    )(x)
    if label is None:
        return x
    if config["conditioning"] == "projection":
        options = {"num_ws": None, "average_decay": None, **(config["mapping"] or {})}
        label = StyleMapping(units, name="mapping", **options)(None, label)
    return Projection(config["conditioning"], name="projection")([x, label])
