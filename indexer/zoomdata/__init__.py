"""Zoomdata, later named Logi Composer and Simba Self-Service Analytics: its connection to the index, and what it logs.

The REST API is used as the vendor documents it (documentation, and API description v3 of Composer 6.9 to 26.x). What is not
documented is found out at run time, or shown as a note. Nothing was tested against the product itself.

api.py             requests; finding the context and the version
failures.py        errors
connect.py         `connect`: connections.py (the connection), connectors.py (its connector and parameters), facts.py (what Elasticsearch
                   tells), sources.py (bodies of sources), source_install.py (creating and extending them)
remove.py          `remove`
activities.py      `logging`
retention.py       how many rotated logs Zoomdata keeps, and should keep; for `logging` and `indexer check`
"""
