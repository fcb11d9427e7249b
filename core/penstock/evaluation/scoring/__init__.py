"""Predicting rows in batches and writing the predictions: a folder of Parquet files, a database's table."""

from penstock.evaluation.scoring.scorer import BatchScorer

__all__ = ["BatchScorer"]
