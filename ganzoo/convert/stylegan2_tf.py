"""Pickles of the official StyleGAN2 (NVlabs/stylegan2) and StyleGAN2-ADA (NVlabs/stylegan2-ada) in
TensorFlow 1, and of DiffAugment (mit-han-lab/data-efficient-gans), which is made of the first:
configurations E and F, with all their architectures, and B to D, which are `stylegan` with
`layers="stylegan2"`.

Layout: (G, D, Gs) of networks that hold the arguments of the functions which build them. Kernels
are HWIO, those of upsampling layers turned round; the styles' biases lack the 1 that is added.
The repositories differ in how labels go in, and in the minibatch standard deviation's group.
"""

from ganzoo.checkpoints.reader import META, flatten
from ganzoo.convert.table import Match, Recognised, Rule, dense_from_nchw
from ganzoo.convert.tflib import discriminator_table
from ganzoo.errors import WeightsError

NETWORKS = {"G": "generator", "D": "discriminator", "Gs": "generator_ema"}
REVISED = "G_synthesis_stylegan_revised"  # configurations B to D
# function: version of the file format
SYNTHESIS = {"G_synthesis_stylegan2": 4, "G_synthesis": 5, REVISED: 4}
DISCRIMINATORS = {"D_stylegan2": 4, "D_main": 5, "D_stylegan": 4}
KNOWN = set(
    "num_channels resolution label_size fmap_base fmap_max architecture nonlinearity "
    "resample_kernel conv_clamp".split()
)
GENERATOR = KNOWN | set(
    "latent_size dlatent_size mapping_layers mapping_fmaps mapping_lrmul mapping_nonlinearity "
    "label_fmaps use_noise style_mixing_prob dlatent_avg_beta w_avg_beta dlatent_broadcast".split()
)
DISCRIMINATOR = KNOWN | set(
    "mbstd_group_size mbstd_num_features mapping_layers mapping_fmaps mapping_lrmul".split()
)
# Chosen when an image is made, or of half precision, or of training only
RUN_TIME = set(
    "truncation_psi truncation_cutoff truncation_psi_val truncation_cutoff_val randomize_noise "
    "fused_modconv num_fp16_res is_training is_validation return_dlatents is_template_graph "
    "mapping_func synthesis_func freeze_layers impl".split()
)
ONLY = {  # options that are known with one value
    "fmap_decay": 1.0,
    "fmap_min": 1,
    "normalize_latents": True,
    "dtype": "float32",
    "structure": "auto",
    "avg_pooling": False,
}


def recognise_networks(tree) -> list[Match]:
    """(where, `Recognised`, arrays) of the networks of a file, or of one network."""
    if isinstance(tree, (list, tuple)):
        parts = [(f"[{i}]", part) for i, part in enumerate(tree)]
    else:
        parts = [("", tree)]
    found = []
    for where, part in parts:
        make = _maker(part)
        if make is not None and part[META].get("name") in NETWORKS:
            network = NETWORKS[part[META]["name"]]
            found.append((where, _made(make, part, network, where), flatten(part)))
    return found


def _made(make, tree, network, where):
    try:
        return make(tree, network, where)
    except KeyError as error:
        raise WeightsError(
            f"The {network}{where} lacks {error}, which its building function makes: the file is "
            "damaged, or of a version that ganzoo does not know."
        ) from error


def _maker(tree):
    """The function that recognises this network, or `None`."""
    said = tree.get(META, {}) if isinstance(tree, dict) else {}
    if said.get("build_func_name") == "D_stylegan":
        return _growing_discriminator
    if said.get("build_func_name") in DISCRIMINATORS:
        return _discriminator
    if said.get("build_func_name") != "G_main" or "synthesis" not in tree:
        return None
    function = tree["synthesis"][META]["build_func_name"]
    if function not in SYNTHESIS:
        raise WeightsError(
            f"{said.get('name')} is made by `{function}`; ganzoo knows {list(SYNTHESIS)}."
        )
    return _growing_generator if function == REVISED else _generator


def _options(said, known, version, where):
    """The building function's arguments.

    Raises: WeightsError: for those that are not known, and for another version of the format.
    """
    options = dict(said["static_kwargs"])
    odd = {k: v for k, v in ONLY.items() if k in options and options[k] != v}
    unknown = {k: v for k, v in options.items() if k not in known | RUN_TIME | set(ONLY)}
    if unknown or odd:
        raise WeightsError(
            f"{said['name']}{where} was made with options that ganzoo does not know, so its "
            f"results would be others. Known: {sorted(known)}, and {ONLY}. "
            f"Received: {unknown | {k: options[k] for k in odd}}"
        )
    if said["version"] != version:
        raise WeightsError(
            f"{said['name']}{where} is of version {said['version']} of the file format; "
            f"`{said['build_func_name']}` is known in version {version}."
        )
    return {k: v for k, v in options.items() if k not in ONLY}


def _shared(options):
    """What both networks are made with."""
    taps = options.get("resample_kernel", [1, 3, 3, 1])
    return {
        "channel_base": 2 * options.get("fmap_base", 16 << 10),
        "channel_max": options.get("fmap_max", 512),
        "activation": options.get("nonlinearity", "lrelu"),
        "conv_clamp": options.get("conv_clamp"),
        "taps": list(taps or [1, 1]),  # without a filter pixels are repeated, or averaged
        "half_precision_blocks": options.get("num_fp16_res", 0),
    }


def _sizes(options):
    return {
        "image_size": options.get("resolution", 1024),
        "channels": options.get("num_channels", 3),
        "num_classes": options.get("label_size", 0),
    }


def _of_generator(tree, where):
    """The building function's arguments, and those of both kinds of generators under our names."""
    said = tree["synthesis"][META]
    options = _options(tree[META], GENERATOR, SYNTHESIS[said["build_func_name"]], where)
    return options, {
        **_sizes(options),
        "latent_dim": options.get("latent_size", 512),
        "style_dim": options.get("dlatent_size", 512),
        "style_mixing": options.get("style_mixing_prob", 0.9) or 0.0,
        "mapping": _mapping(tree["mapping"], options),
    }


def _generator(tree, network, where):
    options, config = _of_generator(tree, where)
    config |= {
        **_shared(options),
        "architecture": options.get("architecture", "skip"),
        "noise": "stored" if options.get("use_noise", True) else "none",
    }
    table = [
        Rule(r"lod", None, why="These networks do not grow and never read it."),
        *_generator_table(config["image_size"], _label_scale(config, options)),
    ]
    return Recognised("stylegan2", network, config, table)


def _growing_generator(tree, network, where):
    options, config = _of_generator(tree, where)
    config |= {"layers": "stylegan2", **_growing(options)}
    size = config["image_size"]
    table = [
        Rule("lod", "synthesis/lod"),
        Rule(r"synthesis\.lod", None, why="The network's own is copied into it at each run."),
        *_generator_table(size, _label_scale(config, options), "ToRGB_lod{lod}"),
    ]
    return Recognised("stylegan", network, config, table)


def _growing(options):
    """What both networks that grow are made with."""
    shared = _shared(options)
    return {key: shared[key] for key in ("channel_base", "channel_max", "activation", "taps")}


def _label_scale(config, options):
    """DiffAugment's code alone has `impl`; there the labels' weights are equalised, too."""
    return config["mapping"]["lr_multiplier"] if "impl" in options else 1.0


def _mapping(arrays, options):
    """Options of our `StyleMapping`."""
    layers = options.get("mapping_layers", 8)
    decay = options.get("dlatent_avg_beta", options.get("w_avg_beta", 0.995))
    config = {
        "num_layers": layers,
        "activation": options.get("mapping_nonlinearity", "lrelu"),
        "lr_multiplier": options.get("mapping_lrmul", 0.01),
        "average_decay": 1.0 if decay is None else decay,
    }
    if layers > 1:
        config["hidden_dim"] = arrays["Dense0/weight"].shape[1]
    for name, conditioning in (("LabelEmbed", "embed"), ("LabelConcat", "concat")):
        if f"{name}/weight" in arrays:
            width = arrays[f"{name}/weight"].shape[1]
            config |= {"conditioning": conditioning, "embed_dim": width}
    return config


def _generator_table(image_size, label_scale, image="{side}x{side}/ToRGB"):
    rules = [
        Rule(r"dlatent_avg", "mapping/w_avg"),
        *_layer(r"mapping\.Dense(\d+)", r"mapping/fc\1"),
        *_layer(r"mapping\.LabelEmbed", "mapping/embed"),
        Rule(r"mapping\.LabelConcat/weight", "mapping/embedding", lambda x: x * label_scale),
        Rule(
            r"synthesis\.4x4/Const/const", "synthesis/b4/const", lambda x: x[0].transpose(1, 2, 0)
        ),
        *_styled("4x4/Conv", "b4/conv1"),
    ]
    for k in range(2, image_size.bit_length()):
        side, lod = 2**k, image_size.bit_length() - 1 - k
        rules += _styled(image.format(side=side, lod=lod), f"b{side}/torgb")
        if k == 2:
            rules.append(_noise(0, "b4/conv1"))
            continue
        rules += _styled(f"{side}x{side}/Conv0_up", f"b{side}/conv0", _turned)
        rules += _styled(f"{side}x{side}/Conv1", f"b{side}/conv1")
        skip = rf"synthesis\.{side}x{side}/Skip/weight"
        rules.append(Rule(skip, f"synthesis/b{side}/skip/kernel", _turned))
        rules += [_noise(2 * k - 5 + i, f"b{side}/conv{i}") for i in (0, 1)]
    return rules


def _noise(number, target):
    return Rule(rf"synthesis\.noise{number}", f"synthesis/{target}/noise", lambda x: x[0, 0])


def _turned(x):
    return x[::-1, ::-1]


def _styled(source, target, transform=lambda x: x):
    source, target = rf"synthesis\.{source}", f"synthesis/{target}"
    return [
        Rule(rf"{source}/weight", f"{target}/kernel", transform),
        Rule(rf"{source}/bias", f"{target}/bias"),
        Rule(rf"{source}/noise_strength", f"{target}/noise_strength"),
        Rule(rf"{source}/mod_weight", f"{target}/affine/kernel"),
        Rule(rf"{source}/mod_bias", f"{target}/affine/bias", lambda x: x + 1),
    ]


def _layer(source, target):
    return [
        Rule(rf"{source}/weight", f"{target}/kernel"),
        Rule(rf"{source}/bias", f"{target}/bias"),
    ]


def _discriminator(tree, network, where):
    name = tree[META]["build_func_name"]
    options = _options(tree[META], DISCRIMINATOR, DISCRIMINATORS[name], where)
    own = {
        **_shared(options),
        "architecture": options.get("architecture", "resnet"),
        "std_channels": options.get("mbstd_num_features", 1),
        # legacy.py of the PyTorch code takes the whole batch for both
        "group_size": options.get("mbstd_group_size", 4 if name == "D_stylegan2" else None),
    }
    hidden = tree["4x4/Dense0/weight"].shape[1]
    if hidden != tree["4x4/Conv/weight"].shape[3]:  # where `fmap_max` does not limit both
        own["hidden"] = hidden
    if name == "D_stylegan2":
        own["conditioning"] = "selection"
        if own["group_size"] is not None and own["group_size"] <= 1:
            own["std_channels"] = 0
    elif "LabelEmbed/weight" in tree:
        own["projection_dim"] = tree["Output/weight"].shape[1]
        own["mapping"] = _label_mapping(tree, options)
    config = {**_sizes(options), "discriminator": own}
    return Recognised("stylegan2", network, config, _discriminator_table(tree))


def _growing_discriminator(tree, network, where):
    options = _options(tree[META], DISCRIMINATOR, DISCRIMINATORS["D_stylegan"], where)
    group, sizes = options.get("mbstd_group_size", 4), _sizes(options)
    own = {
        **_growing(options),
        "group_size": max(group, 1),
        "std_channels": options.get("mbstd_num_features", 1) if group > 1 else 0,
    }
    rules = [
        *discriminator_table(tree, sizes["image_size"]), *_layer("Output", "trunk/b4/out"),
    ]
    config = {**sizes, "layers": "stylegan2", "discriminator": own}
    return Recognised("stylegan", network, config, rules)


def _label_mapping(tree, options):
    layers = options.get("mapping_layers", 0)
    config = {
        "num_layers": layers,
        "activation": options.get("nonlinearity", "lrelu"),
        "lr_multiplier": options.get("mapping_lrmul", 0.1),
        "embed_dim": tree["LabelEmbed/weight"].shape[1],
    }
    if layers > 1:
        config["hidden_dim"] = tree["Mapping0/weight"].shape[1]
    return config


def _discriminator_table(tree):
    maps = tree["4x4/Dense0/weight"].shape[0] // 16
    from_nchw = dense_from_nchw(maps, 4, 4)
    names = {"FromRGB": "fromrgb", "Conv0": "conv0", "Conv1_down": "conv1", "Skip": "skip"}
    rules = [
        *_layer(r"LabelEmbed", "mapping/embed"),
        *_layer(r"Mapping(\d+)", r"mapping/fc\1"),
        *_layer(r"4x4/Conv", "b4/conv"),
        Rule(r"4x4/Dense0/weight", "b4/fc/kernel", lambda x: from_nchw(x.T)),
        Rule(r"4x4/Dense0/bias", "b4/fc/bias"),
        *_layer(r"Output", "b4/out"),
    ]
    for theirs, ours in names.items():
        rules += _layer(rf"(\d+)x\d+/{theirs}", rf"b\1/{ours}")
    return rules
