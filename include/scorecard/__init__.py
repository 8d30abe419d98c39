"""Google's ML Test Score, counted from the records of this installation's own runs."""
