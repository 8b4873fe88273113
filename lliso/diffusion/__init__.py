"""Diffusion physics: arrays in, arrays out; numpy and scipy only, any consistent set of units."""
