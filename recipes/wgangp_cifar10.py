"""WGAN-GP's ResNet on CIFAR-10 without labels, with the official script's settings."""

import keras

from ganzoo.data import Dataset
from ganzoo.recipe import Recipe

ITERATIONS = 100_000  # generator steps
CRITIC_STEPS = 5


def model():
    from ganzoo.families.wgangp import WGANGP

    return WGANGP(32, 128, 128, networks="resnet", critic_steps=CRITIC_STEPS)


def optimizers():
    def adam(steps):
        rate = keras.optimizers.schedules.PolynomialDecay(2e-4, steps, 0.0)
        return keras.optimizers.Adam(rate, beta_1=0.0, beta_2=0.9, epsilon=1e-8)

    return {
        "generator_optimizer": adam(ITERATIONS),
        "discriminator_optimizer": adam(ITERATIONS * CRITIC_STEPS),
    }


recipe = Recipe(
    paper="arXiv:1704.00028, section 5.3; improved_wgan_training gan_cifar_resnet.py",
    dataset=Dataset(name="cifar10"),
    model=model,
    optimizers=optimizers,
    batch_size=64,
    images=ITERATIONS * CRITIC_STEPS * 64,
    published={"inception_score": 7.86},
    deviations=("the generator's batch is 64; the official script takes twice the critic's",),
)
