"""The typed ``pipeline.yaml``: what a pipeline may say, and one clear error where it says something else."""
