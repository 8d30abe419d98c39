"""The EDA report: what a pipeline's loaded data look like, as one HTML file a pipeline.

``reading`` asks the warehouse, in aggregates and a bounded sample; ``figures`` are pure; ``drawing`` makes the
charts, and ``report`` the pages. Made by ``python -m include.local.pages eda``.
"""
