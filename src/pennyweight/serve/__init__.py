"""HTTP server of bundles: a page, `POST /predict`, the Open Inference Protocol v2, and metrics. It loads no torch.

Nothing is imported here, so that the command line can read the settings without the extra `serve`.
"""
