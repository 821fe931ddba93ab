"""Monitoring: listens to events and provides logs, metrics and health.

logs.py           log messages; a repeated fault is logged once, then counted
recorder.py       counts events and takes Snapshots, the input of health and metrics
sealing.py        what a run has sealed
snapshot.py       Snapshot: all metrics at one moment
cluster_probe.py  checks regularly what no event reports: the cluster, the number of mapped fields, free disk space
health.py         Snapshot → alive, ready, problems
metrics.py        Snapshot → Prometheus; the table of all metrics
http_server.py    HTTP
service.py        puts them together for a run
systemd.py        tells systemd: ready, alive, stopping
discovery.py      finds a running indexer, for `indexer status`
"""

from indexer.monitoring.logs import Logs, logger

__all__ = ["Logs", "logger"]
