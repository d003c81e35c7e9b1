"""StyleGAN2 with ADA, narrow, on 200 procedural faces of 64 pixels, which a discriminator learns by
heart within the hour that it takes on two CPU cores.

Variant: `without_ada`, the control.
"""

import dataclasses

from ganzoo.recipes import stylegan2ada_avatars_64 as many

recipe = dataclasses.replace(
    many.recipe,
    dataset=dataclasses.replace(many.recipe.dataset, limit=200),
    images=72_000,
    epoch_images=12_000,
)
variants = {
    name: dataclasses.replace(recipe, model=variant.model)
    for name, variant in many.variants.items()
}
