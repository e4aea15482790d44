"""HOW it is compiled: a chain of operators becomes one ONNX graph, checked against PyTorch and kept in a store."""
