"""What every asset shows of itself in Dagster's UI."""

# Dagster wants an e-mail address or a team.
OWNERS = ["team:bert-assets"]
