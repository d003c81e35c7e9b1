"""Names to models: where weights are, and what opens them.

A published model is a row of `weights_manifest.json`: family, files with their mirrors and sha256,
licence. Weights in ganzoo's own form are read by `store`, `.keras` files by `keras_files`, other
people's files by `conversions`. A published file is parsed only after its sha256 is verified, and
nothing in any file is ever executed.
"""

import dataclasses
import functools
import pathlib
import re
import warnings

from ganzoo import families, fetch
from ganzoo.addresses import addresses
from ganzoo.errors import PlannedModelError, WeightsError, first_line
from ganzoo.hub import conversions, keras_files, licences, rows, store, vetting
from ganzoo.hub.store import CONFIG, WEIGHTS
from ganzoo.origin import INITIAL, Origin

READABLE = ".pth .pt .ckpt .bin .tar .pkl .npz .npy .h5 .keras .safetensors".split()


def load(
    name, *, family=None, pick=None, channel_order=None, accept_license=False, **overrides
):
    """A pretrained model, ready to `generate`, `compile` and `fit`.

    Args:
        name: a name or alias of `list_models()`; `hf://org/repo[@revision][/file]`; an
            `https://...` file; a folder written by `save_pretrained` or by `ganzoo train`; a
            `.keras` file of `gan.save`; or a foreign checkpoint (`.pth`, `.tar`, `.pkl`, `.npz`, a
            folder of `.npy`, ...), whose layout is recognised from its content: every network
            that it holds is filled.
        family: the file in `families/` that the model must be of, for a foreign file whose layout
            several families share. Defaults to `None`, any.
        pick: key of a foreign file under which the model lies, such as `"netG_ema"`, where it holds
            several. Defaults to `None`, whatever it holds.
        channel_order: `"rgb"` or `"bgr"`, of the images that a foreign file's networks make, where
            the file does not tell; ours are always RGB. Defaults to `None`.
        accept_license: bool. Non-commercial weights need it once; see the error.
        **overrides: constructor arguments of the family that differ from the published ones, such
            as `seed`, `ema`, `critic_steps`, `num_classes`, `channels`, `image_size` (or
            `resolution`). Where one changes the shape of weights, those that still fit are copied
            and `gan.unmatched` and a warning tell the others.

    Returns: the family's `GAN`. `gan.provenance` says per network where its weights came from: both
        players exist, and one that the checkpoint does not hold keeps its initial weights.
    Raises: ValueError: unknown family, pick or override; the types of `ganzoo.errors`:
        UnknownModelError, PlannedModelError, LicenseError, DownloadError (and its kinds),
        WeightsError (and its kinds).
    Example: `ganzoo.load("dcgan-digiface-64").generate(16, seed=0)`
    """
    place = locate(name, accept_license=accept_license)
    return place.open(family=family, pick=pick, channel_order=channel_order, **overrides)


def load_generator(name, *, network=None, accept_license=False):
    """The bare network that `load(name).generate` draws from, without a discriminator.

    Args:
        name, accept_license: as for `load`; for a `.keras` or a local foreign file the whole model
            is built on the way.
        network: which of the published ones, such as `"generator_ba"`, or `"generator"` instead of
            its average `"generator_ema"`. Defaults to `None`: the average of the first where the
            file holds one.

    Returns: `Generator`, `Translator` or `Vocoder`, for serving.
    Raises: ValueError: no such `network`; else as `load`.
    """
    return locate(name, accept_license=accept_license).open_generator(network)


def download(name, *, accept_license=False) -> list[pathlib.Path]:
    """Brings every file of a published model, of an `hf://` or `https://` address into the cache.

    Returns: the local files (or folder), verified. Raises: as `load`.
    """
    return [
        pathlib.Path(file["path"]) for file in locate(name, accept_license=accept_license).files
    ]


def verify(name, *, offline=None, accept_license=False) -> list[dict]:
    """Checks the local files of a published model and that they fit its networks.

    Args:
        name: a name or alias of `list_models()` whose files are in the package or in the cache, and
            whose licence was accepted.
        offline, accept_license: as for `locate`.
    Returns: for each file {"file", "ok", "message"}; nothing is fetched where `offline`.
    """
    try:
        place = locate(name, offline=offline, accept_license=accept_license)
        gan = place.open()
    except (ValueError, OSError) as error:
        return [{"file": str(name), "ok": False, "message": first_line(error)}]
    networks = [network for network, origin in gan.provenance.items() if origin != INITIAL]
    message = f"{type(gan).__name__}: {', '.join(networks)}"
    return [{"file": str(file["path"]), "ok": True, "message": message} for file in place.files]


# --- places


@dataclasses.dataclass(frozen=True)
class Place:
    """Local files that a name stands for; found once, opened as often as one likes.

    Args:
        origin: for messages and `gan.provenance`.
        files: dicts with `path`, and for foreign files what `foreign.load` takes.
        row: of the manifest, or the `config.json` of a folder; `None` for other files.
        cached: bool. Downloaded, so that a conversion is kept.
    """

    origin: str
    files: list
    row: dict | None = None
    cached: bool = False

    def open(self, *, family=None, pick=None, channel_order=None, **overrides):
        """The `GAN`. Args, Raises: as `load`."""
        for key, value in (("pick", pick), ("channel_order", channel_order)):
            if value is not None:
                raise ValueError(
                    f"`{key}` is for foreign files; {self.origin!r} is none. "
                    f"Received: {key}={value!r}"
                )
        return self._open(family, overrides)

    def open_generator(self, network=None):
        """One published network. Args, Raises: as `load_generator`."""
        return generator_of(self.open(), network, self.origin)


class StoredPlace(Place):
    """A model in ganzoo's own form."""

    def _open(self, family, overrides):
        check_family(self.row["family"], family, self.origin)
        return filled(self.row, self._arrays(), self.origin, overrides)

    def open_generator(self, network=None):
        return lean(self.row, self._arrays(), network, self.origin)

    def _arrays(self):
        # `sha256` is that of a folder's config; a published file was verified by `fetch`.
        return store.read_safetensors(self.files[0]["path"], sha256=self.row.get("sha256"))


class KerasPlace(Place):
    """A `.keras` file, which is loaded as it was saved."""

    def _open(self, family, overrides):
        if overrides:
            raise ValueError(
                f"A .keras file is loaded as it was saved. Received: {sorted(overrides)}"
            )
        gan = keras_files.load(self.files[0]["path"], self.origin)
        check_family(families.name_of(type(gan)), family, self.origin)
        gan.provenance = {network: Origin(self.origin) for network in gan.networks()}
        return gan


class ForeignPlace(Place):
    """Other people's files. What was downloaded is converted once and kept."""

    def open(self, *, family=None, pick=None, channel_order=None, **overrides):
        given = {"pick": pick, "channel_order": channel_order}
        given = {key: value for key, value in given.items() if value is not None}
        place = dataclasses.replace(self, files=[{**file, **given} for file in self.files])
        return place._open(family, overrides)

    def _open(self, family, overrides):
        if not self.cached:
            gan, networks, differs = conversions.adapted(self, family, overrides)
            return self._finished(gan, networks, overrides if differs else {})
        folder = conversions.kept(self, family)
        conversion = conversions.read(folder)
        if conversion is not None:
            row, arrays = conversion
            check_family(row["family"], family, self.origin)
            return filled(row, arrays, self.origin, overrides)
        gan, networks = conversions.build(self, family)
        conversions.keep(gan, networks, folder)
        check_family(families.name_of(type(gan)), family, self.origin)
        return self._finished(gan, networks, overrides)

    def open_generator(self, network=None):
        conversion = conversions.read(conversions.kept(self)) if self.cached else None
        if conversion is None:
            return super().open_generator(network)
        return lean(*conversion, network, self.origin)

    def _finished(self, gan, networks, overrides):
        """The model that was built just now; with overrides, another that takes what fits."""
        if overrides:
            return filled(store.describe(gan), _in_memory(gan, networks), self.origin, overrides)
        gan.provenance = store.complete(gan.networks(), networks, self.origin)
        return gan


# --- where weights are


def locate(name, *, offline=None, accept_license=False) -> Place:
    """Finds, or fetches, what `load(name)` reads.

    Args:
        name: as for `load`.
        offline: bool; `True`: only what is here. Defaults to `None`: as `fetch.offline()` says.
        accept_license: as for `load`; `None`: the weights are only looked at, and nobody is asked.

    Raises: as `load`.
    """
    text = str(name)
    if text.startswith("hf://"):
        return _on_the_hub(text, offline)
    if text.startswith(("https://", "http://")):
        return _of_file(fetch.fetch_url(text, offline=offline), text, cached=True)
    path = pathlib.Path(name)
    if not path.exists() or rows.is_published(text):
        if not rows.is_published(text) and (path.suffix in READABLE or len(path.parts) > 1):
            raise WeightsError(f"There is no file or folder {text!r}. Received: name={text!r}")
        return _published(rows.full_name(text), offline, accept_license)
    return _of_folder(path, text) if path.is_dir() else _of_file(path, text)


def _published(name, offline, accept_license):
    row = rows.row_of(name)
    if row["status"] == "planned":
        raise PlannedModelError(
            f"{name!r} is listed but cannot be loaded yet: {row['why']}. `ganzoo list` shows the "
            "models that can"
        )
    licences.check(name, row, accept_license)
    files = [{**file, "path": fetch.fetch(file, name, offline=offline)} for file in row["files"]]
    native = all(file["converter"] is None for file in files)
    return (StoredPlace if native else ForeignPlace)(name, files, row, cached=True)


def _on_the_hub(text, offline):
    match = re.fullmatch(r"hf://([^/@]+/[^/@]+)(?:@([^/]+))?(?:/(.+))?", text)
    if match is None:
        raise ValueError(
            "A model on the Hugging Face Hub is `hf://org/repo`, `hf://org/repo@revision` or "
            f"`hf://org/repo@revision/file`. Received: name={text!r}"
        )
    repo, revision, file = match.groups()
    if file is not None:
        return _of_file(fetch.fetch_hf(repo, file, revision, offline=offline), text, cached=True)
    return _of_folder(fetch.fetch_repo(repo, revision, offline=offline), text, cached=True)


def _of_folder(folder, origin, cached=False):
    if (folder / CONFIG).is_file() and (folder / WEIGHTS).is_file():
        row = store.read_config(folder / CONFIG)
        return StoredPlace(origin, [{"path": folder / WEIGHTS}], row)
    arrays = sorted(folder.glob("*.npy"))
    if arrays:
        return ForeignPlace(origin, [{"path": path} for path in arrays], cached=cached)
    if any(folder.glob("variables/variables*.index")) or any(folder.glob("*.index")):
        return ForeignPlace(origin, [{"path": folder}], cached=cached)
    files = sorted(path for path in folder.iterdir() if path.suffix in READABLE)
    if len(files) == 1:
        return _of_file(files[0], origin, cached)
    raise WeightsError(
        f"{origin!r} holds no model: neither {CONFIG} with {WEIGHTS} (`gan.save_pretrained` writes "
        f"them) nor one checkpoint; name one of its files. Received: {[p.name for p in files]}"
    )


def _of_file(path, origin, cached=False):
    kind = KerasPlace if path.suffix == ".keras" else ForeignPlace
    return kind(origin, [{"path": path}], cached=cached)


# --- opening


def filled(row, arrays, origin, overrides):
    """The GAN of a row with its weights; with overrides, those that still fit."""
    import keras

    families.family_class(row["family"])  # registers what the configuration names
    vetting.refuse_other_classes(row["config"], origin)
    arguments = keras.saving.deserialize_keras_object(row["config"])
    gan = families.construct(row["family"], {**arguments, **overrides})
    gan.provenance = store.fill(gan.networks(), arrays, origin, partial=bool(overrides))
    if overrides:  # without them everything fitted
        gan.unmatched = store.unmatched(gan.networks(), arrays)
        _warn(gan, origin)
    return gan


def _in_memory(gan, networks):
    return store.InMemory(
        {
            f"{name}/{address}": variable.numpy()
            for name in networks
            for address, variable in addresses(gan.networks()[name]).items()
        }
    )


def _warn(gan, origin):
    if gan.unmatched:
        shown = "; ".join(f"`{key}`: {why}" for key, why in list(gan.unmatched.items())[:4])
        warnings.warn(
            f"{len(gan.unmatched)} weights of {origin!r} do not fit the altered model, whose own "
            f"keep their initial values there: {shown}. All of them: `gan.unmatched`",
            stacklevel=6,
        )


def check_family(name, family, origin) -> None:
    """Raises: ValueError: the model is not of the family that was asked for, if one was."""
    if family is not None and families.family_class(family) is not families.family_class(name):
        raise ValueError(f"{origin!r} is of family {name!r}. Received: family={family!r}")


# --- one network


def lean(row, arrays, network, origin):
    """A published network, whose variables begin as the stored arrays: no random numbers are drawn,
    and no weight is in memory twice.
    """
    import keras

    name, described = _described(row, store.networks_of(arrays), network, origin)
    cls = families.network_class(row["family"], described["class_name"])
    if cls is None:
        raise WeightsError(
            f"{origin!r} names a network that its family lacks. "
            f"Received: class_name={described['class_name']!r}"
        )
    vetting.refuse_other_classes(described["config"], origin)
    arrays = arrays.of(name)
    with keras.StatelessScope():  # variables are initialised when it ends
        model = cls.from_config(described["config"])
        for key, variable in store.check_fit({name: model}, arrays, origin).items():
            variable._initializer = functools.partial(_value, arrays, key)
    return model


def _described(row, held, network, origin):
    """(name of the network in the file, its class and configuration)."""
    described = store.generators_of(row)
    pairs = {name: described[key] for key in described for name in pair(key)}
    main = next(iter(described))
    if network is not None and network not in pairs:
        raise _unknown_network(network, [name for name in pairs if name in held], origin)
    choices = pair(main) if network is None else [network]
    for name in choices:
        if name in held:
            return name, pairs[name]
    raise WeightsError(f"{origin!r} holds no generator. Received: networks={held}")


def pair(name) -> list[str]:
    """A network's average and the network itself."""
    base = name.removesuffix("_ema")
    return [f"{base}_ema", base]


def _unknown_network(network, legal, origin):
    return ValueError(
        f"`network` of {origin!r} must be one of {legal}. Received: network={network!r}"
    )


def generator_of(gan, network, origin):
    """A published network of a whole model."""
    networks = gan.networks()
    legal = [name for key in gan.generators() for name in pair(key) if name in networks]
    if network is not None and network not in legal:
        raise _unknown_network(network, legal, origin)
    main = network or next(iter(gan.generators()))
    if all(gan.provenance[n] == INITIAL for n in pair(main) if n in networks):
        raise WeightsError(f"{origin!r} holds no generator. Received: provenance={gan.provenance}")
    return networks[main]


def _value(arrays, key, shape, dtype=None):
    """A stored array as a tensor in the same memory, which TensorFlow needs to be aligned."""
    import tensorflow as tf

    array = arrays.read(key, tf.as_dtype(dtype).as_numpy_dtype)
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
