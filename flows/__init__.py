"""How the DAG of `dvc.yaml` runs. Nothing here knows more of a stage than that file says.

`graph` is the DAG, `dvc_*` what DVC does, `workspace` the frozen copy in which `stage_run` runs a stage by `command`, `walk`
the order, `results` the way home; `local_run` puts them together, and so does `prefect_runs` with a server and workers.
"""
