"""Kibana: dashboards, saved searches and alert rules from `mappings/kibana/` as its saved objects."""
