"""Pickles of the official ProGAN (tkarras/progressive_growing_of_gans, TensorFlow 1).

Layout: (G, D, Gs). Kernels are HWIO; where upsampling and convolution are one operation
(`fused_scale`), HWOI and turned round.
"""

from ganzoo.checkpoints.reader import META
from ganzoo.convert.table import Match, Recognised, Rule, dense_from_nchw
from ganzoo.convert.tflib import discriminator_table, images, layer, options, recognised, sides

VERSIONS = (2,)
SHARED = {"num_channels", "resolution", "label_size", "fmap_base", "fmap_max", "fused_scale"}
GENERATOR = SHARED | {"latent_size", "use_leakyrelu", "use_pixelnorm", "pixelnorm_epsilon"}
DISCRIMINATOR = SHARED | {"mbstd_group_size"}
IGNORED = {"is_template_graph"}
ONLY = {  # options that are known with these values
    "fmap_decay": (1, 1.0),
    "normalize_latents": (True,),
    "use_wscale": (True,),
    "dtype": ("float32",),
    "structure": (None, "linear", "recursive"),
    "fused_scale": (True, False),
    "use_leakyrelu": (True, False),
    "use_pixelnorm": (True, False),
}


def recognise_networks(tree) -> list[Match]:
    """(where, `Recognised`, arrays) of the networks of a file, or of one network."""
    return recognised(tree, {"G_paper": _generator, "D_paper": _discriminator})


def _options(tree, known, where):
    said = tree[META]
    return options(said, known=known, only=ONLY, ignored=IGNORED, versions=VERSIONS, where=where)


def _sizes(given):
    return {
        "image_size": given.get("resolution", 32),
        "channels": given.get("num_channels", 1),
        "num_classes": given.get("label_size", 0),
    }


def _widths(given):
    return {
        "channel_base": int(2 * given.get("fmap_base", 8192)),
        "channel_max": int(given.get("fmap_max", 512)),
    }


def _generator(tree, network, where):
    given = _options(tree, GENERATOR, where)
    kernel = tree["4x4/Dense/weight"]
    sizes = _sizes(given)
    config = {
        **sizes,
        **_widths(given),
        "latent_dim": kernel.shape[0] - sizes["num_classes"],
        "activation": "lrelu" if given.get("use_leakyrelu", True) else "relu",
        "norm": "pixel" if given.get("use_pixelnorm", True) else "none",
        "epsilon": given.get("pixelnorm_epsilon", 1e-8),
    }
    return Recognised("progan", network, config, _generator_table(sizes["image_size"], kernel))


def _generator_table(image_size, kernel):
    from_nchw = dense_from_nchw(kernel.shape[1] // 16, 4, 4)
    rules = [
        Rule("lod", "synthesis/lod"),
        Rule("4x4/Dense/weight", "synthesis/b4/dense/kernel", lambda x: from_nchw(x).T),
        Rule("4x4/Dense/bias", "synthesis/b4/bias"),
        *layer("4x4/Conv", "synthesis/b4/conv1"),
        *images("ToRGB", "synthesis/b{}/torgb", image_size),
    ]
    for side in sides(image_size)[1:]:
        block = f"synthesis/b{side}"
        rules += layer(f"{side}x{side}/Conv0_up", f"{block}/conv0", _turned)
        rules += layer(f"{side}x{side}/Conv0", f"{block}/conv0")
        rules += layer(f"{side}x{side}/Conv1", f"{block}/conv1")
    return rules


def _turned(kernel):
    return kernel[::-1, ::-1].swapaxes(2, 3)


def _discriminator(tree, network, where):
    given = _options(tree, DISCRIMINATOR, where)
    group = given.get("mbstd_group_size", 4)
    own = {
        **_widths(given),
        "activation": "lrelu",
        "group_size": max(group, 1),
        "std_channels": int(group > 1),
        "pooling": "before" if given.get("fused_scale", True) else "after",
    }
    config = {**_sizes(given), "discriminator": own}
    return Recognised("progan", network, config, discriminator_table(tree, config["image_size"]))
