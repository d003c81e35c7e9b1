"""Foreign checkpoints: read as plain arrays, then mapped onto networks by tables of rules."""
