"""Coffre: a self-hosted S3 object storage service."""

__version__ = "0.1.0"
