"""The parts of a column profile, each of which merges: moments, a sample of rows, counts of values, sketches."""
