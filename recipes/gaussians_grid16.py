"""Sixteen Gaussians on a 4 x 4 grid with every loss, all under one gradient penalty.

`ganzoo train gaussians_grid16:hinge`; without a loss, the non-saturating one. A minute each on two
CPU cores.
"""

from ganzoo.recipes import _gaussians

recipe = _gaussians.recipe("grid", 16, "non_saturating")
variants = _gaussians.variants("grid", 16)
