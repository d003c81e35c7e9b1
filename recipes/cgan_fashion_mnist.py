"""Conditional GAN (convolutional, labels joined at every layer) on Fashion-MNIST; minutes on two
CPU cores.
"""

from ganzoo.data import Dataset
from ganzoo.recipe import Recipe


def model():
    from ganzoo.ema import EMA
    from ganzoo.families.cgan import CGAN

    return CGAN(28, 64, 20, networks="conv", ema=EMA(half_life_images=5_000, rampup=0.05))


recipe = Recipe(
    paper="arXiv:1411.1784, eq. 2; Newmu/dcgan_code mnist/train_cond_dcgan.py",
    dataset=Dataset(name="fashion_mnist", label="label"),
    model=model,
    batch_size=64,
    images=1_200_000,  # 20 epochs
    epoch_images=60_000,
    deviations=(
        "20 maps instead of 64, latents of 64 dimensions instead of 100, no L2 weight decay",
        "the published generator is an exponential average of the weights",
    ),
)
