"""ProGAN on CIFAR-10 without labels, with the paper's settings for its Inception score."""

from ganzoo.data import Dataset
from ganzoo.recipe import Recipe


def model():
    from ganzoo.families.progan import ProGAN
    from ganzoo.growing_gan import Growth

    return ProGAN(
        32,
        128,
        channel_base=8192,
        channel_max=128,
        target=750.0,
        growth=Growth(stable_images=400_000, fade_images=400_000),
    )


recipe = Recipe(
    paper="arXiv:1710.10196, section 6.6 and appendix D; its Theano branch's config.py",
    dataset=Dataset(name="cifar10"),
    model=model,
    batch_size=16,
    images=20_000_000,
    epoch_images=200_000,
    published={"inception_score": 8.80},
)
