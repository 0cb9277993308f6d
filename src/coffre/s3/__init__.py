"""The S3 service: one table of operations, one way in, one way out."""
