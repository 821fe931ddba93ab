"""Kibana: dashboards, saved searches and alerting rules from mappings/kibana/.

api.py             requests, and their errors
saved_objects.py   ids, titles and the NDJSON file
discover.py        data views and saved searches
lens.py            a panel as a Lens visualization
dashboards.py      dashboards, and all saved objects
rules.py           alerting rules
install.py         `indexer kibana install`
"""
