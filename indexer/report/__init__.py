"""`indexer report`: one page to look at, that needs neither Kibana nor a network.

described.py   mappings/kibana/ → sections of panels: the page shows what the dashboards show
questions.py   a panel and a period → the aggregation to ask for
answers.py     an answer → rows of keys and figures
drawing.py     rows → pictures (Vega-Lite → SVG that takes its colours from the page)
wording.py     numbers, sizes, durations and times as people read them
page.py        all of it → HTML (page.html.jinja)
report.py      asks, and writes the file
"""
