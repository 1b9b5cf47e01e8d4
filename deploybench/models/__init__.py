"""What a model is, where models and their weights come from, and the images they are run on."""
