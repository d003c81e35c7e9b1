"""Feature networks with all that makes their numbers: weights, resizer, scale.

`extractor(name)` gives what FID, KID, the Inception Score, precision and recall are computed from:

| name | network and weights | resizer | scale | equals |
| --- | --- | --- | --- | --- |
| `inception` | FID Inception, 2015-12-05 | `tf1` | (x - 128) / 128 | torch-fidelity; TTUR |
| `inception-clean` | the same | `clean` | (x - 128) / 128 | clean-fid |
| `inception-torch` | the same | `torch` | 2 x / 255 - 1 | pytorch-fid |

`similarity(name)` gives LPIPS distances with the resizing of a named reference.

Weights are fetched from where they were published, verified, converted once and kept in the cache
of `ganzoo.fetch`; `weights=` names a local file instead, whose sha256 then is the extractor's.
"""

import dataclasses
import hashlib
import pathlib
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from ganzoo import fetch, hub
from ganzoo.hub import conversions
from ganzoo.metrics.arrays import MetricError, checked_images, what_floats
from ganzoo.metrics.inception import OUTPUTS, SIZE, inception, select
from ganzoo.metrics.lpips import LPIPS
from ganzoo.metrics.resize import resize, resize_float

WEIGHTS = "model.safetensors"
GRAY_OR_RGB = (1, 3)
PUBLISHED = "published"
INCEPTION_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
_RELEASES = "https://github.com/{}/releases/download/{}/{}-2015-12-05-6726825d.pth"
_TORCHVISION = "https://download.pytorch.org/models"
_HEADS = (
    "https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/master/lpips/weights/v0.1"
)


def _file(*urls, sha256=None, size=None, sha256_prefix=None):
    """A file as `fetch.fetch` takes it."""
    mirrors = [{"url": url} for url in urls]
    known = {"mirrors": mirrors, "bytes": size, "sha256": sha256}
    return known | ({"sha256_prefix": sha256_prefix} if sha256_prefix else {})


INCEPTION_FILE = _file(
    _RELEASES.format("mseitzer/pytorch-fid", "fid_weights", "pt_inception"),
    _RELEASES.format("toshas/torch-fidelity", "v0.2.0", "weights-inception"),
    sha256=INCEPTION_SHA256,
    size=95_628_359,
)
# Backbones carry the first digits of their hash in their names; heads are those of lpips 0.1.4.
LPIPS_FILES = {
    "alex": (
        _file(f"{_TORCHVISION}/alexnet-owt-7be5be79.pth", sha256_prefix="7be5be79"),
        _file(
            f"{_HEADS}/alex.pth",
            sha256="df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
            size=6009,
        ),
    ),
    "vgg": (
        _file(f"{_TORCHVISION}/vgg16-397923af.pth", sha256_prefix="397923af"),
        _file(
            f"{_HEADS}/vgg.pth",
            sha256="a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
            size=7289,
        ),
    ),
    "squeeze": (
        _file(f"{_TORCHVISION}/squeezenet1_1-b8a52dc0.pth", sha256_prefix="b8a52dc0"),
        _file(
            f"{_HEADS}/squeeze.pth",
            sha256="4a5350f23600cb79923ce65bb07cbf57dca461329894153e05a1346bd531cf76",
            size=10811,
        ),
    ),
}


# What a metric is given


class Outputs(NamedTuple):
    """What an extractor makes of a batch: float32 [B, dim] and [B, classes], the latter unbiased.

    A network without classes has `logits` of no columns.
    """

    features: np.ndarray
    logits: np.ndarray


class Extractor(Protocol):
    """Anything with these attributes can be measured with; values of unlike ones never compare.

    Attributes:
        name: str. Network, layer and front end, such as `"inception-clean"`.
        sha256: str. 64 hex digits of the file that the weights were read from.
        resizer: str. A name of `resize.RESIZERS`, or `"none"`.
        dim: int. Columns of the features.
        classes: int. Columns of the logits, 0 for none.
    """

    name: str
    sha256: str
    resizer: str
    dim: int
    classes: int

    def __call__(self, images) -> Outputs:
        """Outputs of uint8 [B, H, W, C] images in 0..255."""


def _spans_8_bits(images):
    """Whether floats may be meant as [0, 255]: a black image may, one in [0, 1] may not."""
    low, high = images.min(), images.max()
    return low >= 0 and (high == 0 or 1 < high <= 255)


# Inception


def _centred(x):
    """TensorFlow's scale: exact in float32."""
    return (x - 128.0) / 128.0


def _full(x):
    """[0, 255] to [-1, 1]."""
    return x / 255.0 * 2.0 - 1.0


@dataclasses.dataclass(frozen=True)
class FrontEnd:
    """What a reference does to images before its network.

    Args:
        resizer: str out of `resize.RESIZERS`.
        scale: function of float32 [0, 255].
        reference: str. The implementation that does so.
    """

    resizer: str
    scale: Callable
    reference: str


FRONT_ENDS = {
    "inception": FrontEnd("tf1", _centred, "torch-fidelity 0.4.0; TTUR"),
    "inception-clean": FrontEnd("clean", _centred, "clean-fid"),
    "inception-torch": FrontEnd("torch", _full, "pytorch-fid 0.3.0"),
}


class InceptionExtractor:
    """FID's Inception behind the front end of a reference; an `Extractor`.

    Args:
        network: `inception.inception(...)` with all outputs, filled.
        sha256: str. 64 hex digits of the file that filled it.
        name: str out of `FRONT_ENDS`. Defaults to `"inception"`.
        layer: `"64"`, `"192"`, `"768"` or `"2048"`, which FID takes. Others are for images of few
            samples, and part of the extractor's name. Defaults to `"2048"`.
    """

    def __init__(self, network, sha256, name="inception", *, layer="2048"):
        if name not in FRONT_ENDS or layer not in OUTPUTS or not layer.isdigit():
            raise ValueError(
                f"`name` is one of {list(FRONT_ENDS)}, `layer` one of "
                f"{[key for key in OUTPUTS if key.isdigit()]}. "
                f"Received: name={name!r}, layer={layer!r}"
            )
        self.front_end, self.layer, self.sha256 = FRONT_ENDS[name], layer, sha256
        self.name = name if layer == "2048" else f"{name}-{layer}"
        self.resizer, self.dim = self.front_end.resizer, OUTPUTS[layer]
        # Logits only where the whole network runs anyway.
        self.classes = OUTPUTS["logits_unbiased"] if layer == "2048" else 0
        self.network = select(network, (layer, "logits_unbiased")[: 1 + (self.classes > 0)])
        self._compiled = {}  # size of images -> function

    def forward(self, images) -> tuple[tf.Tensor, tf.Tensor]:
        """(features, logits) as tensors, for use in a graph or in `strategy.run`.

        Args: images: uint8 tensor [B, H, W, 1 or 3] of known H and W. Gray becomes three equal
            channels, as `convert("RGB")` of the references makes it.
        """
        images = tf.repeat(images, 3, axis=-1) if images.shape[-1] == 1 else images
        found = self.network(self.front_end.scale(resize(images, SIZE, self.resizer)))
        features = found[self.layer]
        logits = found["logits_unbiased"] if self.classes else tf.zeros_like(features)[:, :0]
        return features, logits

    def __call__(self, images):
        images = checked_images(images, channels=GRAY_OR_RGB)
        compiled = _compiled(self._compiled, self.forward, images)
        return Outputs(*(found.numpy() for found in compiled(images)))


def _compiled(cache, function, *batches):
    """`function` for batches of any length, traced once for each size of images."""
    signature = [tf.TensorSpec((None, *batch.shape[1:]), batch.dtype) for batch in batches]
    key = tuple(batch.shape[1:] for batch in batches)
    if key not in cache:
        cache[key] = tf.function(function, input_signature=signature)
    return cache[key]


def extractor(name="inception", *, layer="2048", weights=PUBLISHED) -> Extractor:
    """The feature network of a named reference, with its weights.

    Args:
        name: str out of `FRONT_ENDS`; see the table above. Defaults to `"inception"`.
        layer: `"64"`, `"192"`, `"768"` or `"2048"`. Defaults to `"2048"`, that of FID.
        weights: `"published"`, or path of a file in the layout of `pt_inception-2015-12-05`.
            Defaults to `"published"`, 96 MB that are fetched once.
    Returns: `Extractor`: uint8 images to float32 features and logits.
    Raises: ValueError: for an unknown name or layer, or a file with other weights;
        `ganzoo.errors.DownloadError`, `HashError`, `CheckpointError`: with the file and next step.
    Example:
        >>> features, logits = extractor("inception-clean")(images)  # doctest: +SKIP
    Reference: FID of the same images differs by several per cent between the front ends
        (arXiv:2104.11222, table 1): a record names the one it was made with.
    """
    if name not in FRONT_ENDS:
        raise ValueError(f"`name` must be one of {list(FRONT_ENDS)}. Received: name={name!r}")
    from ganzoo.convert import inception as convert

    network = inception(tuple(OUTPUTS))
    path, sha256 = _located(weights, INCEPTION_FILE, "inception-2015-12-05")
    _fill(network, "inception", [(path, sha256)], convert.fill)
    return InceptionExtractor(network, sha256, name, layer=layer)


# LPIPS


def _as_it_is(images):
    return images


def _torch_fidelity_64(images):
    """To 64 pixels: by areas if both sides are longer, else bilinear."""
    height, width = images.shape[1:3]
    return resize_float(images, 64, "area" if min(height, width) > 64 else "torch")


def _stylegan_256(images):
    """Means of whole squares, so that the height is at least 256, if it is more."""
    factor = max(images.shape[1] // 256, 1)
    return tf.nn.avg_pool2d(images, factor, factor, "VALID") if factor > 1 else images


SIMILARITY_RESIZERS = {
    "none": _as_it_is,
    "torch-fidelity-64": _torch_fidelity_64,
    "stylegan-256": _stylegan_256,
}


class Similarity:
    """LPIPS distances of images in [0, 255]; lower is more alike, 0 for equal images.

    Args:
        network: `lpips.LPIPS`, filled.
        sha256: str. 64 hex digits that stand for the files that filled it.
        resizer: `"none"`; `"torch-fidelity-64"` or `"stylegan-256"`, what these do in their
            perceptual path lengths. Defaults to `"none"`.
    """

    def __init__(self, network, sha256, resizer="none"):
        if resizer not in SIMILARITY_RESIZERS:
            raise ValueError(
                f"`resizer` must be one of {list(SIMILARITY_RESIZERS)}. "
                f"Received: resizer={resizer!r}"
            )
        self.network, self.sha256, self.resizer = network, sha256, resizer
        self.name = f"lpips-{network.backbone}"
        self._compiled = {}  # sizes of images -> function

    def forward(self, first, second) -> tf.Tensor:
        """Distances as a tensor, for use in a graph; differentiable in both.

        Args: first, second: float32 tensors [B, H, W, 3] in [0, 255].
        """
        resized = (SIMILARITY_RESIZERS[self.resizer](x) for x in (first, second))
        return self.network(*(x / 127.5 - 1.0 for x in resized))

    def __call__(self, first, second):
        """Distances of pairs: float32 [B].

        Args: first, second: [B, H, W, 1 or 3], uint8, or float32 in [0, 255]: path lengths are
            made of steps too small for 8 bits.
        Raises: MetricError: if floats look like [0, 1] or [-1, 1], or as `checked_images`;
            ValueError: if shapes differ.
        """
        first, second = (self._checked(images) for images in (first, second))
        return _compiled(self._compiled, self.forward, first, second)(first, second).numpy()

    def _checked(self, images):
        images = np.asarray(images)
        if images.dtype != np.float32:
            images = checked_images(images, channels=GRAY_OR_RGB)
        elif images.ndim != 4 or not images.size or not _spans_8_bits(images):
            raise MetricError(
                "Expected uint8 images, or float32 ones [B, H, W, C] in [0, 255]. "
                f"Received: {what_floats(images)}, shape={images.shape}"
            )
        images = np.repeat(images, 3, axis=-1) if images.shape[-1] == 1 else images
        return images.astype(np.float32)


def similarity(backbone="alex", *, resizer="none", weights=PUBLISHED) -> Similarity:
    """LPIPS with its published weights.

    Args:
        backbone: `"alex"`, `"vgg"` or `"squeeze"`; path lengths are measured with `"vgg"`.
        resizer: see `Similarity`. Defaults to `"none"`.
        weights: `"published"`, or two paths: torchvision's backbone, and the heads of LPIPS 0.1.
            Defaults to `"published"`; fetched once: 244 MB, 553 MB or 5 MB.
    Returns: `Similarity`.
    Raises: as `extractor`.
    """
    from ganzoo.convert import lpips as convert

    network = LPIPS(backbone)
    paths = (PUBLISHED, PUBLISHED) if weights == PUBLISHED else tuple(weights)
    if len(paths) != 2:
        raise ValueError(
            "`weights` are two paths: of the backbone and of the heads. "
            f"Received: weights={weights!r}"
        )
    names = (f"lpips-{backbone} backbone", f"lpips-{backbone} heads")
    files = [_located(*rest) for rest in zip(paths, LPIPS_FILES[backbone], names)]
    _fill(network, f"lpips-{backbone}", files, convert.fill)
    joined = "".join(sha256 for _, sha256 in files)
    return Similarity(network, hashlib.sha256(joined.encode()).hexdigest(), resizer)


# Weights


def _located(weights, published, name):
    """(path, sha256) of a published file, fetched, or of a local one."""
    path = fetch.fetch(published, name) if weights == PUBLISHED else pathlib.Path(weights)
    if not path.is_file():
        raise ValueError(
            f"There is no such file of weights for {name}; {PUBLISHED!r} fetches them. "
            f"Received: weights={str(weights)!r}"
        )
    known = published["sha256"] if weights == PUBLISHED else None  # `fetch` has verified it
    return path, known or fetch.sha256_of(path)


def _fill(network, kind, files, convert):
    """Fills a network from foreign files, or from what was converted from them before."""
    folder = fetch.converted(f"{kind}-{_key(files)}")
    if not (folder / WEIGHTS).is_file():
        with fetch.locked(folder):
            if not (folder / WEIGHTS).is_file():
                _convert(network, folder, files, convert)
    hub.fill({network.name: network}, hub.read_safetensors(folder / WEIGHTS), str(folder))


def _key(files):
    """Changes with the files and with the code that converts them."""
    digest = hashlib.sha256(" ".join(sha256 for _, sha256 in files).encode())
    digest.update(conversions.code())
    return digest.hexdigest()[:24]


def _convert(network, folder, files, convert):
    from safetensors.numpy import save_file

    from ganzoo.addresses import addresses
    from ganzoo.checkpoints import reader

    convert(network, *(reader.read(path) for path, _ in files))
    arrays = {f"{network.name}/{key}": value.numpy() for key, value in addresses(network).items()}
    with fetch.fresh_folder(folder) as scratch:
        save_file(arrays, scratch / WEIGHTS)
