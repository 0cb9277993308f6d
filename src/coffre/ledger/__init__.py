"""What happened: audit, metering, bills."""
