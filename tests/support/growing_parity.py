"""How far ProGAN and StyleGAN are from their official goldens."""

import re

import numpy as np
import stylegan_parity
import tensorflow as tf

from ganzoo.checkpoints import reader

DEFAULT = (0.7, 8)  # of the official `Gs.run`


def truncations(key):
    """(truncation, cutoff) that the name of an array of images tells."""
    found = re.search(r"psi(\d+)_cut(\d+)", key)
    if found is None:
        return DEFAULT if key == "img_default" else (1.0, None)
    return float(f"{found[1][0]}.{found[1][1:]}"), int(found[2])


def lod_of(key, stored):
    """The level of detail that the name of an array tells."""
    found = re.search(r"_lod(\d+)(?:p(\d+))?$", key)
    return stored if found is None else float(f"{found[1]}.{found[2] or 0}")


def images_of(gan, held, key):
    """Our images for an array `img...`."""
    network = gan.generator if "_G" in key else gan.generator_ema
    if key == "img_wsrand":
        return network.synthesis(held["ws_rand"])
    count = len(held[key])
    z, labels = held["z"][:count], held["c"][:count]
    if "ws_rand" not in held:
        return network((z, labels))
    return network.synthesis(network.mapping(z, labels, *truncations(key)))


def logits_of(gan, held, key):
    """Our logits for an array `d_scores...`."""
    if key == "d_scores_gen":
        images = held["img" if "img" in held else "img_psi1"]
    else:
        images = held["d_img"][: int(re.match(r"d_scores(\d)", key)[1])]
    labels = held["d_c"][: len(images)] if "d_c" in held else None
    return gan.discriminator(images if labels is None else (images, labels))


def parity(folder):
    """[(quantity, max |error| / max(1, max |golden|))] of a case."""
    gan, held = stylegan_parity.network(folder), stylegan_parity.arrays(folder)
    found, stored = [], gan.lod
    for key, wanted in held.items():
        gan.set_lod(lod_of(key, stored))
        if key == "dlatents":
            ours = gan.generator_ema.mapping(held["z"], held["c"])
        elif key.startswith("img"):
            ours = images_of(gan, held, key)
        elif key.startswith("d_scores"):
            ours = logits_of(gan, held, key)
        else:
            continue
        found.append((key, stylegan_parity.error(ours, wanted)))
    gan.set_lod(stored)
    return found


class Losses:
    """A training case: its GAN, its arrays, and how its gradients are named."""

    def __init__(self, folder, source):
        tree = reader.load(folder / "network.pkl")
        self.gan = stylegan_parity.network(folder)
        self.arrays = stylegan_parity.arrays(folder)
        self.tables = {part.network: part.table for _, part, _ in source.recognise_networks(tree)}
        with np.load(folder / "golden.npz", allow_pickle=False) as file:
            self.raw = {key: file[key] for key in file.files if "/grad/" in key}

    def error(self, phase, network, loss):
        """(value of `loss()`, the worst of its gradients as a share of what is allowed)."""
        prefix = f"{phase}/grad/"
        wanted = {k.removeprefix(prefix): v for k, v in self.raw.items() if k.startswith(prefix)}
        largest = max(np.abs(v).max() for v in wanted.values())
        variables = {
            v.path.partition("/")[2]: v for v in getattr(self.gan, network).trainable_variables
        }
        with tf.GradientTape() as tape:
            value = loss()
        ours = tape.gradient(value, {k: v.value for k, v in variables.items()})
        errors, seen = [], set()
        for name, value_of in wanted.items():
            address, golden = self._place(network, name, value_of)
            seen.add(address)
            shape = variables[address].shape
            found = np.zeros(shape) if ours[address] is None else ours[address].numpy()
            golden = golden if golden.shape == shape else np.zeros(shape)  # [1]: it has none
            errors.append(stylegan_parity.gradient_error(found, golden, largest))
        assert seen == set(ours), set(ours) ^ seen
        return float(value), max(errors)

    def _place(self, network, name, value):
        name = re.sub("^G_(synthesis|mapping)/", r"\1.", name)
        for rule in self.tables[network]:
            match = re.fullmatch(rule.source, name)
            if match and rule.target and value.shape != (1,):
                return match.expand(rule.target), rule.transform(value)
            if match and rule.target:
                return match.expand(rule.target), value
        raise AssertionError(name)
