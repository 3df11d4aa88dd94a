"""The DAG through Prefect: the flow, stages given to work pools, deployments, and what the UI shows."""
