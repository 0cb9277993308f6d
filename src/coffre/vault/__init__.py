"""The bytes: encrypted blobs, packed into chunks, kept on drives."""
