"""A bundle at work: numpy, Pillow and onnxruntime, no torch."""

from pennyweight.runtime.bundle import Bundle
from pennyweight.runtime.classifier import Classifier, Engine, Outputs, Prediction

__all__ = ["Bundle", "Classifier", "Engine", "Outputs", "Prediction"]
