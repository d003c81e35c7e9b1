import numpy as np
import pytest
from harness import PLACES, check_family, check_family_in, images

from ganzoo.ema import EMA
from ganzoo.families.dcgan import DCGAN

IMAGES = images(8, 32, 1)


def make():
    return DCGAN(
        32, 6, 4, channels=1, variant="paper", loss="hinge", critic_steps=2,
        ema=EMA(half_life_images=20, rampup=0.5), seed=5,
    )


def test_family(golden):
    check_family(make, IMAGES, golden("dcgan"))


@pytest.mark.slow
@pytest.mark.parametrize("where", PLACES)
def test_elsewhere(where):
    check_family_in(where, make, IMAGES)
