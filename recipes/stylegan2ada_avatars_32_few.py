"""StyleGAN2 with ADA, narrow, on 200 procedural faces of 32 pixels, which a discriminator can
learn by heart; three quarters of an hour on two CPU cores.

Variant: `without_ada`, the control.
"""

import dataclasses

from ganzoo.data import Dataset
from ganzoo.recipe import Recipe


def model(augment="bgc"):
    from ganzoo.augment import AdaptiveAugment
    from ganzoo.ema import EMA
    from ganzoo.families.stylegan2 import StyleGAN2

    return StyleGAN2(
        32,
        128,
        128,
        channel_base=1024,
        channel_max=96,
        mapping={"num_layers": 2},
        discriminator={"architecture": "orig", "group_size": 32},
        r1_gamma=0.01,
        path_length_weight=0.0,
        style_mixing=0.0,
        augment=augment and AdaptiveAugment(augment, ramp_images=50_000),
        ema=EMA(half_life_images=5_000, rampup=0.05),
    )


recipe = Recipe(
    paper="arXiv:2006.06676, section 3 and appendix D; stylegan2-ada-pytorch train.py, --cfg=cifar",
    dataset=Dataset(name="avatars/pixel_art_32", limit=200),
    model=model,
    batch_size=32,
    images=240_000,
    epoch_images=8_000,
    metrics=("fid", "coverage"),
    deviations=(
        "32 to 96 maps instead of 512, latents and styles of 128 dimensions",
        "the family's rate of 0.002 instead of 0.0025, batches of 32 instead of 64",
        "p moves from 0 to 1 within 50,000 images instead of 500,000",
        "the average's half-life is 5,000 images instead of 500,000",
    ),
)
variants = {"without_ada": dataclasses.replace(recipe, model=lambda: model(augment=None))}
