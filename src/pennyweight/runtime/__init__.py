"""Runtime: predict with a bundle. It needs numpy, Pillow and onnxruntime, and no torch."""

from pennyweight.core.prediction import Failure, Prediction
from pennyweight.runtime import ray, spark
from pennyweight.runtime.bundle import Bundle
from pennyweight.runtime.classifier import Classifier, Engine, NamedPicture, Outputs

__all__ = ["Bundle", "Classifier", "Engine", "Failure", "NamedPicture", "Outputs", "Prediction", "ray", "spark"]
