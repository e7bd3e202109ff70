from . import scene as scene
from .core.errors import PennyweightError as PennyweightError
from .core.prediction import Failure as Failure
from .core.prediction import Prediction as Prediction
from .core.preprocess import Preprocess as Preprocess
from .core.run import Run as Run
from .cost.counting.count import Cost as Cost
from .data.streams.stream import Stream as Stream
from .runtime.bundle import Bundle as Bundle
from .runtime.classifier import Classifier as Classifier
from .scoring.evaluation import Evaluation as Evaluation
from .train.recipe import Recipe as Recipe
from .verbs.bench import bench as bench
from .verbs.doctor import doctor as doctor
from .verbs.evaluate import evaluate as evaluate
from .verbs.experiments import experiments as experiments
from .verbs.export import export as export
from .verbs.fit import fit as fit
from .verbs.fitting.fit_seeds import fit_seeds as fit_seeds
from .verbs.load import load as load
from .verbs.predict import predict as predict
from .verbs.weigh import weigh as weigh
from .verbs.weigh import weigh_all as weigh_all
from .zoo.pretrained import create as create
from .zoo.registry import names as names
from .zoo.weights.load import load_weights as load_weights

__version__: str
