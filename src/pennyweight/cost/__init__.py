"""What a network costs, counted on meta tensors, predicted by a machine's profile, measured when asked.

Takes any module; knows no network by name.
"""

from pennyweight.cost.counting.count import Cost, LayerCost, count
from pennyweight.cost.guidelines import Finding, lint
from pennyweight.cost.timing.machine_profile import MachineProfile, profile_path
from pennyweight.cost.timing.measure import EAGER, Timed, Timing, time_networks
from pennyweight.cost.timing.predict import LayerTime, measure_machine, predict

__all__ = [
    "EAGER",
    "Cost",
    "Finding",
    "LayerCost",
    "LayerTime",
    "MachineProfile",
    "Timed",
    "Timing",
    "count",
    "lint",
    "measure_machine",
    "predict",
    "profile_path",
    "time_networks",
]
