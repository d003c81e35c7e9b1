"""LSGAN (DCGAN-like networks of its stability comparison) on Fashion-MNIST; minutes on two CPU
cores.
"""

from ganzoo.data import Dataset
from ganzoo.recipe import Recipe


def model():
    from ganzoo.ema import EMA
    from ganzoo.families.lsgan import LSGAN

    return LSGAN(
        28,
        100,
        64,
        channels=1,
        networks="dcgan",
        kernel_size=4,
        ema=EMA(half_life_images=5_000, rampup=0.05),
    )


recipe = Recipe(
    paper="arXiv:1611.04076, eq. 9 and section 4.2; xudonmao/LSGAN stability_comparison",
    dataset=Dataset(name="fashion_mnist"),
    model=model,
    batch_size=64,
    images=600_000,  # 10 epochs
    epoch_images=30_000,
    deviations=(
        "28 x 28 grey images and kernels of 4 instead of 5, for a run of minutes",
        "the published generator is an exponential average of the weights",
    ),
)
