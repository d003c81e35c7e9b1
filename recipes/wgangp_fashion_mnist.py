"""WGAN-GP (the official MNIST networks, half as wide) on Fashion-MNIST; half an hour on two CPU
cores.
"""

import keras

from ganzoo.data import Dataset
from ganzoo.recipe import Recipe

IMAGES, BATCH_SIZE, CRITIC_STEPS = 1_200_000, 32, 2


def model():
    from ganzoo.ema import EMA
    from ganzoo.families.wgangp import WGANGP

    return WGANGP(
        28,
        64,
        32,
        channels=1,
        critic_steps=CRITIC_STEPS,
        ema=EMA(half_life_images=5_000, rampup=0.05),
    )


def optimizers():
    def adam(steps):
        rate = keras.optimizers.schedules.PolynomialDecay(3e-4, steps, 0.0)
        return keras.optimizers.Adam(rate, beta_1=0.5, beta_2=0.9, epsilon=1e-8)

    steps = IMAGES // BATCH_SIZE
    return {
        "generator_optimizer": adam(steps // CRITIC_STEPS),
        "discriminator_optimizer": adam(steps),
    }


recipe = Recipe(
    paper="arXiv:1704.00028, algorithm 1; improved_wgan_training gan_mnist.py",
    dataset=Dataset(name="fashion_mnist"),
    model=model,
    optimizers=optimizers,
    batch_size=BATCH_SIZE,
    images=IMAGES,  # 20 epochs of critic steps
    epoch_images=30_000,
    deviations=(
        "width 32 instead of 64, batch 32 instead of 50, latents of 64 dimensions instead of 128",
        "Adam 3e-4 falling to 0 instead of 1e-4, 2 critic steps instead of 5, for a run of minutes",
        "the published generator is an exponential average of the weights",
    ),
)
