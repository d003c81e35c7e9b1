"""StyleGAN2 with ADA, narrow, on 2,000 procedural faces of 64 pixels; two hours on two CPU cores.

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
        64,
        128,
        128,
        channel_base=1024,
        channel_max=96,
        mapping={"num_layers": 4},
        discriminator={"architecture": "resnet", "group_size": 8},
        r1_gamma=0.5,
        augment=augment and AdaptiveAugment(augment, ramp_images=100_000),
        ema=EMA(half_life_images=5_000, rampup=0.05),
    )


recipe = Recipe(
    paper="arXiv:2006.06676, section 3 and appendix C; arXiv:1912.04958",
    dataset=Dataset(name="avatars/pixel_art_64", limit=2_000),
    model=model,
    batch_size=32,
    images=240_000,
    epoch_images=24_000,
    metrics=("fid", "coverage"),
    deviations=(
        "16 to 96 maps instead of 512, latents and styles of 128 dimensions, 4 mapping layers",
        "p moves from 0 to 1 within 100,000 images instead of 500,000, for a run of 240,000",
        "R1 with gamma 0.5; the average's half-life is 5,000 images",
    ),
)
variants = {"without_ada": dataclasses.replace(recipe, model=lambda: model(augment=None))}
