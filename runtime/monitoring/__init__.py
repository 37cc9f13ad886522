"""Evaluations: what was captured of an endpoint, compared with what its models were trained on.

NumPy and PyArrow only: it runs as a confined job in the serving environment.
"""
