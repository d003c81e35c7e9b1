"""What the recipes on mixtures of Gaussians share; see `gaussians_ring8.py` and
`gaussians_grid16.py`.
"""

import functools

import keras

from ganzoo import losses
from ganzoo.data import Dataset
from ganzoo.recipe import Recipe

STEEP = (
    "wasserstein",
)  # critics that need a Lipschitz bound: gradient penalty 0.1, five critic steps


def model(loss):
    """An MLP pair on points, three hidden layers of 128."""
    from ganzoo.ema import EMA
    from ganzoo.families.vanilla_gan import VanillaGAN
    from ganzoo.penalties import GradientPenalty

    steep = loss in STEEP
    return VanillaGAN(
        (2,),
        32,
        (128, 128, 128),
        activation="relu",
        output="linear",
        prior="normal",
        discriminator="leaky_relu",
        discriminator_widths=(128, 128, 128),
        dropout=(0.0, 0.0),
        initializer="he_normal",
        loss=loss,
        penalties=[GradientPenalty(0.1)] if steep else [],
        critic_steps=5 if steep else 1,
        ema=EMA(half_life_images=50_000, rampup=0.05),
    )


def optimizers():
    def adam(rate):
        return keras.optimizers.Adam(rate, beta_1=0.5, beta_2=0.9, epsilon=1e-8)

    return {"generator_optimizer": adam(2e-4), "discriminator_optimizer": adam(2e-4)}


def recipe(kind, modes, loss):
    """The recipe of one mixture and one loss."""
    radius = {"ring": 2.0, "grid": 4.0}[kind]
    return Recipe(
        paper="arXiv:1704.00028, gan_toy.py: mixtures, penalty 0.1; arXiv:1611.02163: coverage",
        dataset=Dataset(name=kind, modes=modes, radius=radius, std=0.02 * radius / 2),
        model=functools.partial(model, loss),
        optimizers=optimizers,
        batch_size=256,
        images=256 * 12_000,
        epoch_images=256 * 2_000,
        deviations=(
            "widths 128 instead of 512, latents of 32 dimensions",
            "modes lie at endpoint=False angles",
        ),
    )


def variants(kind, modes):
    """{loss name: recipe}."""
    return {loss: recipe(kind, modes, loss) for loss in losses.NAMES}
