"""Classify pictures with a bundle on Spark: spark-submit spark_predict.py BUNDLE FOLDER OUT.

FOLDER and OUT are folders that every machine reads, such as s3a://bucket/pictures. OUT is written as Parquet. Every
machine needs Python with `pip install 'pennyweight[spark]'`, and no torch.
"""

import sys

from pyspark.sql import SparkSession

import pennyweight as pw

bundle, folder, out = sys.argv[1:]
spark = (
    SparkSession.builder.appName("pennyweight")
    .config("spark.sql.execution.arrow.maxRecordsPerBatch", 64)  # pictures that a worker holds at once
    .config("spark.sql.files.openCostInBytes", 64 << 10)  # by default 4 MB, which makes a task of 32 pictures
    .getOrCreate()
)
pictures = spark.read.format("binaryFile").option("recursiveFileLookup", True).load(folder)
answers = pw.spark.predict(pictures, bundle, top=3)
answers.write.mode("errorifexists").parquet(out)
spark.stop()
