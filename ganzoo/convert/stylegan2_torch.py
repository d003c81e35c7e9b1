"""Pickles of the official StyleGAN2 in PyTorch: NVlabs/stylegan2-ada-pytorch, and the same networks
in NVlabs/stylegan3 (`training.networks_stylegan2`).

Layout: {"G", "D", "G_ema"} of modules that hold their constructors' arguments and, one by one, what
came of them; the latter are read, since the two repositories differ in their defaults. Synthesis
options are nested in the first and flat in the second. The discriminator is also StyleGAN3's.
"""

import numpy as np

from ganzoo.checkpoints.reader import META, flatten
from ganzoo.convert.table import Match, Recognised, Rule, conv2d, dense, dense_from_nchw, layer
from ganzoo.errors import WeightsError

NETWORKS = {"G": "generator", "D": "discriminator", "G_ema": "generator_ema"}
KNOWN = {  # options of the official constructors that are read, here or from what came of them
    "Generator": "z_dim c_dim w_dim img_resolution img_channels mapping_kwargs synthesis_kwargs",
    "SynthesisNetwork": "w_dim img_resolution img_channels channel_base channel_max architecture "
    "resample_filter conv_clamp use_noise activation kernel_size",
    "MappingNetwork": "z_dim c_dim w_dim num_ws num_layers embed_features layer_features "
    "activation lr_multiplier w_avg_beta",
    "Discriminator": "c_dim img_resolution img_channels architecture channel_base channel_max "
    "conv_clamp cmap_dim block_kwargs mapping_kwargs epilogue_kwargs",
    "DiscriminatorBlock": "activation resample_filter",
    "DiscriminatorEpilogue": "mbstd_group_size mbstd_num_channels activation",
}
# Which layers train, where half precision is taken, how convolutions are laid out and computed
RUN_TIME = "freeze_layers num_fp16_res fp16_channels_last fused_modconv_default"
NESTED = {
    "Generator": {"mapping_kwargs": "MappingNetwork", "synthesis_kwargs": "SynthesisNetwork"},
    "Discriminator": {
        "mapping_kwargs": "MappingNetwork",
        "block_kwargs": "DiscriminatorBlock",
        "epilogue_kwargs": "DiscriminatorEpilogue",
    },
}
TAPS = [1, 3, 3, 1]
COMPUTED = "Computed from the configuration's taps."


def recognise_networks(tree) -> list[Match]:
    """(where, `Recognised`, arrays) of the networks of a file, or of one network."""
    if not isinstance(tree, dict):
        return []
    if META in tree:
        network = "generator" if _is_generator(tree) else "discriminator"
        found = [("", network, tree)]
    else:
        found = [(f"[{key!r}]", NETWORKS[key], tree[key]) for key in NETWORKS if key in tree]
        if not any(_is_generator(module) for _, _, module in found):
            return []  # another family's generator beside the same discriminator
    makers = [(_generator, _is_generator), (_discriminator, is_discriminator)]
    return [
        (where, _made(make, module, network, where), flatten(module))
        for where, network, module in found
        for make, known in makers
        if known(module)
    ]


def _made(make, module, network, where):
    try:
        return make(module, network, where)
    except KeyError as error:
        raise WeightsError(
            f"The {network}{where} lacks {error}, which its class has: the file is damaged, or of "
            "a version that ganzoo does not know."
        ) from error


def _said(module, key="attributes"):
    return module[META][key]


def _class(module):
    return module.get(META, {}).get("class") if isinstance(module, dict) else None


def _is_generator(module):
    if _class(module) != "Generator" or _class(module.get("synthesis")) != "SynthesisNetwork":
        return False
    return "block_resolutions" in _said(module["synthesis"])


def is_discriminator(module) -> bool:
    """Whether it is a module of the class `Discriminator` with this file's layers."""
    return _class(module) == "Discriminator" and "block_resolutions" in _said(module)


# --- options


def _options(module, where):
    """All options of a module's constructor, nested ones too.

    Raises: WeightsError: naming those that are not known.
    """
    kind = _class(module)
    given = dict(_said(module, "init_kwargs"))
    known = f"{KNOWN[kind]} {KNOWN['SynthesisNetwork'] if kind == 'Generator' else ''}"
    unknown = _unknown(given, known)
    for key, nested in NESTED[kind].items():
        odd = _unknown(given.get(key) or {}, KNOWN[nested])
        unknown |= {f"{key}.{k}": v for k, v in odd.items()}
    if unknown:
        raise WeightsError(
            f"The {kind}{where} was made with options that ganzoo does not know, so its results "
            f"would be others. Known: {sorted(set(known.split()))}. Received: {unknown}"
        )
    for key in NESTED[kind]:
        given |= given.pop(key, None) or {}
    return given


def _unknown(options, known):
    known = f"{known} {RUN_TIME}".split()
    return {key: value for key, value in options.items() if key not in known}


def _maps(options):
    defaults = {"channel_base": 32768, "channel_max": 512}
    return {key: options.get(key, default) for key, default in defaults.items()}


def _filters(blocks):
    return [block["resample_filter"] for block in blocks if "resample_filter" in block]


def taps_of(filters, where) -> list:
    """Taps of the resampling, from the blocks' filters.

    Raises: WeightsError: if they differ.
    """
    if not filters or any(not np.array_equal(taps, filters[0]) for taps in filters):
        raise WeightsError(
            f"All blocks{where} must have one and the same `resample_filter`. Received: {filters}"
        )
    usual = np.outer(TAPS, TAPS) / 64
    same = filters[0].shape == usual.shape and np.array_equal(filters[0], usual)
    return TAPS if same else filters[0].tolist()


def _mapping(module, labels):
    """Options of our `StyleMapping`."""
    said = _said(module)
    config = {"num_layers": said["num_layers"], "average_decay": said["w_avg_beta"]}
    if said["num_layers"]:
        first = _said(module["fc0"])
        config |= {"activation": first["activation"], "lr_multiplier": first["bias_gain"]}
    if said["num_layers"] > 1:
        config["hidden_dim"] = _units(module["fc0"])
    if labels:
        config["embed_dim"] = _units(module["embed"])
    return config


def _units(module):
    """Outputs of a FullyConnectedLayer(in_features, out_features, ...)."""
    return _said(module, "init_args")[1]


# --- networks


def _generator(module, network, where):
    options, said = _options(module, where), _said(module)
    synthesis = module["synthesis"]
    blocks = [synthesis[f"b{side}"] for side in _said(synthesis)["block_resolutions"]]
    conv = blocks[0]["conv1"]
    config = {
        "image_size": said["img_resolution"],
        "latent_dim": said["z_dim"],
        "style_dim": said["w_dim"],
        "channels": said["img_channels"],
        "num_classes": said["c_dim"],
        **_maps(options),
        "architecture": _said(blocks[-1])["architecture"],
        "activation": _said(conv)["activation"],
        "noise": "stored" if _said(conv)["use_noise"] else "none",
        "kernel_size": 2 * _said(conv)["padding"] + 1,
        "conv_clamp": _said(conv)["conv_clamp"],
        "taps": taps_of(_filters(blocks), where),
        "half_precision_blocks": _half(blocks),
        "mapping": _mapping(module["mapping"], said["c_dim"]),
    }
    return Recognised("stylegan2", network, config, generator_rules())


def _half(blocks):
    return sum(bool(_said(block)["use_fp16"]) for block in blocks)


def generator_rules() -> list[Rule]:
    """Rules for a generator."""
    conv = r"synthesis\.(b\d+)\.(conv\d|torgb)"
    return [
        *_dense(r"mapping\.(embed|fc\d+)", r"mapping/\1"),
        Rule(r"mapping\.w_avg", "mapping/w_avg"),
        Rule(r"synthesis\.(b\d+)\.const", r"synthesis/\1/const", lambda x: x.transpose(1, 2, 0)),
        Rule(rf"{conv}\.weight", r"synthesis/\1/\2/kernel", conv2d),
        Rule(rf"{conv}\.(bias|noise_strength)", r"synthesis/\1/\2/\3"),
        Rule(rf"{conv}\.noise_const", r"synthesis/\1/\2/noise"),
        *_dense(rf"{conv}\.affine", r"synthesis/\1/\2/affine"),
        Rule(r"synthesis\.(b\d+)\.skip\.weight", r"synthesis/\1/skip/kernel", conv2d),
        Rule(r".*\.resample_filter", None, why=COMPUTED),
    ]


def _dense(source, target):
    return [
        Rule(rf"{source}\.weight", f"{target}/kernel", dense),
        Rule(rf"{source}\.bias", f"{target}/bias"),
    ]


def _discriminator(module, network, where):
    said = _said(module)
    config = {
        "image_size": said["img_resolution"],
        "channels": said["img_channels"],
        "num_classes": said["c_dim"],
        "discriminator": discriminator_options(module, where),
    }
    return Recognised("stylegan2", network, config, discriminator_table(module))


def discriminator_options(module, where) -> dict:
    """Options of our `StyleGAN2Discriminator`, without size, channels and classes.

    Args:
        module: tree of an official `Discriminator`.
        where: str, for messages.

    Raises: WeightsError: naming options that are not known.
    """
    options, labels = _options(module, where), _said(module)["c_dim"]
    blocks = [module[f"b{side}"] for side in _said(module)["block_resolutions"]]
    first, last = _said(blocks[0]["conv0"]), module["b4"]
    if _said(last["fc"])["activation"] != first["activation"]:
        raise WeightsError(
            f"The Discriminator{where} must have one activation. Received: {first['activation']!r} "
            f"and, in the epilogue, {_said(last['fc'])['activation']!r}"
        )
    std = _said(last["mbstd"]) if "mbstd" in last else {"group_size": 4, "num_channels": 0}
    return {
        **_maps(options),
        "architecture": _said(blocks[0])["architecture"],
        "activation": first["activation"],
        "conv_clamp": first["conv_clamp"],
        "group_size": std["group_size"],
        "std_channels": std["num_channels"],
        "projection_dim": _said(last)["cmap_dim"] or None,
        "mapping": _mapping(module["mapping"], labels) if labels else None,
        "taps": taps_of(_filters(blocks), where),
        "half_precision_blocks": _half(blocks),
    }


def discriminator_table(module) -> list[Rule]:
    """Rows of a discriminator, for the tree of an official `Discriminator`."""
    maps = _said(module["b4"])["in_channels"]
    conv = r"(b\d+)\.(fromrgb|conv\d?|skip)"
    return [
        *_dense(r"mapping\.(embed|fc\d+)", r"mapping/\1"),
        Rule(rf"{conv}\.weight", r"\1/\2/kernel", conv2d),
        Rule(rf"{conv}\.bias", r"\1/\2/bias"),
        *layer("b4.fc", "b4/fc", dense_from_nchw(maps, 4, 4)),
        *layer("b4.out", "b4/out", dense),
        Rule(r".*\.resample_filter", None, why=COMPUTED),
    ]
