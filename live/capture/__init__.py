"""From a connection to frames: opened again for ever, sampled, dated, never late."""
