"""From a run's artifacts to a model's package: verified, converted to ONNX, compared, written.

Runs in the training environment, confined: a run's model is a pickle, and reading one runs code.
"""
