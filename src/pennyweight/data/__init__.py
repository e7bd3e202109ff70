"""Data: sources of pictures, their splits, augmentation and batches. `open` turns a string into a Source."""

from pennyweight.data.apart import TwinRule, TwinsInTraining, have_twin, moments_of, split_by_rule
from pennyweight.data.augment.augment import Augment, Mixed
from pennyweight.data.augment.policies import CHANGES, Policy, PolicyChange
from pennyweight.data.balance import Balance, Balancing
from pennyweight.data.batch import Batch, Share
from pennyweight.data.checks.glance import Glances
from pennyweight.data.checks.quick import label_conflicts, require_enough, too_little
from pennyweight.data.decoded_cache import DecodedCache
from pennyweight.data.folds import assign_folds, clusters_of, have_twin_in_folds, in_folds
from pennyweight.data.framing import (
    Framing,
    aspects_of,
    cut_away,
    cut_note,
    cuts_much,
    describe_cut,
    suggest_framing,
)
from pennyweight.data.given.open import is_passed, pictures_of_given, require_unchanged
from pennyweight.data.pictures import Pictures
from pennyweight.data.readers.folder import read_class_folder
from pennyweight.data.readers.open import open
from pennyweight.data.readers.read_as import ReadAs
from pennyweight.data.source import SPLITS, AnySource, Sample, Source, Split, Stored, Unreadable
from pennyweight.data.split_pictures import make_pictures, make_split_pictures
from pennyweight.data.splits import LeftOut, Splits, split
from pennyweight.data.statistics import channel_statistics
from pennyweight.data.streams.stream import Stream
from pennyweight.data.training_pictures import digests_of_samples, exclude_seen
from pennyweight.data.twins.find import Twins, find_twins
from pennyweight.data.twins_of import glance_at, have_twin_in, twins_among
from pennyweight.data.used_levels import UsedLevels, measure_levels

__all__ = [
    "CHANGES",
    "SPLITS",
    "AnySource",
    "Augment",
    "Balance",
    "Balancing",
    "Batch",
    "DecodedCache",
    "Framing",
    "Glances",
    "LeftOut",
    "Mixed",
    "Pictures",
    "Policy",
    "PolicyChange",
    "ReadAs",
    "Sample",
    "Share",
    "Source",
    "Split",
    "Splits",
    "Stored",
    "Stream",
    "TwinRule",
    "Twins",
    "TwinsInTraining",
    "Unreadable",
    "UsedLevels",
    "aspects_of",
    "assign_folds",
    "channel_statistics",
    "clusters_of",
    "cut_away",
    "cut_note",
    "cuts_much",
    "describe_cut",
    "digests_of_samples",
    "exclude_seen",
    "find_twins",
    "glance_at",
    "have_twin",
    "have_twin_in",
    "have_twin_in_folds",
    "in_folds",
    "is_passed",
    "label_conflicts",
    "make_pictures",
    "make_split_pictures",
    "measure_levels",
    "moments_of",
    "open",
    "pictures_of_given",
    "read_class_folder",
    "require_enough",
    "require_unchanged",
    "split",
    "split_by_rule",
    "suggest_framing",
    "too_little",
    "twins_among",
]
