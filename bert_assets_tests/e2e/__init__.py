"""Scenarios on a real Dagster webserver and daemon. `make test-e2e` runs them; `make test` does not."""
