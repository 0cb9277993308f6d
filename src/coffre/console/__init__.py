"""The console and the management API: HTTP for people, beside the S3 port."""
