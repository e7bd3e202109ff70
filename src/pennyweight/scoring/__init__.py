"""Scoring: accuracy with intervals, per-class scores, baselines and leakage."""

from pennyweight.scoring.evaluation import ClassScore, Evaluation, score
from pennyweight.scoring.mistakes import worst_mistakes

__all__ = ["ClassScore", "Evaluation", "score", "worst_mistakes"]
