"""`indexer report`: the dashboards about entries as one HTML file, which requires neither Kibana nor a network.

sections.py     mappings/kibana/ → sections of panels and saved searches
queries.py      a panel and a period → an aggregation
results.py      the answer → rows of keys and metrics
charts.py       rows → chart and legend
vega_lite.py    chart → SVG
tables.py       rows → table
formatting.py   numbers, sizes, durations and times as text
page.py         all of it → HTML (page.html.jinja)
report.py       sends the queries, and writes the file
"""
