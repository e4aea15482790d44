"""WHAT is computed: operators authored in PyTorch, tensors in and tensors out."""
