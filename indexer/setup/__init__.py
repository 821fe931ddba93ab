"""Setting Elasticsearch up: templates, lifecycle policy, roles, views, rollover. Decided in `plan.py`, then compared and sent."""
