"""Cost of a network: counted on meta tensors, predicted from a machine profile, measured on request.

Every function takes any module; none knows a network by name.
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
