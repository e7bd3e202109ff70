"""A bundle at work: numpy, Pillow and onnxruntime, no torch."""

from pennyweight.runtime.bundle import Bundle
from pennyweight.runtime.classifier import Classifier, Engine, Failure, Given, Outputs, Prediction

__all__ = ["Bundle", "Classifier", "Engine", "Failure", "Given", "Outputs", "Prediction"]
