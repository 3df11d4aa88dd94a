"""Speed as ratios against a baseline or a limit, measured in one run; a miss fails."""
