"""Pickles of the official StyleGAN3 (NVlabs/stylegan3, PyTorch): class `Generator` of
`training.networks_stylegan3`, beside StyleGAN2's discriminator.

Layout: {"G", "D", "G_ema"} of modules that hold their constructors' arguments, from which all sizes
come; mapping options are nested, synthesis options flat. The layers' order is that of the attribute
`layer_names`. Filters are stored and read; layers without one have none.
"""

import re

from ganzoo.checkpoints.reader import META, flatten
from ganzoo.convert.stylegan2_torch import (
    discriminator_options,
    discriminator_table,
    is_discriminator,
)
from ganzoo.convert.table import Match, Recognised, Rule, conv2d, dense
from ganzoo.errors import WeightsError

POSITIONAL = ("z_dim", "c_dim", "w_dim", "img_resolution", "img_channels", "mapping_kwargs")
SIZES = {  # official option: ours
    "z_dim": "latent_dim",
    "c_dim": "num_classes",
    "w_dim": "style_dim",
    "img_resolution": "image_size",
    "img_channels": "channels",
    "channel_base": "channel_base",
    "channel_max": "channel_max",
}
MAPPING = {
    "num_layers": "num_layers",
    "lr_multiplier": "lr_multiplier",
    "w_avg_beta": "average_decay",
}
BANDS = {
    "num_layers": "num_layers",
    "num_critical": "num_critical",
    "first_cutoff": "first_cutoff",
    "first_stopband": "first_stopband",
    "last_stopband_rel": "last_stopband_ratio",
    "margin_size": "margin",
}
LAYERS = {
    "conv_kernel": "kernel_size",
    "filter_size": "filter_size",
    "lrelu_upsampling": "oversampling",
    "conv_clamp": "clamp",
    "magnitude_ema_beta": "magnitude_beta",
    "output_scale": "output_scale",
    "num_fp16_res": "half_precision_rates",
}
DEFAULTS = {"channel_base": 32768, "channel_max": 512, "conv_kernel": 3}


def recognise_networks(tree) -> list[Match]:
    """(where, `Recognised`, arrays) of the networks of a file with a StyleGAN3 generator."""
    if not isinstance(tree, dict):
        return []
    if _is_generator(tree):
        return [("", _generator(tree, "generator", ""), flatten(tree))]
    found = []
    for key, network in (("G", "generator"), ("G_ema", "generator_ema")):
        if _is_generator(tree.get(key)):
            where = f"[{key!r}]"
            found.append((where, _generator(tree[key], network, where), flatten(tree[key])))
    if found and is_discriminator(tree.get("D")):
        where = "['D']"
        found.append((where, _discriminator(tree["D"], where), flatten(tree["D"])))
    return found


def _is_generator(module):
    if not isinstance(module, dict) or not isinstance(module.get("synthesis"), dict):
        return False
    synthesis = module["synthesis"]
    said = synthesis.get(META, {})
    return (
        module.get(META, {}).get("class") == "Generator"
        and said.get("class") == "SynthesisNetwork"
        and "layer_names" in said.get("attributes", {})
    )


def _generator(module, network, where):
    names = module["synthesis"][META]["attributes"]["layer_names"]
    return Recognised("stylegan3", network, _config(module[META], where), generator_table(names))


def _discriminator(module, where):
    config = {"discriminator": discriminator_options(module, where)}
    return Recognised("stylegan3", "discriminator", config, discriminator_table(module))


def _config(said, where):
    """Constructor arguments of our GAN, from those of the official generator."""
    options = {**DEFAULTS, **dict(zip(POSITIONAL, said["init_args"])), **said["init_kwargs"]}
    mapping = _renamed(options.pop("mapping_kwargs", None) or {}, where, MAPPING)
    lowpass = "radial" if options.pop("use_radial_filters", False) else "separable"
    _renamed(options, where, SIZES, BANDS, LAYERS)  # raises for options of none of them
    sizes, bands, layers = (
        {new: options[old] for old, new in names.items() if old in options}
        for names in (SIZES, BANDS, LAYERS)
    )
    rotation = lowpass == "radial" and layers["kernel_size"] == 1
    return {
        **sizes,
        "equivariance": "rotation" if rotation else "translation",
        "mapping": mapping or None,
        "bands": bands or None,
        "layers_options": {**layers, "lowpass": lowpass},
    }


def _renamed(options, where, *tables):
    """The options under our names.

    Raises: WeightsError: naming those that no table has.
    """
    names = {old: new for table in tables for old, new in table.items()}
    unknown = {k: v for k, v in options.items() if k not in names}
    if unknown:
        raise WeightsError(
            f"The generator{where} was made with options that ganzoo does not know, so its images "
            f"would be others. Known: {sorted(names)}. Received: {unknown}"
        )
    return {names[k]: v for k, v in options.items()}


def generator_table(layer_names, colours=1) -> list[Rule]:
    """Rules for a generator.

    Args:
        layer_names: list of str. The official names of the synthesis layers, in order.
        colours: 1, or -1 for images whose channels are to be turned round.
    """
    rules = [
        Rule(r"mapping\.w_avg", "mapping/w_avg"),
        *_dense(r"mapping\.(fc\d+|embed)", r"mapping/\1"),
        *_dense(r"synthesis\.input\.affine", "synthesis/input/affine"),
        Rule(r"synthesis\.input\.weight", "synthesis/input/kernel", dense),
        Rule(r"synthesis\.input\.freqs", "synthesis/input/frequencies"),
        Rule(r"synthesis\.input\.(phases|transform)", r"synthesis/input/\1"),
    ]
    for i, name in enumerate(layer_names):
        source, target = rf"synthesis\.{re.escape(name)}", f"synthesis/layer{i}"
        order = colours if i == len(layer_names) - 1 else 1
        rules += [
            Rule(rf"{source}\.weight", f"{target}/kernel", lambda x, o=order: conv2d(x)[..., ::o]),
            Rule(rf"{source}\.bias", f"{target}/bias", lambda x, o=order: x[::o]),
            Rule(rf"{source}\.magnitude_ema", f"{target}/magnitude"),
            Rule(rf"{source}\.(up|down)_filter", rf"{target}/\1_taps"),
            *_dense(rf"{source}\.affine", f"{target}/affine"),
        ]
    return rules


def _dense(source, target):
    return [
        Rule(rf"{source}\.weight", f"{target}/kernel", dense),
        Rule(rf"{source}\.bias", f"{target}/bias"),
    ]
