"""Pickles of the official StyleGAN (NVlabs/stylegan, TensorFlow 1), and of configuration A of
NVlabs/stylegan2, which has its networks.

Layout: (G, D, Gs); G and Gs have the components mapping and synthesis. Kernels are HWIO; where
upsampling and convolution are one operation ("fused"), turned round.
"""

from ganzoo.checkpoints.reader import META
from ganzoo.convert.table import Match, Recognised, Rule, dense_from_nchw
from ganzoo.convert.tflib import discriminator_table, images, layer, options, recognised, sides
from ganzoo.errors import WeightsError

VERSIONS = (3, 4)
SHARED = set(
    "num_channels resolution label_size fmap_base fmap_max fused_scale blur_filter "
    "nonlinearity structure".split()
)
GENERATOR = SHARED | set(
    "latent_size dlatent_size mapping_layers mapping_fmaps mapping_lrmul mapping_nonlinearity "
    "dlatent_avg_beta style_mixing_prob use_styles const_input_layer use_noise use_pixel_norm "
    "use_instance_norm".split()
)
DISCRIMINATOR = SHARED | {"mbstd_group_size", "mbstd_num_features"}
# Chosen when an image is made, or of training only
IGNORED = set(
    "truncation_psi truncation_cutoff truncation_psi_val truncation_cutoff_val randomize_noise "
    "is_training is_validation is_template_graph force_clean_graph dlatent_broadcast".split()
)
STEPS = {  # argument: (its default, step of the epilogue)
    "use_noise": (True, "noise"),
    "use_pixel_norm": (False, "pixel_norm"),
    "use_instance_norm": (True, "instance_norm"),
    "use_styles": (True, "style"),
}
ONLY = {  # options that are known with these values
    "fmap_decay": (1, 1.0),
    "normalize_latents": (True,),
    "use_wscale": (True,),
    "dtype": ("float32",),
    "structure": ("auto", "fixed", "linear", "recursive"),
    "fused_scale": (True, False, "auto"),
    "nonlinearity": ("lrelu", "relu"),
    "mapping_nonlinearity": ("lrelu", "relu"),
    **{name: (True, False) for name in STEPS},
    "const_input_layer": (True, False),
}
FUSED = 128  # "auto": the side of the larger image from which on the operations are fused


def recognise_networks(tree) -> list[Match]:
    """(where, `Recognised`, arrays) of the networks of a file, or of one network."""
    return recognised(tree, {"G_style": _generator, "D_basic": _discriminator})


def _options(tree, known, where):
    said = tree[META]
    return options(said, known=known, only=ONLY, ignored=IGNORED, versions=VERSIONS, where=where)


def _shared(given, *, size, channels):
    """Arguments that both networks have, with the function's own defaults."""
    sizes = {
        "image_size": given.get("resolution", size),
        "channels": given.get("num_channels", channels),
        "num_classes": given.get("label_size", 0),
    }
    taps = given.get("blur_filter", [1, 2, 1])
    return sizes, {
        "channel_base": int(2 * given.get("fmap_base", 8192)),
        "channel_max": int(given.get("fmap_max", 512)),
        "activation": given.get("nonlinearity", "lrelu"),
        "taps": list(taps) if taps else None,
        "structure": "fixed" if given.get("structure") == "fixed" else "growing",
    }


def _generator(tree, network, where):
    given = _options(tree, GENERATOR, where)
    function = tree["synthesis"][META]["build_func_name"]
    if function != "G_synthesis":
        raise WeightsError(
            f"The synthesis of the {network}{where} is made by `{function}`; ganzoo knows "
            "`G_synthesis`."
        )
    sizes, shared = _shared(given, size=1024, channels=3)
    steps = [step for name, (default, step) in STEPS.items() if given.get(name, default)]
    config = {
        **sizes,
        **shared,
        "latent_dim": given.get("latent_size", 512),
        "style_dim": given.get("dlatent_size", 512),
        "first": "constant" if given.get("const_input_layer", True) else "dense",
        "epilogue": steps,
        "style_mixing": given.get("style_mixing_prob", 0.9) or 0.0,
        "mapping": _mapping(tree["mapping"], given),
    }
    fused = given.get("fused_scale", "auto")
    return Recognised("stylegan", network, config, _generator_table(tree, sizes, fused))


def _mapping(arrays, given):
    """Options of our `StyleGANMapping`."""
    decay = given.get("dlatent_avg_beta", 0.995)
    layers = given.get("mapping_layers", 8)
    config = {
        "num_layers": layers,
        "activation": given.get("mapping_nonlinearity", "lrelu"),
        "lr_multiplier": given.get("mapping_lrmul", 0.01),
        "average_decay": 1.0 if decay is None else decay,
    }
    if layers > 1:
        config["hidden_dim"] = arrays["Dense0/weight"].shape[1]
    if "LabelConcat/weight" in arrays:
        config["embed_dim"] = arrays["LabelConcat/weight"].shape[1]
    return config


def _generator_table(tree, sizes, fused):
    size, synthesis = sizes["image_size"], tree["synthesis"]
    rules = [
        Rule("lod", "synthesis/lod"),
        Rule(r"synthesis\.lod", None, why="The network's own is copied into it at each run."),
        Rule("dlatent_avg", "mapping/w_avg"),
        *layer(r"mapping\.Dense(\d+)", r"mapping/fc\1"),
        Rule(r"mapping\.LabelConcat/weight", "mapping/embedding"),
        Rule(
            r"synthesis\.4x4/Const/const", "synthesis/b4/const", lambda x: x[0].transpose(1, 2, 0)
        ),
        *_dense(synthesis),
        *_epilogue("4x4/(?:Const|Dense)", "b4/epilogue0"),
        *_layer("4x4/Conv", "b4", 1),
        *images(r"synthesis\.ToRGB", "synthesis/b{}/torgb", size),
    ]
    for side in sides(size):
        if side > 4:
            turned = side >= FUSED if fused == "auto" else fused
            rules += _layer(f"{side}x{side}/Conv0_up", f"b{side}", 0, _turned if turned else None)
            rules += _layer(f"{side}x{side}/Conv1", f"b{side}", 1)
        number = 2 * side.bit_length() - 6
        rules += [
            Rule(
                rf"synthesis\.noise{number + i}", f"synthesis/b{side}/epilogue{i}/noise",
                lambda x: x[0, 0],
            )
            for i in (0, 1)
        ]
    return rules


def _dense(synthesis):
    if "4x4/Dense/weight" not in synthesis:
        return []
    from_nchw = dense_from_nchw(synthesis["4x4/Dense/weight"].shape[1] // 16, 4, 4)
    target = "synthesis/b4/dense/kernel"
    return [Rule(r"synthesis\.4x4/Dense/weight", target, lambda x: from_nchw(x).T)]


def _turned(kernel):
    return kernel[::-1, ::-1]


def _layer(source, block, number, transform=None):
    """Rules of a convolution and what follows it."""
    target = f"synthesis/{block}/conv{number}/kernel"
    rule = Rule(rf"synthesis\.{source}/weight", target, transform or (lambda x: x))
    return [rule, *_epilogue(source, f"{block}/epilogue{number}")]


def _epilogue(source, target):
    source, target = rf"synthesis\.{source}", f"synthesis/{target}"
    return [
        Rule(f"{source}/bias", f"{target}/bias"),
        Rule(f"{source}/Noise/weight", f"{target}/noise_strength"),
        Rule(f"{source}/StyleMod/weight", f"{target}/affine/kernel"),
        Rule(f"{source}/StyleMod/bias", f"{target}/affine/bias"),
    ]


def _discriminator(tree, network, where):
    given = _options(tree, DISCRIMINATOR, where)
    sizes, shared = _shared(given, size=32, channels=1)
    group = given.get("mbstd_group_size", 4)
    own = {
        **shared,
        "group_size": max(group, 1),
        "std_channels": given.get("mbstd_num_features", 1) if group > 1 else 0,
    }
    config = {**sizes, "structure": own.pop("structure"), "discriminator": own}
    return Recognised("stylegan", network, config, discriminator_table(tree, sizes["image_size"]))
