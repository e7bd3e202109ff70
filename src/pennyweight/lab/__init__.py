"""Experiments: the papers' claims, measured on this machine."""

from pennyweight.lab.guidelines import EXPERIMENTS, WARM_UP, Experiment, Measured, run_guidelines

__all__ = ["EXPERIMENTS", "WARM_UP", "Experiment", "Measured", "run_guidelines"]
