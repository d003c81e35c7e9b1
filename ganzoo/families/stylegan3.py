"""StyleGAN3: a generator whose details move with what they belong to.

Paper: Karras, Aittala, Laine, Harkonen, Hellsten, Lehtinen and Aila 2021, "Alias-Free Generative
Adversarial Networks" (arXiv:2106.12423).
Official code: NVlabs/stylegan3 (PyTorch).
Matches: its pickles give its styles, images, logits and running averages (tests), for both
configurations: T (`equivariance="translation"`: 3 x 3 kernels, separable filters) and R
(`"rotation"`: 1 x 1 kernels, radial filters, twice the width, blurred images early in training).
The discriminator is StyleGAN2's.
Left out: style mixing and path length regularisation, which the paper drops.
"""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from ganzoo import conditions
from ganzoo.arguments import captured
from ganzoo.checks import check_choice
from ganzoo.ema import EMA
from ganzoo.generator import MappedGenerator, canvas
from ganzoo.latent_gan import LatentGAN
from ganzoo.layers.alias_free import AliasFreeConv2D, FourierFeatures
from ganzoo.layers.bands import Band, layer_bands, layer_widths
from ganzoo.layers.noise import check_noise
from ganzoo.layers.style_mapping import StyleMapping
from ganzoo.layers.stylegan2_discriminator import StyleGAN2Discriminator, block_sizes
from ganzoo.losses import NonSaturating
from ganzoo.penalties import R1

register = keras.saving.register_keras_serializable(package="ganzoo")
CONFIGURATIONS = {  # paper, section 3.2 and appendix F
    "translation": dict(kernel_size=3, lowpass="separable", channel_base=32768, channel_max=512),
    "rotation": dict(kernel_size=1, lowpass="radial", channel_base=65536, channel_max=1024),
}
BLUR = {"translation": 0.0, "rotation": 10.0}  # appendix F: pixels
PUBLISHED_EMA = EMA(half_life_images=10_000, rampup=0.05)


@register
@captured
class AliasFreeSynthesis(keras.layers.Layer):
    """Styles to images: Fourier features, then layers from band to band.

    Args:
        bands: list of `Band` behind each layer, see `layer_bands`; the first is also the input's.
        widths: list of int. Maps behind each layer; the last is the image's channels.
        num_critical: int. Last layers (but the image's) with separable filters in any case.
        lowpass: `"separable"` or `"radial"`. Design of the other layers' filters.
        output_scale: float. Factor of the image. Defaults to 0.25.
        half_precision_rates: int >= 0. Layers at the highest so many sampling rates compute in the
            global dtype policy, the others and the image's in float32. Defaults to 4.
        **options: `kernel_size`, `filter_size`, `oversampling`, `clamp` and `magnitude_beta` of
            `AliasFreeConv2D`.
    Input shape: ws float [B, len(bands) + 1, style_dim]; `transform` of `FourierFeatures`.
    Output shape: float32 [B, image size, image size, channels].
    """

    def __init__(
        self, bands, widths, *, num_critical=2, lowpass="separable", output_scale=0.25,
        half_precision_rates=4, kernel_size=3, filter_size=6, oversampling=2, clamp=256,
        magnitude_beta=0.999, **kwargs,
    ):
        super().__init__(autocast=False, **{**kwargs, "dtype": "float32"})
        self.bands, self.widths, self.output_scale = bands, widths, output_scale
        self.features = FourierFeatures(
            widths[0], bands[0].size, bands[0].rate, bands[0].cutoff, name="input"
        )
        shared = dict(
            filter_size=filter_size, oversampling=oversampling, clamp=clamp,
            magnitude_beta=magnitude_beta,
        )
        last = len(bands) - 1
        lowest, policy = bands[-1].rate / 2**half_precision_rates, keras.config.dtype_policy()
        self.convolutions = [
            AliasFreeConv2D(
                widths[i],
                bands[max(i - 1, 0)],
                band,
                kernel_size=1 if i == last else kernel_size,
                activation="linear" if i == last else "leaky_relu",
                lowpass="separable" if i >= last - num_critical else lowpass,
                dtype=policy if lowest < band.rate and i != last else "float32",
                name=f"layer{i}",
                **shared,
            )
            for i, band in enumerate(bands)
        ]

    @property
    def num_ws(self) -> int:
        """Styles that an image takes: one for the input, one for each layer."""
        return len(self.bands) + 1

    def build(self, ws_shape, transform_shape=None):
        style = (ws_shape[0], ws_shape[-1])
        self.features.build(style)
        shape = self.features.compute_output_shape(style)
        for layer in self.convolutions:
            layer.build(shape, style)
            shape = layer.compute_output_shape(shape, style)

    def call(self, ws, transform=None, update_magnitude=False):
        ws = tf.unstack(tf.cast(ws, "float32"), num=self.num_ws, axis=1)
        x = self.features(ws[0], transform=transform)
        for layer, w in zip(self.convolutions, ws[1:], strict=True):
            x = layer(x, w, update_magnitude=update_magnitude)
        return tf.cast(x, "float32") * self.output_scale

    def compute_output_shape(self, ws_shape, transform_shape=None):
        return (ws_shape[0], self.bands[-1].size, self.bands[-1].size, self.widths[-1])

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "bands": [Band(**band) for band in config["bands"]]})


@register
@captured
class StyleGAN3Generator(MappedGenerator):
    """Latents, by way of one style for each layer, to images.

    Args:
        image_size: int, a power of two >= 8, or (height, width), see `generator.canvas`.
            Defaults to 256.
        latent_dim: int > 0. Defaults to 512.
        style_dim: int > 0. Defaults to 512.
        channels: int > 0. Defaults to 3.
        num_classes: int. 0 = unconditional. Defaults to 0.
        equivariance: `"translation"` or `"rotation"`: the paper's configuration T or R.
        channel_base, channel_max: int > 0. Maps of a layer: channel_base / (2 cutoff), at most
            channel_max. Default to the configuration's.
        mapping: dict. Options of `StyleMapping`. Defaults to two layers.
        bands: dict. Options of `layer_bands`.
        layers_options: dict. Options of `AliasFreeSynthesis`.
    Input shape: latents float32 [B, latent_dim], N(0, 1); labels int32 [B] if there are classes.
    Output shape: float32 [B, image_size, image_size, channels]: about [-1, 1], not clipped.
    Attributes: `latent_dim`, `style_dim`, `num_ws`, `num_classes`, `image_size`, `channels`.
    """

    def __init__(
        self,
        image_size=256,
        latent_dim=512,
        style_dim=512,
        *,
        channels=3,
        num_classes=0,
        equivariance="translation",
        channel_base=None,
        channel_max=None,
        mapping=None,
        bands=None,
        layers_options=None,
        name="generator",
        **kwargs,
    ):
        side, window = canvas(image_size)
        block_sizes(side)  # raises for a size that is no power of two
        defaults = dict(_configuration(equivariance))
        base, maximum = defaults.pop("channel_base"), defaults.pop("channel_max")
        found = layer_bands(side, **(bands or {}))
        widths = layer_widths(found, channel_base or base, channel_max or maximum, channels)
        options = {
            **defaults, "num_critical": (bands or {}).get("num_critical", 2),
            **(layers_options or {}),
        }
        # Graph
        with keras.name_scope(name):
            synthesis = AliasFreeSynthesis(found, widths, **options, name="synthesis")
            styles = StyleMapping(
                style_dim, synthesis.num_ws, **{"num_layers": 2, **(mapping or {})}, name="mapping"
            )
            inputs = [keras.Input((latent_dim,), name="latents")]
            if num_classes:
                inputs.append(keras.Input((num_classes,), name="label"))
            images = synthesis(styles(*inputs))
        super().__init__(inputs if num_classes else inputs[0], images, name=name, **kwargs)
        # Attributes
        self.latent_dim, self.style_dim, self.num_ws = latent_dim, style_dim, synthesis.num_ws
        self.condition = conditions.of(num_classes)
        self.image_size, self.channels = side, channels
        self.window = window

    def synthesis(self, ws, noise="const", seed=0, transform=None) -> tf.Tensor:
        """See `StyleGenerator.synthesis`. There is no noise: all of its kinds give one image.

        Args:
            transform: float [3, 3] or [N, 3, 3]: coordinates of the image (x to the right, y down,
                unit: its side, origin at the centre) to those of the content, so the inverse of the
                content's own motion; see `motion`. `None` for the network's own, usually the
                identity.
        Raises: ValueError: if a shape does not fit, or for an unknown `noise`.
        """
        ws = self.check_ws(ws)
        check_noise(noise)
        return self.get_layer("synthesis")(ws, transform=_check_transform(transform))

    def images_of(self, ws, latents, *, transform) -> tf.Tensor:
        return self.get_layer("synthesis")(ws, transform=transform)

    def forward(self, inputs, *, noise="const", transform=None, **options) -> tf.Tensor:
        check_noise(noise)
        return super().forward(inputs, transform=_check_transform(transform), **options)

    def sample(self, latents, label, averages) -> tf.Tensor:
        """Images of a training step.

        Args: averages: `"move"` (running averages take in this batch first) or `"keep"`.
        """
        move = check_choice("averages", averages, ("move", "keep")) == "move"
        ws = self.styles(latents, label, update_average=move)
        return self.get_layer("synthesis")(ws, update_magnitude=move)


def _configuration(equivariance):
    return CONFIGURATIONS[check_choice("equivariance", equivariance, tuple(CONFIGURATIONS))]


def motion(translate=(0.0, 0.0), angle=0.0) -> np.ndarray:
    """The `transform` of `StyleGAN3Generator.synthesis` that moves an image's content.

    Args:
        translate: (x, y), to the right and down, in sides of the image. After the rotation.
        angle: float, degrees, anticlockwise about the centre.
    Returns: float32 [3, 3].
    """
    turn = np.deg2rad(angle)
    content = np.eye(3)
    content[:2, :2] = [[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]
    content[:2, 2] = translate
    return np.linalg.inv(content).astype("float32")


def _check_transform(transform):
    if transform is None:
        return None
    transform = tf.convert_to_tensor(transform, "float32")
    if len(transform.shape) not in (2, 3) or tuple(transform.shape[-2:]) != (3, 3):
        raise ValueError(
            "`transform` must have shape [3, 3] or [B, 3, 3]. "
            f"Received: transform of shape {tuple(transform.shape)}"
        )
    return transform


def blur(images, sigma, longest) -> tf.Tensor:
    """Gaussian blur, which leaves images alone once it is narrower than a pixel.

    Args:
        images: float [B, H, W, C]; zeros lie around it.
        sigma: float32 scalar >= 0. Taps are exp2(-(t / sigma)^2) for |t| <= 3 sigma, of sum 1.
        longest: float. The largest sigma there will be.
    Returns: float [B, H, W, C].
    Reference: arXiv:2106.12423, appendix F.
    """

    def taps(t):
        inside = tf.abs(t) <= tf.floor(3 * sigma)
        return tf.where(inside, tf.pow(2.0, -tf.square(t / tf.maximum(sigma, 1e-3))), 0.0)

    def matrix(size):
        t = tf.range(size, dtype="float32")
        return tf.cast(taps(t - t[:, tf.newaxis]) / total, images.dtype)

    reach = int(3 * longest)
    total = tf.reduce_sum(taps(tf.range(-reach, reach + 1, dtype="float32")))
    height, width = images.shape[1:3]
    images = tf.einsum("hi,biwc->bhwc", matrix(height), images)
    return tf.einsum("wi,bhic->bhwc", matrix(width), images)


def _widths(own):
    """Of the discriminator, unless it has its own: configuration T's for the same budget."""
    half = 2 if own["equivariance"] == "rotation" else 1
    names = ("channel_base", "channel_max")
    return {name: own[name] // half for name in names if own[name] is not None}


@register
@captured
class StyleGAN3(LatentGAN):
    """StyleGAN3: non-saturating loss and lazy R1; StyleGAN2's discriminator.

    Phases: `discriminator` (`adversarial`), which also moves the generator's running averages; `r1`
    (`penalty`) on every `r1_interval`-th step; `generator` (`adversarial`).
    Published optimizers: Adam (0, 0.99), 0.0025 for the generator; for the discriminator 0.002,
    with rate and betas corrected for `r1_interval`.

    Args:
        image_size, latent_dim, style_dim, channels, num_classes, equivariance, channel_base,
            channel_max, mapping, bands, layers_options: see `StyleGAN3Generator`.
        discriminator: dict. Options of `StyleGAN2Discriminator`. `conv_clamp` defaults to 256, its
            widths to the generator's (half of them for "rotation").
        r1_gamma: float >= 0. Defaults to 32.8 at 1024 pixels, less by the square of the side (the
            official runs have 2 to 5 times more or less).
        r1_interval: int >= 1. Defaults to 16.
        blur_sigma: float >= 0. Of the blur in front of the discriminator at first, in pixels.
            Defaults to 10 for "rotation", 0 for "translation".
        blur_fade_images: int > 0. Real images until the blur is gone. Defaults to 200,000 (for a
            batch of 32; in proportion to it).
        ema: `EMA` or `None`. Defaults to a half-life of 10,000 images with ramp-up 0.05.
        **kwargs: `augment`, `seed` of `LatentGAN`.

    Reference: arXiv:2106.12423, appendix F; `train.py` of the official code.
    """

    def __init__(
        self,
        image_size=256,
        latent_dim=512,
        style_dim=512,
        *,
        channels=3,
        num_classes=0,
        equivariance="translation",
        channel_base=None,
        channel_max=None,
        mapping=None,
        bands=None,
        layers_options=None,
        discriminator=None,
        r1_gamma=None,
        r1_interval=16,
        blur_sigma=None,
        blur_fade_images=200_000,
        ema=PUBLISHED_EMA,
        **kwargs,
    ):
        own = dict(
            latent_dim=latent_dim, style_dim=style_dim, equivariance=equivariance,
            channel_base=channel_base, channel_max=channel_max, mapping=mapping, bands=bands,
            layers_options=layers_options,
        )
        shared = dict(channels=channels, num_classes=num_classes)
        side, _ = canvas(image_size)
        if r1_gamma is None:
            r1_gamma = 32.8 * (side / 1024) ** 2
        if blur_sigma is None:
            blur_sigma = BLUR[equivariance]
        self.config.update(r1_gamma=r1_gamma, blur_sigma=blur_sigma)
        super().__init__(
            StyleGAN3Generator(image_size, **own, **shared),
            StyleGAN2Discriminator(
                side, **shared, **{**_widths(own), "conv_clamp": 256, **(discriminator or {})}
            ),
            loss=NonSaturating(),
            penalties=[R1(r1_gamma, interval=r1_interval)],
            ema=ema,
            **kwargs,
        )
        self.blur_sigma, self.blur_fade_images = blur_sigma, blur_fade_images

    def fakes(self, batch, tag) -> tuple[tf.Tensor, tf.Tensor | None]:
        label = batch.get("label")
        # once in a step, where the discriminator learns, as in the official code
        averages = "keep" if tag == "generator" else "move"
        return self.generator.sample(self.latents(batch, tag), label, averages), label

    def critic(self, batch, label=None, *, tag="critic") -> Callable[[tf.Tensor], tf.Tensor]:
        logits = super().critic(batch, label, tag=tag)
        if not self.blur_sigma:
            return logits
        seen = tf.cast(self.images_seen.value, "float32")
        sigma = self.blur_sigma * tf.maximum(1.0 - seen / self.blur_fade_images, 0.0)
        return lambda images: logits(blur(images, sigma, self.blur_sigma))

    def default_optimizers(self) -> dict[str, keras.optimizers.Optimizer]:
        share = self.config["r1_interval"] / (self.config["r1_interval"] + 1)
        return {
            "generator_optimizer": keras.optimizers.Adam(
                0.0025, beta_1=0.0, beta_2=0.99, epsilon=1e-8
            ),
            "discriminator_optimizer": keras.optimizers.Adam(
                0.002 * share, beta_1=0.0, beta_2=0.99**share, epsilon=1e-8
            ),
        }
