"""What bytes travel in, between the wire, the vault and the disk."""

Buffer = bytes | bytearray | memoryview
