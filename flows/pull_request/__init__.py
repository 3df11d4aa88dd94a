"""What a pull request is judged by: a fresh lock file, and metrics that do not get worse than at the merge base."""

MARKER = "<!-- groundreel metrics -->"
"""First line of the comment under a pull request, by which it is found again."""
