"""`TranslationGAN`: images of one domain to images of another."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from ganzoo.gan import GAN, Batch
from ganzoo.generator import to_float, to_uint8
from ganzoo.latent_gan import check_images
from ganzoo.pictures import of_one_depth
from ganzoo.translator import Translator

SIDES = ("a", "b")


class TranslationGAN(GAN):
    """A game whose generators translate between the domains `a` and `b`.

    A family says `translators`, beside `players`, `phases` and `default_optimizers`.

    Batch keys: `a`, `b` float32 [B, H, W, C] in [-1, 1], paired or not, as its data sets have them.
    """

    kinds = ("pairs", "unpaired")
    task = "image-to-image"
    _examples: tuple = ()

    def translators(self) -> dict[str, Translator]:
        """{domain: the network that makes images of it}; `b` first."""
        raise NotImplementedError

    @property
    def published(self) -> Translator:
        return next(iter(self.best().values()))

    def best(self) -> dict[str, Translator]:
        """`translators`, each by its average where one is kept."""
        averages = {id(source): average for average, source in self.averaged()}
        return {to: averages.get(id(net), net) for to, net in self.translators().items()}

    def generators(self) -> dict[str, Translator]:
        names = {id(network): name for name, network in self.networks().items()}
        return {names[id(network)]: network for network in self.best().values()}

    @property
    def example(self) -> str:
        return "translated = model.translate(images)"

    @property
    def purpose(self) -> str:
        ways = " and ".join(f"{'ab'[to == 'a']} to {to}" for to in self.translators())
        return f"translates images, {ways}"

    # --- the step

    def prepare(self, data) -> Batch:
        batch = {side: to_float(image) for side, image in zip(SIDES, pair_of(data), strict=True)}
        return {side: tf.cast(image, "float32") for side, image in batch.items()}

    def check_batch(self, data) -> None:
        if data is None:
            return
        images = pair_of(data)
        for image, network in zip(images, self._inputs(), strict=True):
            if network is not None:
                check_images(image, network.input_shape[1:])
        self._examples = tuple(_first_eight(np.asarray(image)) for image in images)

    def _inputs(self):
        """The networks that take images of `a` and of `b`; `None` where none does."""
        to = self.translators()
        return to.get("b"), to.get("a")

    # --- use

    def translate(self, images, *, to="b", batch_size=8) -> np.ndarray:
        """uint8 images of the domain `to`; see `Translator.translate`.

        Raises: ValueError: this family makes no images of `to`; else as `Translator.translate`.
        """
        networks = self.best()
        if to not in networks:
            raise ValueError(f"`to` must be one of {tuple(networks)}. Received: to={to!r}")
        return networks[to].translate(images, batch_size=batch_size)

    def examples(self, count, seed=0) -> tuple[np.ndarray, np.ndarray]:
        """uint8 images of both domains: of the batch that `fit` began with, else soft random ones.
        """
        if self._examples:
            order = np.random.RandomState(seed).permutation(len(self._examples[0]))
            order = np.resize(order, count)
            return tuple(images[order] for images in self._examples)
        shape = [n or 64 for n in self.published.input_shape[1:]]
        return tuple(_waves(count, shape, 2 * seed + side) for side in range(2))

    def example_batch(self, count) -> dict[str, np.ndarray]:
        shape = [n or 64 for n in self.published.input_shape[1:]]
        return {side: _waves(count, shape, seed) for seed, side in enumerate(SIDES)}

    def preview(self, count, columns, seed) -> np.ndarray:
        """uint8 [N, H, 2 W or more, C]: inputs, to their right what is made of them, and the way
        back where there is one; half of the pictures for each direction.
        """
        rows = max(1, count // (1 + len(self.translators())))
        pictures = []
        for to, images in zip(reversed(SIDES), self.examples(rows, seed), strict=True):
            if to not in self.translators():
                continue
            parts = [images, self.translate(images, to=to)]
            back = "ab"[to == "a"]
            if back in self.translators():
                parts.append(self.translate(parts[-1], to=back))
            pictures.append(np.concatenate(of_one_depth(parts), axis=2))
        return np.concatenate(of_one_depth(pictures))

    def samples(self, count, *, seed=0, batch_size=64, given=None) -> Iterator:
        """Translations to `b` of `given`, batches of uint8 images of `a`; see `GAN.samples`."""
        left = count
        for images in [self.examples(count, seed)[0]] if given is None else given:
            images = np.asarray(images)[:left]
            for start in range(0, len(images), batch_size):
                yield self.translate(images[start : start + batch_size], batch_size=batch_size)
            left -= len(images)
            if left == 0:
                return


def pair_of(data) -> tuple[np.ndarray | tf.Tensor, np.ndarray | tf.Tensor]:
    """(a, b) of a batch: a dict with both keys, or a pair."""
    if isinstance(data, dict) and set(SIDES) <= set(data):
        return data["a"], data["b"]
    if isinstance(data, (tuple, list)) and len(data) == 2:
        return tuple(data)
    received = sorted(data) if isinstance(data, dict) else type(data).__name__
    raise ValueError(
        "A batch is a dict with the keys `a` and `b`, or a pair of images; see "
        f"`ganzoo.data.Pairs` and `ganzoo.data.Unpaired`. Received: {received}"
    )


def _first_eight(images):
    return images[:8] if images.dtype == np.uint8 else to_uint8(images[:8])


def _waves(count, shape, seed):
    """Soft random colours, uint8 [count, *shape]."""
    height, width, channels = shape
    state = np.random.RandomState(seed)
    y, x = np.mgrid[:height, :width]
    frequencies = state.uniform(1, 4, (count, 1, 1, channels, 2)) * (2 * np.pi)
    phases = state.uniform(0, 2 * np.pi, (count, 1, 1, channels))
    places = np.stack([y / height, x / width], -1)[np.newaxis, :, :, np.newaxis]
    waves = np.sin((frequencies * places).sum(-1) + phases)
    return np.rint(127.5 + 120 * waves).astype("uint8")
