"""Zoomdata, later Logi Composer, later Simba Self-Service Analytics: its connection to the index, and what it logs.

What its REST interface is like is from the vendor's documentation and its API description (v3, Composer 6.9 to 26.x); what is
not said there is found out at run time, or told. None of it was ever run against the product itself.
"""
