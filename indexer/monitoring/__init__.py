"""Listens to what happens and says it: as logs, as numbers for Prometheus, as health.

logs.py      one line for what an operator wants to know; a repeated fault once, then counted
numbers.py   counts what is told; gives a Snapshot, which is what all others show
backlog.py   how long ago the oldest undelivered byte was found
lookout.py   asks, now and then, what nobody tells: is the cluster still there, how many fields are mapped
health.py    a Snapshot → alive? ready? and what is wrong
metrics.py   a Snapshot → Prometheus; the table of all metrics
server.py    HTTP
service.py   puts them together for a run
running.py   finds a running indexer, for `indexer status`
"""

from indexer.monitoring.logs import Logs, logger

__all__ = ["Logs", "logger"]
