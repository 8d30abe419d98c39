"""What ``make bench`` measures: ratios against a plain peer, taken in one run."""
