"""How the DAG of `dvc.yaml` runs: one package that knows stages only by what that file says of them."""
