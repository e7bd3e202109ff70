"""How good a classifier is, honestly: figures with intervals."""

from pennyweight.scoring.evaluation import ClassScore, Evaluation, score
from pennyweight.scoring.mistakes import worst_mistakes

__all__ = ["ClassScore", "Evaluation", "score", "worst_mistakes"]
