"""The public functions of hyperspectral scenes: fit, evaluate, export, predict, leakage."""
