"""What `rlm` costs, as ratios against a baseline in the same run; see README.md."""
