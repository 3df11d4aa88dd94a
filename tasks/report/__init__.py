"""The report: all metrics, contact sheets and the DAG in one self-contained page."""
