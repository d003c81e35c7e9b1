"""ProGAN, narrow, on procedural faces of 32 pixels; an hour and a half on two CPU cores."""

from ganzoo.data import Dataset
from ganzoo.recipe import Recipe


def model():
    from ganzoo.ema import EMA
    from ganzoo.families.progan import ProGAN
    from ganzoo.growing_gan import Growth

    return ProGAN(
        32,
        128,
        channel_base=1024,
        channel_max=96,
        growth=Growth(initial_size=8, stable_images=40_000, fade_images=40_000),
        ema=EMA(half_life_images=5_000, rampup=0.05),
    )


recipe = Recipe(
    paper="arXiv:1710.10196, sections 2 to 4 and appendix A",
    dataset=Dataset(name="avatars/pixel_art_32"),
    model=model,
    batch_size=32,
    images=400_000,
    epoch_images=40_000,
    metrics=("fid", "coverage"),
    deviations=(
        "32 to 96 maps instead of 512, latents of 128 dimensions",
        "begins at 8 pixels instead of 4, 40,000 images for each size and each fade instead of "
        "800,000; batches of 32 at every size",
        "the average's half-life is 5,000 images instead of a decay of 0.999 for each step",
    ),
)
