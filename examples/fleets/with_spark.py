"""The entries of a home in Spark, in two ways: python with_spark.py [HOME] [arrow | source]."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pyarrow
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType
from questions import CALLS, FOUND, TOKENS, show

from rolloutlog import tables

SCHEMA = pyarrow.schema(
    # Spark knows times in microseconds alone.
    [
        field.with_type(pyarrow.timestamp("us", "UTC")) if pyarrow.types.is_timestamp(field.type) else field
        for field in tables.entries().schema
    ]
)


def batches(paths: list[str]) -> Iterator[pyarrow.RecordBatch]:
    """Yield the entries of *paths* as Spark takes them."""
    for batch in tables.batches(paths):
        yield batch.cast(SCHEMA)


def by_arrow(spark: SparkSession, home: str | None) -> DataFrame:
    """Return the entries by `mapInArrow`: each row of the first frame is the share of one task."""
    shares = tables.plan(home)

    def read(found: Iterator[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
        for batch in found:
            for paths in batch.column("paths").to_pylist():
                yield from batches(paths)

    frame = spark.createDataFrame([(paths,) for paths in shares], "paths array<string>")
    return frame.repartition(len(shares)).mapInArrow(read, from_arrow_schema(SCHEMA))


class Rollouts(DataSource):
    """The source ``rollouts``: ``spark.read.format("rollouts").load(home)``."""

    @classmethod
    def name(cls) -> str:
        return "rollouts"

    def schema(self) -> StructType:
        return from_arrow_schema(SCHEMA)

    def reader(self, schema: StructType) -> DataSourceReader:
        return Reader(self.options.get("path"))


class Reader(DataSourceReader):
    """Reads a home, one share in each task."""

    def __init__(self, home: str | None) -> None:
        self.home = home

    def partitions(self) -> list[InputPartition]:
        return [InputPartition(paths) for paths in tables.plan(self.home)]

    def read(self, partition: InputPartition) -> Iterator[pyarrow.RecordBatch]:
        return batches(partition.value)


def main(home: str | None, way: str) -> None:
    """Ask the three questions; days are those of UTC, as in the files."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.master("local[2]").config("spark.sql.session.timeZone", "UTC")
    builder = builder.config("spark.sql.shuffle.partitions", 4).config("spark.driver.memory", "1g")
    spark = builder.config("spark.ui.enabled", False).getOrCreate()
    try:
        if way == "arrow":
            entries = by_arrow(spark, home)
        else:
            spark.dataSource.register(Rollouts)
            reader = spark.read.format("rollouts")
            entries = reader.load() if home is None else reader.load(home)
        entries.createOrReplaceTempView("entries")
        show(*(spark.sql(query).collect() for query in (CALLS, TOKENS, FOUND)))
    finally:
        spark.stop()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None, sys.argv[2] if len(sys.argv) > 2 else "arrow")
