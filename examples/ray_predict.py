"""Classify pictures with a bundle on Ray Data: python ray_predict.py BUNDLE FOLDER OUT.

FOLDER and OUT are folders that every machine reads, such as s3://bucket/pictures. OUT is written as Parquet. Every
machine needs Python with `pip install 'pennyweight[ray]'`, and no torch.
"""

import sys

import ray

import pennyweight as pw

bundle, folder, out = sys.argv[1:]
pictures = ray.data.read_binary_files(folder, include_paths=True)
answers = pictures.map_batches(
    pw.ray.Predictor,
    fn_constructor_args=pw.ray.Predictor.shipped(bundle, top=3),
    batch_size=64,
    compute=ray.data.ActorPoolStrategy(min_size=1, max_size=max(1, int(ray.cluster_resources()["CPU"]) - 1)),
)
answers.write_parquet(out)
