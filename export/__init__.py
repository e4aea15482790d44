"""HOW it is compiled: a chain of operators becomes one ONNX graph, checked against PyTorch and kept in a store."""

OPSET = 18  # 19 and later: kernels are missing from ONNX Runtime's CUDA provider (onnxruntime #27415, #26393)
