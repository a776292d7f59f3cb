"""What is measured without training, or after it: landscapes, loss surfaces, cost."""
