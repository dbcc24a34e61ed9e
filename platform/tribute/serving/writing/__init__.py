"""The way of uses to the disk and on to the lake: outboxes behind a writer each, flushed in batches."""
