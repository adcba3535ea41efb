"""What a user writes: YAML experiments, read, checked and expanded into runs."""
