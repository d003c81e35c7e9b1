"""Eight Gaussians on a ring with every loss, all under one gradient penalty.

`ganzoo train gaussians_ring8:hinge`; without a loss, the non-saturating one. A minute each on two
CPU cores.
"""

from ganzoo.recipes import _gaussians

recipe = _gaussians.recipe("ring", 8, "non_saturating")
variants = _gaussians.variants("ring", 8)
