"""The whole road on photographs from disk."""

from pathlib import Path

import pytest
import torch

import pennyweight as pw
from pennyweight import data
from pennyweight.verbs.load import restore


@pytest.mark.slow
def test_photographs_from_disk_to_a_bundle_that_answers_as_the_network(real_data: Path, tmp_path: Path) -> None:
    run = pw.fit(
        "cats-dogs",
        "mobilenet_v1_x0_25",
        input_size=64,
        recipe={"epochs": 8, "batch": 16},
        out=tmp_path / "run",
        progress=False,
    )
    assert run.labels == ["cats", "dogs"]
    assert run.evaluation["images"] == len(list((real_data / "cats-dogs" / "val").rglob("*.jpg")))
    bundle = pw.export(run)
    assert bundle.manifest.parity["of"] == "test split of cats-dogs"

    files = [sample.picture for sample in data.split(data.open("cats-dogs")).test][::3]
    predictions = pw.load(bundle).predict(files, top=2)
    network, preprocess = restore(run), bundle.manifest.preprocess
    mean, std = (torch.tensor(value).view(1, -1, 1, 1) for value in (preprocess.mean, preprocess.std))
    for file, prediction in zip(files, predictions, strict=True):
        pixels = torch.from_numpy(preprocess(file).copy())[None].permute(0, 3, 1, 2)
        with torch.no_grad():
            expected = network((pixels / 255 - mean) / std).softmax(1)[0]
        assert prediction.source == str(file)
        assert prediction.label == run.labels[int(expected.argmax())]
        assert [dict(prediction.top)[label] for label in run.labels] == pytest.approx(expected.tolist(), abs=1e-4)
    # A network that answers every picture alike would prove nothing.
    assert len({p.probability for p in predictions}) > len(files) // 2


@pytest.mark.slow
def test_foreign_photographs_are_predicted_and_not_scored(real_data: Path, tmp_path: Path) -> None:
    """A folder of classes that the network does not know cannot be scored; its photographs can be predicted."""
    run = pw.fit(
        "cats-dogs", "mobilenet_v1_x0_25", input_size=32, recipe={"epochs": 1}, out=tmp_path / "run", progress=False
    )
    with pytest.raises(pw.PennyweightError, match="that the network does not know; it knows cats, dogs"):
        pw.evaluate(run, "imagenet-photos")
    files = sorted((real_data / "imagenet-photos").rglob("*.jpg"))[:40]
    assert [p.source for p in pw.load(run).predict(files)] == list(map(str, files))


@pytest.mark.slow
def test_sound_weights_pass_the_checks_before_they_are_tuned(
    real_data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """What is learnt at once at the rate of the training is thrown about at ten times of it."""
    pw.fit(
        "cats-dogs",
        weights=real_data / "weights" / "mobilenet_v2-imagenet-tf_same-224.safetensors",
        input_size=96,
        recipe={"mode": "finetune", "head_epochs": 1, "epochs": 1},
        preflight=True,
        out=tmp_path / "run",
    )
    assert "pre-flight: one batch can be learned: loss 0." in capfd.readouterr().err
