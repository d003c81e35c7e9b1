"""One file per paper's settings; each defines `recipe`. Installed as `ganzoo.recipes`."""
