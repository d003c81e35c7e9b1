"""DCGAN (pytorch/examples networks) on Fashion-MNIST at its own 28 x 28 pixels; minutes on two CPU
cores.
"""

from ganzoo.data import Dataset
from ganzoo.recipe import Recipe


def model():
    from ganzoo.ema import EMA
    from ganzoo.families.dcgan import DCGAN

    return DCGAN(28, 100, 64, channels=1, ema=EMA(half_life_images=5_000, rampup=0.05))


recipe = Recipe(
    paper="arXiv:1511.06434, section 4; pytorch/examples dcgan",
    dataset=Dataset(name="fashion_mnist"),
    model=model,
    batch_size=64,
    images=900_000,  # 15 epochs
    epoch_images=30_000,
    deviations=(
        "28 x 28 grey images: two strided layers instead of four, from and to a 7 x 7 map",
        "the published generator is an exponential average of the weights",
    ),
)
