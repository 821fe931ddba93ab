"""Kibana: dashboards, saved searches and alerting rules from mappings/kibana/.

api.py             requests, and their errors
saved_objects.py   ids, titles, versions and the NDJSON file
discover.py        data views and saved searches
layout.py          what dashboards of both forms share
classic.py         dashboards in the form of 7.17, lens.py: their panels
modern.py          dashboards in the form of 8.19 and later, modern_lens.py: their panels
dashboards.py      all saved objects, in the form for a version
rules.py           alerting rules
ready.py           waiting for a Kibana that is starting
install.py         `indexer kibana install`
"""
