"""The papers' claims as experiments on this machine."""

from pennyweight.lab.guidelines import EXPERIMENTS, Experiment, Measured, run_guidelines

__all__ = ["EXPERIMENTS", "Experiment", "Measured", "run_guidelines"]
