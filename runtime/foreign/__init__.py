"""Other people's static graphs, TorchScript's and those of `torch.export`, as programs."""
