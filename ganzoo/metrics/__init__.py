"""Metrics of generators: what goes in, which way is better, and whose numbers they equal."""
