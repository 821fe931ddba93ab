"""What the dashboards of Kibana and the report share: the description of a panel, and HTTP to their servers."""
