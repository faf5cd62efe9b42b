"""Trains, measures, exports and publishes the models that the service ships."""
