"""StyleGAN, narrow, on procedural faces of 64 pixels; two hours on two CPU cores."""

import keras

from ganzoo.data import Dataset
from ganzoo.recipe import Recipe

RATE = 0.002


def model():
    from ganzoo.ema import EMA
    from ganzoo.families.stylegan import StyleGAN
    from ganzoo.growing_gan import Growth

    return StyleGAN(
        64,
        128,
        128,
        channel_base=1024,
        channel_max=96,
        mapping={"num_layers": 4},
        r1_gamma=1.0,
        growth=Growth(initial_size=8, stable_images=24_000, fade_images=24_000),
        ema=EMA(half_life_images=5_000, rampup=0.05),
    )


def optimizers():
    def adam():
        return keras.optimizers.Adam(RATE, beta_1=0.0, beta_2=0.99, epsilon=1e-8)

    return {"generator_optimizer": adam(), "discriminator_optimizer": adam()}


recipe = Recipe(
    paper="arXiv:1812.04948, sections 2 and 3 and appendix C",
    dataset=Dataset(name="avatars/pixel_art_64"),
    model=model,
    optimizers=optimizers,
    batch_size=32,
    images=288_000,
    epoch_images=24_000,
    metrics=("fid", "coverage"),
    deviations=(
        "16 to 96 maps instead of 512, latents and styles of 128 dimensions, 4 mapping layers",
        "24,000 images for each size and each fade instead of 600,000; batches of 32 at every size",
        "Adam 0.002 instead of 0.001, R1 with gamma 1 instead of 10, for images of flat colours",
        "the average's half-life is 5,000 images instead of 10,000",
    ),
)
